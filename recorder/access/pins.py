"""PINs of managers, for granting an opt-out from the officer's phone (off by default; docs/configuration.md).

They are in a file that the daemon may read, together with what the rules need to know of each manager, because the
daemon does not open the accounts. A PIN of six digits is no password. The protection is that three wrong ones lock the
keys of that phone, that a PIN can do nothing but grant an opt-out, and that every try is in the audit log.

A try costs one argon2id, whether the PIN exists or not and however many managers there are. That takes one salt for the
whole file; a second salt for each manager hides equal PINs.
"""

import hashlib
import hmac
import itertools
import json
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from argon2.low_level import Type, hash_secret_raw

from recorder.common.serial_executor import SerialExecutor
from recorder.permissions import Act, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.live_facts import CallFacts
from recorder.rules.opt_out import may_decide
from storage.durable import save_atomically

MIN_DIGITS, MAX_DIGITS = 6, 12
MAX_WRONG = 3
WITHIN = timedelta(minutes=15)
"""MAX_WRONG wrong PINs within this time lock the keys of a phone."""
LOCKED_FOR = timedelta(minutes=15)


class PinError(Exception):
    """A PIN was refused when it was set, or the file cannot be used; a sentence without the PIN. Nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinAnswer:
    """The result of a try.

    Attributes:
        manager: Account of the PIN, if that person may grant an opt-out of this call; else None.
        is_locked: The keys of this phone are locked now.
    """

    manager: str | None
    is_locked: bool


class PinCheck(Protocol):
    """Checks PINs for the keypad; `Pins` (``services.pins``) in production."""

    def check(self, pin: str, facts: CallFacts, *, extension: str) -> "Future[PinAnswer]":
        """Return the account of a PIN keyed on an extension's phone; never blocks, and the future never fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Costs of argon2id (RFC 9106): passes, KiB of memory. One lane, because media threads need the other cores."""

    passes: int = 3
    memory_kib: int = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One manager in the file; ``mark`` is the keyed hash of the argon2id output for the PIN."""

    person: Person
    salt: bytes
    mark: bytes

    def is_of(self, stretched: bytes) -> bool:
        return hmac.compare_digest(_mark(stretched, self.salt), self.mark)


def _mark(stretched: bytes, salt: bytes) -> bytes:
    return hashlib.blake2b(stretched, key=salt, person=b"manager's pin", digest_size=32).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _PinTable:
    """The whole file of PINs."""

    salt: bytes
    costs: Costs
    entries: tuple[_Entry, ...] = ()

    def stretch(self, pin: str) -> bytes:
        """Return the argon2id output for a PIN; takes about 0.2 s and 64 MiB with the usual costs."""
        costs = self.costs
        return hash_secret_raw(pin.encode(), self.salt, costs.passes, costs.memory_kib, 1, 32, Type.ID)


class PinFile:
    """The file of PINs, 0600. The command line writes it, the daemon reads it at every try.

    Args:
        path: The file; its folder exists.
        costs: Of a new file; tests pass cheap ones.
    """

    def __init__(self, path: Path, *, costs: Costs | None = None) -> None:
        self._path = path
        self._costs = costs or Costs()

    def set(self, person: Person, pin: str) -> None:
        """Give a manager a PIN, replacing any other.

        Raises:
            PinError: They may not grant opt-outs, it is too easy to guess, or another manager has it.
            OSError: The file can neither be read nor written.
        """
        if isinstance(may(person, Act.OPT_OUT, reason="a PIN is set"), Refusal):
            raise PinError(f"{person.name} may not grant opt-outs, so they cannot use a PIN.")
        problem = weakness(pin)
        if problem:
            raise PinError(problem)
        content = self._read()
        others = tuple(entry for entry in content.entries if entry.person.name != person.name)
        stretched = content.stretch(pin)
        if any(entry.is_of(stretched) for entry in others):  # both may answer for one call
            raise PinError("This PIN is not possible: choose another one.")  # without saying why
        salt = secrets.token_bytes(16)
        self._write(content, (*others, _Entry(person=person, salt=salt, mark=_mark(stretched, salt))))

    def remove(self, name: str) -> bool:
        """Remove a person's PIN; tell whether they had one.

        Raises:
            PinError: The file is damaged.
            OSError: The file can neither be read nor written.
        """
        content = self._read()
        left = tuple(entry for entry in content.entries if entry.person.name != name)
        if len(left) == len(content.entries):
            return False
        self._write(content, left)
        return True

    def names(self) -> frozenset[str]:
        """Return the accounts that have a PIN."""
        return frozenset(entry.person.name for entry in self._read().entries)

    def owner(self, pin: str, facts: CallFacts) -> str | None:
        """Return the account of a PIN, among those who may decide on a call."""
        content = self._read()
        stretched = content.stretch(pin)
        found = [entry.person for entry in content.entries if entry.is_of(stretched)]
        return next((person.name for person in found if may_decide(person, facts)), None)

    def _read(self) -> _PinTable:
        try:
            return _content_of(json.loads(self._path.read_text()))
        except FileNotFoundError:
            return _PinTable(salt=secrets.token_bytes(16), costs=self._costs)
        except (ValueError, KeyError, TypeError) as error:
            raise PinError(f"{self._path} is damaged: remove it and set every PIN again.") from error

    def _write(self, content: _PinTable, entries: tuple[_Entry, ...]) -> None:
        document = {
            "salt": content.salt.hex(),
            "passes": content.costs.passes,
            "memory_kib": content.costs.memory_kib,
            "managers": [_to_json(entry) for entry in entries],
        }
        save_atomically(self._path, json.dumps(document, indent=1).encode())


def weakness(pin: str) -> str | None:
    """Return what is wrong with a new PIN, as a sentence without it; None if it is good enough."""
    if not (pin.isascii() and pin.isdigit()) or not MIN_DIGITS <= len(pin) <= MAX_DIGITS:
        return f"A PIN is {MIN_DIGITS} to {MAX_DIGITS} digits."
    if any(pin == (pin[:size] * len(pin))[: len(pin)] for size in range(1, len(pin) // 2 + 1)):
        return "The PIN repeats itself: choose another one."
    steps = {(int(b) - int(a)) % 10 for a, b in itertools.pairwise(pin)}
    if len(steps) == 1 and steps <= {1, 9}:
        return "The PIN is a simple sequence: choose another one."
    return None


def _to_json(entry: _Entry) -> dict[str, Any]:
    person = entry.person
    return {
        "name": person.name,
        "display_name": person.display_name,
        "roles": sorted(person.roles),
        "teams": list(person.teams),
        "extension": person.extension,
        "salt": entry.salt.hex(),
        "mark": entry.mark.hex(),
    }


def _content_of(document: dict[str, Any]) -> _PinTable:
    entries = tuple(
        _Entry(
            person=Person(
                name=one["name"],
                display_name=one["display_name"],
                roles=frozenset(Role(role) for role in one["roles"]),
                teams=tuple(one["teams"]),
                extension=one["extension"],
            ),
            salt=bytes.fromhex(one["salt"]),
            mark=bytes.fromhex(one["mark"]),
        )
        for one in document["managers"]
    )
    costs = Costs(passes=document["passes"], memory_kib=document["memory_kib"])
    return _PinTable(salt=bytes.fromhex(document["salt"]), costs=costs, entries=entries)


class Pins:
    """Checks PINs keyed on officers' phones; a check takes time and runs on its own executor.

    Args:
        file: The managers' PINs.
        executor: Not one that a pause waits for.
        locks: File of wrong tries, so that a restart of the daemon allows no new ones.
        now: Returns the time, aware, UTC.
        on_failure: Called if PINs or locks cannot be read or written; then no PIN is right.
    """

    def __init__(
        self,
        file: PinFile,
        executor: SerialExecutor,
        *,
        locks: Path,
        now: Callable[[], datetime],
        on_failure: Callable[[], None],
    ) -> None:
        self._file = file
        self._executor = executor
        self._wrong = _WrongTries(locks)
        self._now = now
        self._on_failure = on_failure

    def check(self, pin: str, facts: CallFacts, *, extension: str) -> "Future[PinAnswer]":
        """Return the account of a PIN keyed on an extension's phone; never blocks, and the future never fails."""
        return self._executor.submit(self._check, pin, facts, extension)

    def _check(self, pin: str, facts: CallFacts, extension: str) -> PinAnswer:
        try:
            if self._wrong.is_locked(extension, self._now()):
                return PinAnswer(manager=None, is_locked=True)
            # Counted first and taken back if right, so that a crash in between counts as wrong.
            self._wrong.add(extension, self._now())
            owner = self._file.owner(pin, facts)
            if owner is not None:
                self._wrong.take_back(extension)
            return PinAnswer(manager=owner, is_locked=self._wrong.is_locked(extension, self._now()))
        except (OSError, PinError, ValueError):
            self._on_failure()
            return PinAnswer(manager=None, is_locked=False)


class _WrongTries:
    """Times of wrong tries by extension, in a file. A right try does not reset earlier ones."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_locked(self, extension: str, now: datetime) -> bool:
        """Tell whether the keys are locked now by wrong tries."""
        times = self._read().get(extension, [])
        # The last one locked the keys: nothing is counted while they are locked.
        return len(times) >= MAX_WRONG and now.timestamp() < times[-1] + LOCKED_FOR.total_seconds()

    def add(self, extension: str, now: datetime) -> None:
        """Count a try."""
        every = self._read()
        since_s = now.timestamp() - WITHIN.total_seconds()
        recent = [at_s for at_s in every.get(extension, []) if at_s > since_s]
        self._write({**every, extension: [*recent, now.timestamp()]})

    def take_back(self, extension: str) -> None:
        """Remove the last try."""
        every = self._read()
        self._write({**every, extension: every[extension][:-1]})

    def _read(self) -> dict[str, list[float]]:
        try:
            found: dict[str, list[float]] = json.loads(self._path.read_text())
        except FileNotFoundError:
            return {}
        return found

    def _write(self, every: dict[str, list[float]]) -> None:
        save_atomically(self._path, json.dumps({key: times for key, times in every.items() if times}).encode())
