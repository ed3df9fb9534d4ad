"""What is stored of recording assurance: call records of PBXs, days, findings. No logic."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any


class CallDirection(enum.StrEnum):
    """The direction of an expected call, seen from the nominated extension."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedCall:
    """A call that the policy has recorded, as a PBX or a proxy saw it.

    Attributes:
        id: 32 hex, the same whenever the same call is imported.
        pbx: Name of the system that wrote the record; its clock is compared as a whole.
        answered_at: When it was answered, UTC by that system's clock.
        talk_s: How long a nominated extension talked, seconds; 0 if unknown.
        extensions: The nominated extensions of the call, the one that answers for it first.
        direction: The direction.
        number_end: The last digits of the other party's number; empty if it was withheld or is unknown.
        service, team: Of the first extension, when the record was imported.
        is_bypassed: A proxy in front of the recorders sent it round them.
    """

    id: str
    pbx: str
    answered_at: datetime
    talk_s: float
    extensions: tuple[str, ...]
    direction: CallDirection
    number_end: str = ""
    service: str = ""
    team: str = ""
    is_bypassed: bool = False

    @property
    def extension(self) -> str:
        """The extension that answers for the call."""
        return self.extensions[0]

    @property
    def ended_at(self) -> datetime:
        """When it ended, as far as is known."""
        return self.answered_at + timedelta(seconds=self.talk_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why somebody says that a finding is in order.

    Attributes:
        by: Who says so.
        at: When.
        text: What they wrote.
    """

    by: str
    at: datetime
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDay:
    """A day that was judged.

    Attributes:
        day: The day, of the site's zone.
        judged_at: When it was judged.
        records: How many call records there were.
        calls: How many calls were judged.
        bad: How many of them were not recorded as they should have been.
        document: Counts, as JSON-able values.
    """

    day: date
    judged_at: datetime
    records: int
    calls: int
    bad: int
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFinding:
    """A finding of a day that was judged.

    Attributes:
        id: 16 hex.
        day: The day.
        team: Team of the call, or "".
        document: The finding, as JSON-able values.
        explanation: Why it is in order; None while nobody has said so.
    """

    id: str
    day: date
    team: str
    document: Mapping[str, Any]
    explanation: Explanation | None = None
