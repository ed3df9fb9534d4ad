"""Why a sweep must not go on until somebody has looked: a clock that jumped, or too much that is due at once. Pure."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

CLOCK_BACK = timedelta(hours=1)
"""A clock may be so far behind what it has shown before: more than it is ever stepped."""

CLOCK_AHEAD = timedelta(days=7)
"""After a longer silence nobody can tell a long holiday from a clock that has jumped."""

LONG_SILENCE = timedelta(days=30)
"""After so long nothing at all goes without somebody's word, however little it is."""

SET_FORWARD = timedelta(days=1)
"""So far a clock may run ahead of the machine's own time since the first sweep after its start. That goes on while a
virtual machine does not, so a little is no sign of anything."""

MANY = 50
"""So many recordings may go in a day however small the vault is."""

NATURAL_DAYS = 3
"""So many days' recordings may go in a day: after a weekend without a sweep."""


class Stop(enum.StrEnum):
    """Why a sweep does not delete anything until somebody has looked."""

    CLOCK = "clock"
    SHARE = "share"
    RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedSweep:
    """A sweep must not go on; the sentence says why and what to do."""

    why: Stop
    sentence: str


def clock_stop(now: datetime, seen: Iterable[datetime | None]) -> StoppedSweep | None:
    """Return why a clock cannot be believed, or None.

    Args:
        now: What it says, aware.
        seen: Moments that lie in the past for certain: of the last sweep, the newest call, the newest audit entry.
    """
    newest = max((moment for moment in seen if moment is not None), default=None)
    if newest is None or now >= newest - CLOCK_BACK:
        return None
    return StoppedSweep(
        why=Stop.CLOCK,
        sentence=f"the clock says {now:%Y-%m-%d %H:%M} UTC, but this recorder has seen {newest:%Y-%m-%d %H:%M} "
        "already: set the clock right; if it was wrong then, two people say so, one the data protection officer or the "
        "deputy and neither of ICT: `recorder retention confirm-clock --as NAME`",
    )


_LOOK = (
    "Look at the clock and at `recorder retention --dry-run`; once two people have said "
    "`recorder retention run --confirm-share --as NAME`, one of them the data protection officer or the deputy and "
    "neither of ICT, what is due is deleted"
)


def forward_stop(ahead: timedelta, *, due: int) -> StoppedSweep | None:
    """Return why a clock that was set forward, in one step or in many, must not have anything deleted, or None.

    Args:
        ahead: How far it went ahead of the machine's own time.
        due: Recordings, and what else there is, that would go now.
    """
    if ahead <= SET_FORWARD or not due:
        return None
    return StoppedSweep(
        why=Stop.SHARE,
        sentence=f"the clock was set forward by {ahead.total_seconds() / 3600:.0f} h while this machine ran, and {due} "
        f"records are due by it. {_LOOK}",
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
    """Return why so much must not go without somebody's word, or None.

    Args:
        due: Recordings that would go now.
        others: What else would: rows, texts, decisions, tombstones.
        gone_today: Recordings that went in the 24 hours before.
        kept: Recordings in the vault now.
        most_share: Percent of the vault that may go in a day.
        shortest_days: The shortest period in force: its natural share of some days may go whatever ``most_share`` is.
        silence: Since the last sweep; None if there was none.
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
