"""Sign-ons at extensions: operators sign on to a phone and off, and a sign-on expires after a working day."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.rules.policy import Extension
from recorder.rules.sign_on import TOLD_FOR, Seat, SignOn, Takeover
from storage.durable import save_atomically
from storage.shared_sign_ons import SharedSignOn


class SignOnClashError(Exception):
    """Another operator, named by ``operator``, is signed on there. Nothing changed."""

    def __init__(self, operator: str) -> None:
        super().__init__(f"{operator} is signed on there")
        self.operator = operator


@dataclass(frozen=True, slots=True)
class _SignOnsKept:
    sign_ons: Mapping[str, SignOn] = field(default_factory=dict)
    takeovers: Sequence[Takeover] = ()
    signed_off: Mapping[str, datetime] = field(default_factory=dict)
    """When somebody last signed off at an extension where nobody is signed on; for other nodes of the site."""


class SignOns:
    """Sign-ons by extension, in a file so that they survive a restart.

    Read from any thread; changed on the executor's thread.

    Args:
        path: The file; its folder exists.
        now: Returns the time, aware, UTC.
        lasts: Returns how long a sign-on lasts.
    """

    def __init__(self, path: Path, *, now: Callable[[], datetime], lasts: Callable[[], timedelta]) -> None:
        self._path = path
        self._now = now
        self._lasts = lasts
        try:
            self._content = _read(json.loads(path.read_text()), now())
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            self._content = _SignOnsKept()

    def of(self, extension: str) -> SignOn | None:
        """Return the sign-on at an extension; None if there is none or it has expired."""
        found = self._content.sign_ons.get(extension)
        return None if found is None or found.is_over(self._now(), self._lasts()) else found

    def seat_of(self, extension: Extension) -> Seat:
        """Return the operator at an extension: signed on there, else configured for it."""
        found = self.of(extension.number)
        if found is None:
            return Seat(operator=extension.operator, is_proven=True)
        return Seat(operator=found.operator, is_proven=found.is_proven)

    def until(self, sign_on: SignOn) -> datetime:
        """Return when a sign-on expires."""
        return sign_on.at + self._lasts()

    def takeovers(self) -> Sequence[Takeover]:
        """Return the takeovers that people are still notified of, oldest first."""
        return [one for one in self._content.takeovers if one.at > self._now() - TOLD_FOR]

    def sign_on(self, extension: str, operator: str, *, is_proven: bool, instead_of: str | None = None) -> SignOn:
        """Sign an operator on.

        Args:
            extension: Where.
            operator: Whom.
            is_proven: Whether they keyed a code at the phone; without it they cannot take over a phone.
            instead_of: The operator whom they replace, and who is notified.

        Raises:
            SignOnClashError: Somebody else is signed on, and no code was keyed.
        """
        there = self.of(extension)
        if there is not None and not is_proven:
            if there.operator == operator:
                return there  # another node of the site has told of the same sign-on meanwhile
            raise SignOnClashError(there.operator)
        made = SignOn(operator=operator, at=self._now(), is_proven=is_proven)
        takeovers = self.takeovers()
        if instead_of is not None:
            taken = Takeover(extension=extension, operator=operator, instead_of=instead_of, at=made.at)
            takeovers = [*takeovers, taken]
        signed_off = {key: at for key, at in self._content.signed_off.items() if key != extension}
        self._save(_SignOnsKept({**self._content.sign_ons, extension: made}, takeovers, signed_off))
        return made

    def sign_off(self, extension: str, operator: str) -> bool:
        """Sign an operator off; tell whether they were signed on."""
        there = self.of(extension)
        if there is None or there.operator != operator:
            return False
        left = {key: value for key, value in self._content.sign_ons.items() if key != extension}
        signed_off = {**self._content.signed_off, extension: self._now()}
        self._save(replace(self._content, sign_ons=left, signed_off=signed_off))
        return True

    def to_share(self) -> list[SharedSignOn]:
        """Return the sign-ons and sign-offs that are not over, for the other nodes of a site."""
        content, since = self._content, self._now() - self._lasts()
        found = [
            SharedSignOn(extension=key, operator=one.operator, at=one.at, is_proven=one.is_proven)
            for key, one in content.sign_ons.items()
        ]
        found += [
            SharedSignOn(extension=key, operator=None, at=at, is_proven=False) for key, at in content.signed_off.items()
        ]
        return [one for one in found if one.at > since]

    def take_over(self, shared: Iterable[SharedSignOn]) -> int:
        """Take sign-ons and sign-offs of other nodes that are later than what is known here; returns how many.

        Raises:
            OSError: They cannot be stored; nothing was changed.
        """
        sign_ons, signed_off = dict(self._content.sign_ons), dict(self._content.signed_off)
        new = [one for one in shared if (known := self._known_at(one.extension)) is None or one.at > known]
        for one in new:
            sign_ons.pop(one.extension, None)
            signed_off.pop(one.extension, None)
            if one.operator is None:
                signed_off[one.extension] = one.at
            else:
                sign_ons[one.extension] = SignOn(operator=one.operator, at=one.at, is_proven=one.is_proven)
        if new:
            self._save(replace(self._content, sign_ons=sign_ons, signed_off=signed_off))
        return len(new)

    def _known_at(self, extension: str) -> datetime | None:
        there = self._content.sign_ons.get(extension)
        return self._content.signed_off.get(extension) if there is None else there.at

    def _save(self, content: _SignOnsKept) -> None:
        document = {
            "sign_ons": {key: _to_json(one) for key, one in content.sign_ons.items()},
            "takeovers": [_takeover_to_json(one) for one in content.takeovers],
            "signed_off": {key: at.isoformat() for key, at in content.signed_off.items()},
        }
        save_atomically(self._path, json.dumps(document, indent=1).encode())
        self._content = content


def _read(document: dict[str, Any], now: datetime) -> _SignOnsKept:
    if "sign_ons" not in document:  # file of an older version: each sign-on begins now, without proof
        old = {key: SignOn(operator=str(name), at=now, is_proven=False) for key, name in document.items()}
        return _SignOnsKept(old)
    return _SignOnsKept(
        {
            key: SignOn(operator=one["operator"], at=_at(one), is_proven=one["is_proven"])
            for key, one in document["sign_ons"].items()
        },
        [
            Takeover(extension=one["extension"], operator=one["operator"], instead_of=one["instead_of"], at=_at(one))
            for one in document["takeovers"]
        ],
        {key: datetime.fromisoformat(at).astimezone(UTC) for key, at in document.get("signed_off", {}).items()},
    )


def _at(one: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(one["at"]).astimezone(UTC)


def _to_json(one: SignOn) -> dict[str, Any]:
    return {"operator": one.operator, "at": one.at.isoformat(), "is_proven": one.is_proven}


def _takeover_to_json(one: Takeover) -> dict[str, Any]:
    return {
        "extension": one.extension,
        "operator": one.operator,
        "instead_of": one.instead_of,
        "at": one.at.isoformat(),
    }
