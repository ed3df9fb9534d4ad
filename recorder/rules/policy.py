"""Which calls are recorded, whose they are, and by which rules. Pure."""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from recorder.rules.written_numbers import without_separators
from storage.types import RecordingId


class NoticeWhen(enum.StrEnum):
    """When the notice plays (design section 3.3)."""

    BEFORE_RING = "before_ring"
    AFTER_ANSWER = "after_answer"


class CardPayment(enum.StrEnum):
    """What becomes of the recording of a call in which a card is paid with."""

    PAUSE = "pause"
    DISCARD = "discard"


class Direction(enum.StrEnum):
    """Which side of a call is ours."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Rules that the council decided for one service.

    Attributes:
        name: As people call it.
        notice_when: Whether the notice plays before the officer is rung or once one has answered.
        card_payment: Pause during a card payment, or discard the whole recording.
        erase_on_opt_out: Erase what was recorded before a manager granted an opt-out.
        record_hold: Go on recording while a party is on hold.
        mask_card_digits: Keep the caller's digits from the officer's ear.
        ring_s: Seconds an officer's phone rings before the call counts as not answered.
        retention_days: Days that its recordings are kept; None is as ``[retention]`` says.
    """

    name: str
    notice_when: NoticeWhen = NoticeWhen.BEFORE_RING
    card_payment: CardPayment = CardPayment.PAUSE
    erase_on_opt_out: bool = False
    record_hold: bool = True
    mask_card_digits: bool = False
    ring_s: float = 60.0
    retention_days: int | None = None


class AnsweredBy(enum.StrEnum):
    """Who may answer calls to an extension so that they are recorded."""

    NOMINATED = "nominated"
    ANYBODY = "anybody"
    """A queue's members who are not nominated; they have been told that its calls are recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A nominated extension: its calls are recorded.

    Attributes:
        number: As it is dialled, and as the PBX names it.
        operator: Whose calls they are when nobody is signed on.
        service: Whose rules hold.
        team: Whose managers answer for it, or "".
        answered_by: Who may answer calls to it.
    """

    number: str
    operator: str
    service: str
    team: str = ""
    answered_by: AnsweredBy = AnsweredBy.NOMINATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Nomination:
    """Why a call is recorded: the extension whose call it is, and another one that it concerns too.

    That is the other side of an internal call, or whoever answered a call to a nominated queue.
    """

    direction: Direction
    extension: Extension
    second: Extension | None = None


def extension_of(extensions: Mapping[str, Extension], number: str) -> Extension | None:
    """Return the nominated extension that a number is, also one that is written with separators; or None.

    A PBX that leaves them out rings 2001 for ``20-01``, and must not do so unrecorded.

    Args:
        extensions: By number, with one that the configuration has with separators also without
            (`recorder.config.settings.Config.nominated`).
        number: As it was signalled.
    """
    return extensions.get(number) or extensions.get(without_separators(number))


def nominate(
    extensions: Mapping[str, Extension], *, calling: str, called: str, rung: str | None = None
) -> Nomination | None:
    """Decide whether a call touches a nominated extension.

    Args:
        extensions: Nominated extensions, as `extension_of` takes them.
        calling: Number of the calling side, as its peer gave it.
        called: Number dialled.
        rung: What the route makes of it, where that leads to our side of the recorder; None elsewhere.

    Returns:
        None when neither side is nominated: the call is passed on untouched (P1).
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


def recording_id(started_at: datetime, extension: str, random_hex: str) -> RecordingId:
    """Return the id of a call's recording: ``YYYYMMDDTHHMMSSZ-<extension>-<6 hex>``.

    Args:
        started_at: Aware time in UTC.
        extension: Its letters and digits are kept, at most 20: an id is a file name.
        random_hex: Six hexadecimal digits.
    """
    safe = _UNSAFE.sub("", extension)[:20] or "0"
    return RecordingId(f"{started_at:%Y%m%dT%H%M%SZ}-{safe}-{random_hex}")
