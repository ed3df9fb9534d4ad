"""Which calls are recorded, which officers they belong to, and the rules of each service. Pure."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from recorder.common.ranges import AtLeastOne, OverZero
from recorder.rules.written_numbers import without_separators
from storage.types import SELFTEST, RecordingId


class NoticeWhen(enum.StrEnum):
    """When the notice is played."""

    BEFORE_RING = "before_ring"
    AFTER_ANSWER = "after_answer"


class CardPayment(enum.StrEnum):
    """What happens to the recording of a call with a card payment."""

    PAUSE = "pause"
    DISCARD = "discard"


class Direction(enum.StrEnum):
    """The direction of a call, seen from the council."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The rules that the council set for one service.

    Attributes:
        name: As people call it.
        notice_when: Whether the notice plays before the officer's phone rings, or after it is answered.
        card_payment: Pause during a card payment, or discard the whole recording.
        erase_on_opt_out: Erase what was recorded before a manager granted an opt-out.
        record_hold: Go on recording during SIP hold.
        mask_card_digits: Keep the caller's digits from the officer.
        ring_s: Seconds an officer's phone rings before the call counts as not answered.
        retention_days: Days that its recordings are kept; None for the default in ``[retention]``.
        languages: Tags of the languages in which its callers hear the messages; empty for those of ``[notice]``.
    """

    name: str
    notice_when: NoticeWhen = NoticeWhen.BEFORE_RING
    card_payment: CardPayment = CardPayment.PAUSE
    erase_on_opt_out: bool = False
    record_hold: bool = True
    mask_card_digits: bool = False
    ring_s: OverZero = 60.0
    retention_days: AtLeastOne | None = None
    languages: tuple[str, ...] = ()


class AnsweredBy(enum.StrEnum):
    """Who may answer calls to an extension so that they are recorded."""

    NOMINATED = "nominated"
    ANYBODY = "anybody"
    """Members of a queue who are not nominated; they were told that its calls are recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A nominated extension: its calls are recorded.

    Attributes:
        number: As it is dialled, and as the PBX names it.
        operator: Officer of its calls when nobody is signed on.
        service: Name of the service whose rules apply.
        team: Team whose managers answer for it, or "".
        answered_by: Who may answer calls to it.
    """

    number: str
    operator: str
    service: str
    team: str = ""
    answered_by: AnsweredBy = AnsweredBy.NOMINATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Nomination:
    """Why a call is recorded: its extension, and a second one that it concerns.

    The second is the other side of an internal call, or the party who answered a call to a nominated queue.
    """

    direction: Direction
    extension: Extension
    second: Extension | None = None
    is_selftest: bool = False
    """The recorder makes this call to test itself."""


def extension_of(extensions: Mapping[str, Extension], number: str) -> Extension | None:
    """Return the nominated extension with a number, with or without separators; None if there is none.

    A PBX that ignores separators rings 2001 for ``20-01``; such a call must be recorded too.

    Args:
        extensions: By number. A number that is configured with separators is also listed without
            (`recorder.config.settings.Config.nominated`).
        number: As it was signalled.
    """
    return extensions.get(number) or extensions.get(without_separators(number))


def nominate(
    extensions: Mapping[str, Extension], *, calling: str, called: str, rung: str | None = None
) -> Nomination | None:
    """Decide whether a call touches a nominated extension.

    Args:
        extensions: Nominated extensions, as for `extension_of`.
        calling: Number of the calling side, as its peer gave it.
        called: Number dialled.
        rung: Number that the route dials, if the route leads inside; else None.

    Returns:
        None if neither side is nominated: the call is passed through and not recorded (P1).
    """
    ours = extension_of(extensions, called) or (extension_of(extensions, rung) if rung is not None else None)
    theirs = extension_of(extensions, calling)
    if ours and theirs:
        return Nomination(direction=Direction.INTERNAL, extension=ours, second=theirs)
    if ours:
        return Nomination(direction=Direction.INBOUND, extension=ours)
    if theirs:
        return Nomination(direction=Direction.OUTBOUND, extension=theirs)
    return None


_UNSAFE = re.compile(r"[^0-9A-Za-z]")


def recording_id(started_at: datetime, extension: str, random_hex: str, *, is_selftest: bool = False) -> RecordingId:
    """Return the id of a call's recording: ``YYYYMMDDTHHMMSSZ-<extension>-<6 hex>``.

    Args:
        started_at: Aware time in UTC.
        extension: Its letters and digits are kept, at most 20, because an id is a file name.
        random_hex: Six hexadecimal digits.
        is_selftest: Whether the call is a self-test's; no other call has ``selftest`` in its id, whatever a peer names
            its extension, since recordings with that id delete themselves.
    """
    safe = _UNSAFE.sub("", extension)[:20] or "0"
    if safe == SELFTEST and not is_selftest:
        safe = f"{SELFTEST}0"
    return RecordingId(f"{started_at:%Y%m%dT%H%M%SZ}-{safe}-{random_hex}")
