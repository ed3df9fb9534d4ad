"""The retention periods in force, and the share of recordings that may be deleted in a day. Pure.

A due date is computed anew each time from the period in force. So a longer period applies at once to everything that
still exists; a shorter one applies once the data protection officer has confirmed it (P11).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from recorder.rules.retention_schedule import SCHEDULE, DataClass

_SERVICE = "service/"

Periods = Mapping[str, int]
"""Days by key of ``[retention]``, and by ``service/NAME`` for the recordings of a service."""


def periods(days: Mapping[str, int], services: Mapping[str, int | None]) -> dict[str, int]:
    """Return the periods that a configuration asks for.

    Args:
        days: By key of ``[retention]``.
        services: Days by service; None for the default, ``retention_days``.
    """
    default = days[SCHEDULE[DataClass.RECORDINGS].key]
    return {**days, **{_SERVICE + name: default if own is None else own for name, own in services.items()}}


def days_of(found: Periods, data: DataClass, service: str = "") -> int:
    """Return the days that data of a class, and of a service, is kept."""
    key = SCHEDULE[data].key
    if data is DataClass.RECORDINGS:
        return found.get(_SERVICE + service, found[key])
    return found[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortening:
    """A configured period that is shorter than the one in force."""

    key: str
    days: int
    in_force: int

    @property
    def sentence(self) -> str:
        """Return the change as a sentence."""
        return f"{self.name} is {self.days} days, {self.in_force} are in force"

    @property
    def name(self) -> str:
        """Return the key as the configuration names it."""
        return f"retention_days of service {self.key[len(_SERVICE) :]!r}" if is_service(self.key) else self.key


def put_into_force(
    wanted: Periods, in_force: Periods | None, *, is_confirmed: bool
) -> tuple[dict[str, int], list[Shortening]]:
    """Decide which periods are in force now.

    A longer period is in force at once. A shorter one is in force once the data protection officer has confirmed it;
    until then the longer one stays. A service that is no longer configured keeps its period; a new one is compared with
    ``retention_days``.

    Args:
        wanted: As configured.
        in_force: As in force until now. None if nothing is stored: then the schedule's defaults were in force.
            `recorder init` stores the periods that were answered.
        is_confirmed: Whether the data protection officer has confirmed the shorter ones.

    Returns:
        The periods in force, and the configured ones that are shorter than before.
    """
    if in_force is None:
        in_force = {line.key: line.days for line in SCHEDULE.values()}
    default = in_force[SCHEDULE[DataClass.RECORDINGS].key]
    before = {key: in_force.get(key, default if is_service(key) else days) for key, days in wanted.items()}
    shorter = [
        Shortening(key=key, days=days, in_force=before[key]) for key, days in wanted.items() if days < before[key]
    ]
    kept = {one.key: one.in_force for one in shorter} if not is_confirmed else {}
    return {**in_force, **wanted, **kept}, shorter


MOST_SHARE = 5.0
"""Default for the percentage of recordings that may be deleted in a day."""


def share_in_force(wanted: float, in_force: float | None, *, is_confirmed: bool) -> float:
    """Return the percentage of recordings that may be deleted in a day. A larger one needs the DPO's confirmation.

    Args:
        wanted: As configured.
        in_force: As in force until now; None if nothing is stored.
        is_confirmed: Whether the data protection officer has confirmed the larger one.
    """
    return wanted if is_confirmed else min(wanted, MOST_SHARE if in_force is None else in_force)


def larger_share(wanted: float, in_force: float | None) -> str:
    """Return a sentence if the configured share is larger than the one in force, else ""."""
    held = share_in_force(wanted, in_force, is_confirmed=False)
    return f"most_share_a_day is {wanted:g} %, {held:g} % are in force" if wanted > held else ""


def is_service(key: str) -> bool:
    """Tell whether a key is that of a service's recordings."""
    return key.startswith(_SERVICE)
