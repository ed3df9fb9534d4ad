"""Reasons for which a sweep stops until people decide: a clock that jumped, or too much due at once. Pure."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.rules import times
from storage.errors import StorageError

CLOCK_BACK = timedelta(hours=1)
"""How far the clock may be behind a time on record: more than clocks are ever stepped."""

CLOCK_AHEAD = timedelta(days=7)
"""After longer without a sweep, a long break cannot be told from a clock that jumped."""

LONG_SILENCE = timedelta(days=30)
"""After longer without a sweep, nothing is deleted without confirmation, however little it is."""

SET_FORWARD = timedelta(days=1)
"""How far the clock may gain on the machine's uptime since the first sweep after its boot.

The uptime stops while a virtual machine is suspended, so a small difference means nothing.
"""

MANY = 50
"""Recordings that may be deleted in a day however small the vault is."""

NATURAL_DAYS = 3
"""The recordings of so many days may be deleted in one: after a weekend without a sweep."""


class Stop(enum.StrEnum):
    """Why a sweep deletes nothing until people decide."""

    CLOCK = "clock"
    SHARE = "share"
    RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedSweep:
    """A sweep that must not go on; the sentence says why and what to do."""

    why: Stop
    sentence: str


def clock_stop(now: datetime, seen: Iterable[datetime | None]) -> StoppedSweep | None:
    """Return why the clock is implausible, or None.

    Args:
        now: The clock's time, aware.
        seen: Moments that are certainly in the past: the last sweep, the newest call, the newest audit entry.
    """
    newest = max((moment for moment in seen if moment is not None), default=None)
    if newest is None or now >= newest - CLOCK_BACK:
        return None
    return StoppedSweep(
        why=Stop.CLOCK,
        sentence=f"the clock says {times.moment_utc(now)}, but this recorder has seen {times.moment_utc(newest)} "
        "already: set the clock right. If it was wrong then, two people confirm that, one of them the data protection "
        "officer or the deputy and neither of ICT: `recorder retention confirm-clock --as NAME`",
    )


class SweepStoppedError(StorageError):
    """The sweep deleted nothing until a person decides; the sentence says why and what to do."""

    def __init__(self, stopped: StoppedSweep) -> None:
        super().__init__(stopped.sentence)
        self.why = stopped.why


_LOOK = (
    "Check the clock and `recorder retention show --dry-run`. Due data is deleted once two people have confirmed with "
    "`recorder retention confirm-share --as NAME`, one of them the data protection officer or the deputy and "
    "neither of ICT"
)


def forward_stop(ahead: timedelta, *, due: int) -> StoppedSweep | None:
    """Return why nothing may be deleted because the clock was set forward, in one step or many; or None.

    Args:
        ahead: How far it gained on the machine's uptime.
        due: Recordings and other items that would be deleted now.
    """
    if ahead <= SET_FORWARD or not due:
        return None
    return StoppedSweep(
        why=Stop.SHARE,
        sentence=f"the clock was set forward by {ahead.total_seconds() / 3600:.0f} h while this machine ran, and {due} "
        f"records are due because of that. {_LOOK}",
    )


def share_stop(
    *,
    due: int,
    others: int,
    gone_today: int,
    kept: int,
    most_share: float,
    shortest_days: int,
    silence: timedelta | None,
) -> StoppedSweep | None:
    """Return why so much must not be deleted without confirmation, or None.

    Args:
        due: Recordings that would be deleted now.
        others: Other items that would be: rows, texts, decisions, tombstones.
        gone_today: Recordings deleted in the 24 hours before.
        kept: Recordings in the vault now.
        most_share: Percentage of the vault that may be deleted in a day.
        shortest_days: The shortest period in force: the share of `NATURAL_DAYS` of it may be deleted whatever
            ``most_share``.
        silence: Time since the last sweep; None if there was none.
    """
    if silence is not None and silence > LONG_SILENCE and due + others:
        return StoppedSweep(
            why=Stop.SHARE,
            sentence=f"nothing was swept for {silence.days} days, or the clock has jumped; {due} of {kept} recordings "
            f"and {others} other records are due. {_LOOK}",
        )
    before = kept + gone_today
    if not due or not before:
        return None
    share = 100.0 * (due + gone_today) / before
    most = max(most_share, 100.0 * NATURAL_DAYS / shortest_days)
    is_silent = silence is not None and silence > CLOCK_AHEAD
    if share <= most or (due + gone_today <= MANY and not is_silent):
        return None
    reason = f"nothing was swept for {silence.days} days, or the clock has jumped; " if silence and is_silent else ""
    return StoppedSweep(
        why=Stop.SHARE,
        sentence=f"{reason}{due} of {kept} recordings are due at once, and {gone_today} went in the last 24 hours: "
        f"more than {most:.3g} % of them. {_LOOK}",
    )
