"""The retention sweep: deletes all data that is due, and nothing else.

It runs in a process of its own (`sweep_process`) or in `recorder retention run`, never twice at once. Where several
nodes share the index it runs on one of them at a time (`sweep_sharing`). It deletes nothing while the clock is
implausible, while a rebuilt index waits for the DPO, or if more than a set share would be deleted in a day.
Interrupted at any point, the next sweep goes on. It needs no private key.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from recorder.recordings.agreement import read_mark
from recorder.recordings.resurrection_guard import LOCK, SweepBusyError, alone, catch_up
from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.call_deletion import RULE, CallDeletion, Progress, settle_orders
from recorder.retention.claims_due import carry_out_claims, count_claims, kinds_keeping
from recorder.retention.console_sweep import PeopleExpiry, note_swept
from recorder.retention.expiry import Expiry
from recorder.retention.own_sweep import OwnSweep
from recorder.retention.sweep_clock import SweepClock
from recorder.retention.sweep_consent import Confirmations, Consent
from recorder.retention.sweep_plan import Plan, PlanLine, candidate_of, damage_sentence
from recorder.retention.sweep_safeguards import (
    Stop,
    StoppedSweep,
    SweepStoppedError,
    clock_stop,
    forward_stop,
    share_stop,
)
from recorder.retention.sweep_sharing import SharedSweepFile, Sharing, announced, fenced
from recorder.retention.sweep_state import CLOCK, IN_FORCE, SWEPT, SweepFile, SweepState
from recorder.rules.deletion import due_at, earliest_start
from recorder.rules.retention_periods import (
    Periods,
    Shortening,
    days_of,
    is_service,
    larger_share,
    put_into_force,
    share_in_force,
)
from recorder.rules.retention_schedule import DataClass
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.deletion import Shredder
from storage.erasures import Erasures
from storage.errors import StorageError
from storage.hold_journal import steady
from storage.holds import Holds
from storage.leases import Lease
from storage.object_queries import ObjectQueries
from storage.old_calls import OldCalls
from storage.rows import time_to_json
from storage.types import RecordingId
from storage.vault import Vault

STOPPED = "retention.stopped"
"""Act of the audit log."""
SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """Plans and runs sweeps.

    Attributes:
        holds: Legal holds, which prevent deletion.
        erasures: Orders to erase; those of deleted recordings are closed.
        former: Former accounts and the like; None if the console sweeps those.
        erasing_lock: Held by a process that rewrites a finished recording.
        consents: Confirmations of two people.
        most_share: Percentage of the vault that may be deleted in a day.
        now: The clock, UTC.
        since_boot: Returns the id of the machine's boot and the seconds since then; None if unknown.
        sharing: What it shares with other nodes; None if this home has its index for itself.
    """

    vault: Vault
    calls: OldCalls
    shredder: Shredder
    holds: Holds
    erasures: Erasures
    former: AccountExpiry | None
    audit: AuditLog
    state: Path
    erasing_lock: Path
    consents: Confirmations
    periods: Periods
    most_share: float
    now: Callable[[], datetime]
    since_boot: Callable[[], tuple[str, float] | None] = lambda: None
    sharing: Sharing | None = None

    @property
    def file(self) -> SweepFile:
        """Return the file of the sweep's state."""
        if self.sharing is None:
            return SweepFile(self.state, self.audit)
        return SharedSweepFile(self.state, self.audit, self.sharing)

    @property
    def expiry(self) -> Expiry:
        """Return the sweep of the other classes of data."""
        people = None if self.former is None else PeopleExpiry(self.former)
        return Expiry(self.audit, self.holds, self.calls, self.shredder.deletions, people)

    @property
    def _clock(self) -> SweepClock:
        return SweepClock(calls=self.calls, audit=self.audit, since_boot=self.since_boot)

    @property
    def _call_deletion(self) -> CallDeletion:
        return CallDeletion(
            vault=self.vault, calls=self.calls, shredder=self.shredder, holds=self.holds, audit=self.audit,
            still=self._still,
        )  # fmt: skip

    @property
    def _own_sweep(self) -> OwnSweep:
        return OwnSweep(
            expiry=self.expiry, clock=self._clock, shredder=self.shredder, audit=self.audit, file=self.file,
            periods=self.periods, still=self._still,
        )  # fmt: skip

    # --- planning

    def plan(self, *, is_shorter_confirmed: bool = False) -> Plan:
        """Return what a sweep would do now; changes nothing.

        Args:
            is_shorter_confirmed: Plan as if the DPO had confirmed the shorter periods.

        Raises:
            StorageError, OSError: Database, audit log or disk failed.
        """
        now, state = self.now(), self.file.load()
        found, shorter = put_into_force(self.periods, state.in_force, is_confirmed=is_shorter_confirmed)
        share = share_in_force(self.most_share, state.most_share, is_confirmed=is_shorter_confirmed)
        plan = self._plan(now, state, found, shorter, share)
        plan.is_shorter_confirmed = is_shorter_confirmed
        return plan

    def _plan(self, now: datetime, state: SweepState, found: Periods, shorter: list[Shortening], share: float) -> Plan:
        lines: dict[tuple[DataClass, str], PlanLine] = {}
        damaged: list[RecordingId] = []
        for page in self.calls.begun_by(earliest_start(found, now + SOON), damaged.append):
            held = self.holds.kinds_among([call.id for call in page], now)
            for call in page:
                candidate = candidate_of(call)
                due = due_at(candidate, found)
                if due > now + SOON:
                    continue
                key = (candidate.data, call.service)
                if key not in lines:
                    lines[key] = PlanLine(data=candidate.data, service=call.service, days=days_of(found, *key))
                if due > now:
                    lines[key].soon.add(call)
                else:
                    lines[key].add_due(call, held.get(call.id, ()))
        plan = Plan(
            lines=[lines[key] for key in sorted(lines)],
            others=self.expiry.count(found, now, state.text_offset),
            kept=self.calls.count_recorded(),
            shorter=shorter,
            most_share=share,
            larger=larger_share(self.most_share, state.most_share),
            damaged=damaged,
            claims=count_claims(self.holds, now),
            claims_held=kinds_keeping(self.holds, now),
        )
        plan.stopped = self._stop(now, state, plan, found)
        return plan

    def _stop(self, now: datetime, state: SweepState, plan: Plan, found: Periods) -> StoppedSweep | None:
        forward = forward_stop(self._clock.ahead(now, state), due=plan.due_recordings + plan.due_others)
        return (
            self._unready(now, state)
            or forward
            or share_stop(
                due=plan.due_recordings,
                others=plan.due_others,
                gone_today=self.shredder.deletions.count(RULE, since=now - timedelta(days=1)),
                kept=plan.kept,
                most_share=plan.most_share,
                shortest_days=min(
                    days for key, days in found.items() if key in self.periods and _is_of_recordings(key)
                ),
                silence=self._clock.silence(now, state),
            )
        )

    def _unready(self, now: datetime, state: SweepState) -> StoppedSweep | None:
        if self.sharing is not None and (stopped := self.sharing.clock_stop(now)) is not None:
            return stopped
        if (mark := read_mark(self.state)) is not None:
            sentence = (
                f"{'; '.join(mark.why)}: nothing is deleted until the DPO has looked (`recorder index reconcile`)"
            )
            return StoppedSweep(why=Stop.RECONCILE, sentence=sentence)
        return clock_stop(now, self._clock.seen(state))

    # --- sweeping

    def confirm_shorter(self, by: str) -> list[Shortening]:
        """Put shorter periods, and a larger share, into force. The caller checks that the DPO confirms them.

        Returns:
            The periods that are shorter now.

        Raises:
            AuditUnavailableError, OSError: The audit entry cannot be written; nothing was changed.
            SweepBusyError: A sweep is running, with the periods that it began with.
        """
        with alone(self.state / LOCK), self._turn() as sweeper:
            state = sweeper.file.load()
            found, shorter = put_into_force(self.periods, state.in_force, is_confirmed=True)
            sweeper._keep_in_force(replace(state, unconfirmed=()), found, self.most_share, by)
        return shorter

    def seen_later(self) -> datetime | None:
        """Return the latest moment on record if it is later than now: the clock was wrong then, or is now.

        Raises:
            AuditUnavailableError, OSError: It cannot be read.
        """
        now = self.now()
        until = max((moment for moment in self._clock.seen(self.file.load()) if moment is not None), default=now)
        return until if until > now else None

    def confirm_clock(self, by: str) -> datetime | None:
        """Accept the clock as right, because two people said so: later moments on record came from a wrong clock.

        Args:
            by: Account of the second of them.

        Returns:
            The latest moment on record if it is later than now; None if there was nothing to confirm.

        Raises:
            AuditUnavailableError, OSError: The audit entry cannot be written; nothing was changed.
            SweepBusyError: A sweep is running.
            SweepStoppedError: Two people have not confirmed it.
        """
        with alone(self.state / LOCK), self._turn() as sweeper:
            now, state, until = self.now(), sweeper.file.load(), self.seen_later()
            if until is None:
                return None
            if self.consents.take(Stop.CLOCK, due=0, now=now) is None:
                raise SweepStoppedError(
                    StoppedSweep(why=Stop.CLOCK, sentence="Two people have to confirm that the clock is right.")
                )
            details = {"at": time_to_json(now), "until": time_to_json(until)}
            self.audit.append(CLOCK, by, "", details)
            sweeper.file.save(replace(state, last_success=None, wrong_times=(now, until)))
            return until

    def run(self, *, progress: Progress = lambda _done, _total: None, is_by_hand: bool = False) -> SweepState:
        """Sweep; returns the new state. More than the daily share is deleted only if two people confirmed it.

        Where several nodes share the index and another one has swept it lately, only what is on this machine alone is
        swept.

        Args:
            progress: Called with the progress.
            is_by_hand: Sweep the index in any case.

        Raises:
            SweepBusyError: Another sweep is running; what is on this machine alone was swept if that is another node's.
            SweepStoppedError: Nothing was deleted; a person has to decide.
            StorageError, OSError: Database, audit log or disk failed; the next sweep goes on.
        """
        with alone(self.state / LOCK):
            if self.sharing is None:
                return self._attempt(lambda now, state: self._sweep(now, state, progress))
            with self.sharing.turn() as lease:
                if lease is not None and (is_by_hand or not self.sharing.is_done()):
                    sweeper = self._with_lease(lease)
                    return sweeper._attempt(lambda now, state: sweeper._sweep(now, state, progress))
                state = self._attempt(lambda now, state: self._own_sweep.run(now, state, self._unready(now, state)))
            if lease is None:
                raise self.sharing.busy("what is on this machine alone was swept")
            return state

    def _attempt(self, sweep: Callable[[datetime, SweepState], SweepState]) -> SweepState:
        now = self.now()
        state = replace(self.file.load(), last_try=now, stopped="", problem="")
        try:
            return sweep(now, state)
        except SweepStoppedError as error:
            self.audit.append(STOPPED, RECORDER, "", {"why": str(error.why), "at": time_to_json(now)}, str(error))
            self.file.save(replace(self.file.load(), last_try=now, stopped=str(error), problem=""), is_done=True)
            raise
        except (StorageError, OSError) as error:
            if self.sharing is not None and (lost := self.sharing.lost()) is not None:
                raise SweepBusyError(str(lost)) from error
            with contextlib.suppress(StorageError, OSError):
                self.file.save(replace(self.file.load(), last_try=now, problem=str(error)))
            raise

    @contextlib.contextmanager
    def _turn(self) -> Iterator["Sweeper"]:
        """Give the sweeper that may write the site's state; SweepBusyError while another node sweeps."""
        if self.sharing is None:
            yield self
            return
        with self.sharing.turn() as lease:
            if lease is None:
                raise self.sharing.busy("do it again when that has ended")
            yield self._with_lease(lease)

    def _with_lease(self, lease: Lease) -> "Sweeper":
        assert self.sharing is not None
        sharing = self.sharing.with_lease(lease)
        database = fenced(sharing, self.holds.database)
        return replace(
            self, sharing=sharing, calls=OldCalls(database), holds=Holds(database), erasures=Erasures(database),
            shredder=self.shredder.on(database),
        )  # fmt: skip

    def _sweep(self, now: datetime, state: SweepState, progress: Progress) -> SweepState:
        if stopped := self._unready(now, state):
            raise SweepStoppedError(stopped)
        found, shorter = put_into_force(self.periods, state.in_force, is_confirmed=False)
        share = share_in_force(self.most_share, state.most_share, is_confirmed=False)
        noted = state.noting(shorter, larger_share(self.most_share, state.most_share))
        state = self._keep_in_force(noted, found, share, RECORDER)
        counts: Counter[str] = Counter()
        with self._still():
            done = catch_up(self.shredder, self.holds, self.now, is_thorough=True)
        counts["deleted_again"] = len(done.ids)
        plan = self._plan(now, state, found, shorter, share)
        consent = self._consent(plan, now)
        total = sum(line.due.count for line in plan.lines)
        counts += self._call_deletion.delete(found, now, total, progress)
        counts["damaged_rows"] = len(plan.damaged)
        with self._still():
            counts["claims_carried_out"] = carry_out_claims(self.shredder, self.holds, self.audit, now)
        self.shredder.tidy(now)
        counts["orders_settled"] = settle_orders(self.erasures, self.shredder.deletions, self.audit, now)
        offset, others = self.expiry.sweep(found, now, state.text_offset)
        counts += others
        if left := ObjectQueries(self.holds.database).counts(has_stored=False).removing:
            counts["objects_not_deleted"] = left  # the process that keeps the object store removes them
        details = {"counts": dict(counts), "at": time_to_json(now), "share_confirmed": consent is not None}
        state = replace(
            state,
            last_success=state.last_success if counts["not_deleted"] else now,
            problem="; ".join(_problems(counts["not_deleted"], plan.damaged)),
            counts=dict(counts),
            boot=state.boot if self._clock.is_same_start(now, state) and consent is None else self._clock.boot(now),
            text_offset=offset,
        )
        with announced(self.audit, SWEPT, RECORDER, "", details):
            self.file.save(state, is_done=not counts["not_deleted"])
        if self.former is not None:
            note_swept(self.state, now)
        self.shredder.deletions.clear_away()
        return state

    def _consent(self, plan: Plan, now: datetime) -> Consent | None:
        """Return the confirmation that lets a stopped sweep go on; None if it is not stopped."""
        if plan.stopped is None:
            return None
        is_for_people = plan.stopped.why is Stop.SHARE
        consent = self.consents.take(Stop.SHARE, due=plan.due_recordings, now=now) if is_for_people else None
        if consent is None:
            raise SweepStoppedError(plan.stopped)
        return consent

    def _keep_in_force(self, state: SweepState, found: Periods, share: float, by: str) -> SweepState:
        if (found, share) != (state.in_force, state.most_share):
            before = None if state.in_force is None else dict(state.in_force)
            details = {"periods": dict(found), "before": before, "most_share": share}
            state = replace(state, in_force=dict(found), most_share=share)
            with announced(self.audit, IN_FORCE, by, "", details):
                self.file.save(state)
        else:
            self.file.save(state)
        return state

    @contextlib.contextmanager
    def _still(self) -> Iterator[None]:
        """Keep finished recordings from being rewritten and holds from changing, for the length of a block."""
        with alone(self.erasing_lock, wait=True), steady(self.state, self.holds, self.audit):
            yield


def _problems(not_deleted: int, damaged: Sequence[RecordingId]) -> Iterator[str]:
    if not_deleted:
        yield f"{not_deleted} recordings could not be destroyed; the next sweep tries again"
    if damaged:
        yield damage_sentence(damaged)


def _is_of_recordings(key: str) -> bool:
    return key == "retention_days" or is_service(key)
