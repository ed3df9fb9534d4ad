"""What a sweep shares with the other nodes of a site: whose turn it is, and the state that one leaves for the next.

Any node sweeps what is in the shared index, one at a time and once a day. What is on a node's own disk each node
sweeps itself. Periods in force, confirmations and the last results belong to the site, so they are in the database,
with the lease; a copy is in each home's state file.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.common.turns import Turn
from recorder.recordings.resurrection_guard import LOCK, SweepBusyError, alone
from recorder.retention.sweep_safeguards import CLOCK_BACK, Stop, StoppedSweep
from recorder.retention.sweep_state import NAME, SweepFile, SweepState, read_state, state_for_file, state_from_json
from recorder.rules import times
from storage.audit import AuditLog
from storage.database import Database
from storage.errors import LeaseLostError, StorageError
from storage.leases import Lease, Leases

WORK = "sweep"
"""Name of the lease."""
NOT_DONE = "retention.not_done"
"""Act of the audit log: an earlier entry announces an act that this node did not do, since another had taken over."""
ONCE_IN = timedelta(hours=12)
"""After a sweep no other node sweeps for so long."""
_OF_THE_SITE = (
    "in_force", "most_share", "unconfirmed", "last_try", "last_success", "stopped", "problem", "counts", "wrong_times",
)  # fmt: skip


def _clock_of(leases: Leases) -> Callable[[], datetime | None]:
    def read() -> datetime | None:
        state = leases.get(WORK)
        return None if state is None else state.now

    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """How one node's sweep shares with others.

    Attributes:
        leases: The leases of the site.
        holder: This node, for the lease.
        node: Its name; "" if it has none.
        lease: The lease, while this node has it.
        clock: Returns the database's clock; None: the one of ``leases``.
    """

    leases: Leases
    holder: str
    node: str
    lease: Lease | None = None
    clock: Callable[[], datetime | None] | None = None

    @contextlib.contextmanager
    def turn(self) -> Iterator[Lease | None]:
        """Hold the lease of the sweep for the length of a block; gives None while another node has it."""
        turn = Turn(self.leases, WORK, self.holder)
        try:
            with turn.mine() as lease:
                yield lease
        finally:
            turn.close()

    def with_lease(self, lease: Lease) -> "Sharing":
        """Return the same with a lease."""
        return replace(self, lease=lease)

    def lost(self) -> LeaseLostError | None:
        """Return the error of a lease that another has taken; None if it has not, or the database does not answer."""
        try:
            if self.lease is not None:
                self.leases.check(self.lease)
        except LeaseLostError as error:
            return error
        except StorageError:
            return None
        return None

    def is_done(self) -> bool:
        """Tell whether some node has swept lately."""
        state = self.leases.get(WORK)
        return state is not None and state.done_at is not None and state.now - state.done_at < ONCE_IN

    def clock_stop(self, now: datetime) -> StoppedSweep | None:
        """Return why this node's clock is implausible beside the database's, or None."""
        other = (self.clock or _clock_of(self.leases))()
        if other is None or abs(now - other) <= CLOCK_BACK:
            return None
        return StoppedSweep(
            why=Stop.CLOCK,
            sentence=f"the clock of this machine says {times.moment_utc(now)} and that of the database "
            f"{times.moment_utc(other)}: set the wrong one right, both by NTP",
        )

    def busy(self, then: str) -> SweepBusyError:
        """Return the error of a node that found another one sweeping, with what that means here."""
        state = self.leases.get(WORK)
        holder = "another node" if state is None or state.holder is None else state.holder
        return SweepBusyError(f"{holder} is sweeping already; {then}")


class SharedSweepFile(SweepFile):
    """The state file of a home whose index several nodes share.

    Args:
        folder: ``state`` of the home.
        audit: Read if the file is missing or damaged.
        sharing: The site's state; it is written only with the lease.
    """

    def __init__(self, folder: Path, audit: AuditLog, sharing: Sharing) -> None:
        super().__init__(folder, audit)
        self._sharing = sharing

    def load(self) -> SweepState:
        """Return this home's state with what belongs to the site from the database.

        Raises:
            StorageError, OSError: It cannot be read.
        """
        own = super().load()
        shared = self._sharing.leases.get(WORK)
        if shared is None or not shared.note:
            return own
        site = state_from_json(shared.note)
        return replace(own, **{name: getattr(site, name) for name in _OF_THE_SITE})

    def save(self, state: SweepState, *, is_done: bool = False) -> None:
        """Store the state in the home and, with the lease, in the database.

        Args:
            state: The state.
            is_done: The site's sweep is completed.

        Raises:
            LeaseLostError: Another node has taken over; nothing was stored.
            StorageError, OSError: It cannot be written.
        """
        lease = self._sharing.lease
        if lease is not None:
            self._sharing.leases.complete(lease, state_for_file(state), is_done=is_done)
        super().save(state)


def refresh_copy(state: Path, audit: AuditLog, sharing: Sharing) -> None:
    """Bring a home's copy of the site's state up to date, for health; skipped while this home sweeps.

    Raises:
        StorageError, OSError: It cannot be read or written.
    """
    own = read_state(state / NAME)
    if own is None:
        return
    with contextlib.suppress(SweepBusyError), alone(state / LOCK):
        file = SharedSweepFile(state, audit, sharing)
        site = file.load()
        if site != own and not _is_of_this_machine(own, site):
            file.save(site)


def _is_of_this_machine(own: SweepState, site: SweepState) -> bool:
    """Tell whether a home's copy has a failure of its own sweep that is later than the site's last one."""
    is_later = own.last_try is not None and (site.last_try is None or own.last_try > site.last_try)
    return bool(own.problem or own.stopped) and is_later


@contextlib.contextmanager
def announced(audit: AuditLog, act: str, actor: str, subject: str, details: dict[str, Any]) -> Iterator[None]:
    """Write the entry of an act to the audit log, then do it in the block.

    If another node has taken over, the act is not done; a second entry says so.

    Raises:
        AuditUnavailableError: The entry cannot be written; nothing was done.
    """
    entry = audit.append(act, actor, subject, details)
    try:
        yield
    except LeaseLostError:
        audit.append(NOT_DONE, actor, subject, {"entry": entry.number, "act": act})
        raise


def fenced(sharing: Sharing, database: Database) -> Database:
    """Return the database as this node may write to it in a sweep: only while it has the lease, if it has one."""
    return database if sharing.lease is None else sharing.leases.fenced(sharing.lease)
