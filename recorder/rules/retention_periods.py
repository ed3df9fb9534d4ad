"""Which retention periods hold, and how much of the recordings may go in a day. Pure.

A due date is worked out anew each time from the period in force, so that a longer
period counts at once for all that still exists; a shorter one counts when the DPO has confirmed it (P11).
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
        services: Days by service; None is as ``retention_days`` says.
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
    """A period that the configuration makes shorter than the one in force."""

    key: str
    days: int
    in_force: int

    @property
    def sentence(self) -> str:
        """Return it for people."""
        return f"{self.name} is {self.days} days, {self.in_force} are in force"

    @property
    def name(self) -> str:
        """Return the key as the configuration has it."""
        return f"retention_days of service {self.key[len(_SERVICE) :]!r}" if is_service(self.key) else self.key


def put_into_force(
    wanted: Periods, in_force: Periods | None, *, is_confirmed: bool
) -> tuple[dict[str, int], list[Shortening]]:
    """Decide which periods hold now.

    A longer period holds at once. A shorter one holds when the DPO has confirmed it; until then the longer one goes on
    holding. A service that is not configured any more keeps the period that it had; one that is new is measured by
    ``retention_days``.

    Args:
        wanted: As configured.
        in_force: As they were until now; None where nothing says so: then the schedule's own periods held. `recorder
            init` puts those of its answers into force.
        is_confirmed: The DPO has confirmed what is shorter.

    Returns:
        The periods that hold, and which of those configured are shorter than what held before.
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
"""Percent of the recordings that may go in a day, where nothing says otherwise."""


def share_in_force(wanted: float, in_force: float | None, *, is_confirmed: bool) -> float:
    """Return how much of the recordings may go in a day, percent: a larger share holds when the DPO has confirmed it.

    Args:
        wanted: As configured.
        in_force: As it was until now; None where nothing says so.
        is_confirmed: The DPO has confirmed what is larger.
    """
    return wanted if is_confirmed else min(wanted, MOST_SHARE if in_force is None else in_force)


def larger_share(wanted: float, in_force: float | None) -> str:
    """Return a sentence on a share that is configured larger than the one in force; empty where it is not."""
    held = share_in_force(wanted, in_force, is_confirmed=False)
    return f"most_share_a_day is {wanted:g} %, {held:g} % are in force" if wanted > held else ""


def is_service(key: str) -> bool:
    """Tell whether a period is that of a service's recordings."""
    return key.startswith(_SERVICE)
