"""The recording of one call: whose it is, by which rules, its tape and its row. Call thread only.

To people, keys and rules a recording is the same whether we stand in the call or a client copies it to us. What is done
to it is `recorder.calls.recording_controls`'s.
"""

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta

from audio.relay import Relay
from audio.types import LegId as MediaLegId
from recorder.calls.call_services import CallServices
from recorder.calls.component import Component, Result
from recorder.calls.recordable_call import RecordableCall
from recorder.calls.recording_in_progress import Gate, NotBegun, RecordingInProgress
from recorder.calls.rules.call_events import CallState
from recorder.calls.rules.call_operators import CallOperators
from recorder.calls.rules.identities import Identities
from recorder.common.serial_executor import after_all
from recorder.rules.outcome import Facts, settle
from recorder.rules.pausing import Final, PauseReasons, PauseState
from recorder.rules.policy import Extension, Nomination, Service
from recorder.rules.retention_periods import days_of
from recorder.rules.retention_schedule import DataClass
from recorder.rules.sign_on import NOT_PROVEN
from storage.types import Officer, Outcome, RecordingId, RecordingRow

_log = logging.getLogger(__name__)

CLOSING_S = 0.06
"""How long media legs stay open after a hang-up: its BYE may overtake the last packets."""


class Recording(Component[RecordableCall]):
    """One call's recording, from the offer of the call until its row is filed.

    Args:
        call: The call.
        nomination: Whose calls are recorded, and why this one is.
        service: The rules that it begins with.

    Attributes:
        id: Of the recording.
        services: The daemon's parts.
        clock: Of the call.
        table: The state of the call.
        operators: The officers, in the order in which the call came to them.
        operator: Whose call it is now.
        identities: Numbers that it is to be found by.
        related: Other recordings that belong with it.
        pause_reasons: Its pauses.
        in_progress: Its tape; None before its beginning.
        joined_at: When its sides were joined first.
        is_joining: Whether ``joined_at`` is of this turn: a tape that begins in it has its position 0 there.
        blocked: Why nothing of it may be recorded, or None.
        fault: Why nothing of it can be recorded, or None.
        identity_changed_s: When it was last learned that somebody else is on a side, monotonic seconds; None: never.
    """

    def __init__(self, call: RecordableCall, nomination: Nomination, service: Service) -> None:
        super().__init__(call)
        self.id: RecordingId = call.id
        self.services: CallServices = call.services
        self.clock = call.clock
        self.table = call.progress
        self.nomination = nomination
        self.service = service
        self.operators = CallOperators(self.services.sign_ons.seat_of, nomination)
        self.operator = self.operators.now
        self.identities = Identities()
        self.related: tuple[RecordingId, ...] = ()
        self.pause_reasons = PauseReasons()
        self.in_progress: RecordingInProgress | None = None
        self.sounds = self.services.sounds
        self.joined_at: datetime | None = None
        self.is_joining = False
        self.blocked: str | None = None
        self.fault: str | None = None
        self.identity_changed_s: float | None = None

    @property
    def call(self) -> RecordableCall:
        """Return the call."""
        return self._call

    @property
    def is_over(self) -> bool:
        """Tell whether the call has ended."""
        return self.table.state is CallState.ENDED

    def with_call(self, fn: Callable[..., Result]) -> Callable[..., Result]:
        """Return ``fn`` for somebody who calls it later, perhaps after the call's end: the call is kept until then."""
        return self._with_call(fn)

    # --- whose it is

    @property
    def extensions(self) -> list[Extension]:
        """Return the nominated extensions that are on the call now, as they are configured."""
        numbers, configured = self._call.numbers, self._nominated
        if not numbers <= configured.keys():  # rarely: every call in progress is listed, and there may be many
            configured = {**self.services.config.extensions, **configured}
        return [configured[number] for number in numbers if number in configured]

    @property
    def officers(self) -> tuple[Officer, ...]:
        """Return everybody on the call now whose calls are recorded, in the order of their extensions.

        Each segment says who they were. Of a call that comes back from somebody whose calls are not recorded those for
        whom it goes on.
        """
        there = self.extensions or list(self._nominated.values())
        return tuple(
            Officer(extension=one.number, operator=operator, team=one.team)
            for one in sorted(there, key=lambda one: one.number)
            for operator in self.operators.at((one.number,))
        )

    @property
    def _nominated(self) -> dict[str, Extension]:
        both = (self.nomination.extension, self.nomination.second)
        return {one.number: one for one in both if one is not None}

    def assign_to(self, extension: Extension) -> None:
        """Assign the call to this extension from now on."""
        self.nomination = replace(self.nomination, extension=extension)
        if self.in_progress is None:
            self.operators.open(extension)
        else:
            self.operators.add(extension)
        self.operator = self.operators.now

    def become(self, nomination: Nomination, service: Service) -> None:
        """Assign the call to the extension that a client names; a tape keeps the rules that it began with."""
        self.nomination = nomination
        if self.in_progress is None:
            self.operators = CallOperators(self.services.sign_ons.seat_of, nomination)
            self.service = service
        else:
            self.assign_to(nomination.extension)
        self.operator = self.operators.now

    def note_numbers(self, numbers: Iterable[str], *, is_claim: bool = False) -> None:
        """Note numbers that the recording is to be found by; see `Identities.add`."""
        if self.identities.add(numbers, is_claim=is_claim) and self.in_progress is not None:
            self.in_progress.describe(self.row())

    def note_party(self, before: str, number: str) -> None:
        """Note that a party is on a side, by the number that was there before and theirs."""
        if number != before:
            self.identity_changed_s = time.monotonic()
        self.note_numbers((number,))

    def relates_to(self, other: RecordingId) -> None:
        """Note that another recording belongs with this one."""
        if other not in self.related:
            self.related = (*self.related, other)
            if self.in_progress is not None:
                self.in_progress.describe(self.row())

    # --- its tape

    def open_tap(self, left: MediaLegId | None, right: MediaLegId | None) -> None:
        """Begin to record what arrives on two media legs; without memory for it the call goes on unrecorded."""
        opened_ns = self.clock.moment_ns(self.joined_at) if self.is_joining and self.joined_at is not None else None
        try:
            self.in_progress = RecordingInProgress(
                self.services,
                self.row(),
                self.pause_reasons,
                extension=self.nomination.extension.number,
                officers=self.officers,
                left=left,
                right=right,
                opened_ns=opened_ns,
            )
        except MemoryError as error:  # the conversation goes on: it is not to blame for our limits
            _log.error("call %s is not recorded: %s", self.id, error)
            self.fault = "memory_not_locked"
            self.services.alarm(self.fault)

    @property
    def gate(self) -> Gate:
        """Return what opens and shuts the recording gate; before the recording's beginning nothing is kept anyway."""
        return self.in_progress or NotBegun(self.pause_reasons)

    def mask_around_now(self, before_s: float, after_s: float) -> None:
        """Silence what was recorded around now, and since the act in progress was requested."""
        if self.in_progress is not None:
            now_s = self.in_progress.position_s
            self.in_progress.mask(now_s - before_s - self.services.lateness.seconds, now_s + after_s)

    # --- what is written down

    def store_state(self, state: PauseState, reasons: list[str], position_s: float) -> "Future[None]":
        """Write down how the recording stands; done when it is on disk."""
        also = self._call.store_elsewhere(state, reasons)
        kept = self.services.pauses.put(self.id, state=state.value, reasons=reasons, position_s=position_s)
        return after_all(kept, *also) if also else kept

    def row(self) -> RecordingRow:
        """Return the row as it stands; it starts when the sides were joined, as positions do."""
        call, operators, started_at = self._call, self.operators, self.joined_at or self.clock.started_at
        row = RecordingRow(
            id=self.id,
            started_at=started_at,
            ended_at=None,
            direction=self.nomination.direction.value,
            extension=operators.first.number,
            operator=operators.opened_by,
            operators=operators.names,
            extensions=operators.extensions,
            numbers=tuple(number for number in self.identities.numbers if number not in (call.caller, call.called)),
            related=self.related,
            service=self.service.name,
            team=operators.first.team,
            caller=call.caller,
            called=call.called,
            outcome=Outcome.FAILED,
            reason="in_progress",
            notice=call.proof,
            opted_out=self.pause_reasons.final is Final.OPTED_OUT,
            card_payment=self.service.card_payment.value,
            retention_due=self._due(started_at),
            operator_key=self.services.operator_key(operators.opened_by),
            remarks=() if operators.is_proven else (NOT_PROVEN,),
        )
        return call.complete_row(row)

    def _due(self, ended_at: datetime) -> datetime:
        """Return when a recording that ended then is due, as things stand now; the sweep works it out anew."""
        days = days_of(self.services.config.periods, DataClass.RECORDINGS, self.service.name)
        return ended_at + timedelta(days=days)

    def close(self, facts: Facts, codecs: tuple[str, str], ended_at: datetime, *, silent_s: float = 0.0) -> None:
        """End the tape, if there is one, and file the row; media legs are closed.

        Args:
            facts: How the call ended.
            codecs: Of the left and the right channel.
            ended_at: When, by the call's clock.
            silent_s: How long before that it really ended, where nobody hung up.
        """
        ended_at -= timedelta(seconds=silent_s)
        row = replace(self.row(), ended_at=ended_at, retention_due=self._due(ended_at), codecs=codecs)
        if self.in_progress is not None:
            self.in_progress.finish(facts, row, self._file, silent_s=silent_s)
            return
        final = self.pause_reasons.final
        facts = replace(facts, opted_out=final is Final.OPTED_OUT, discarded=final is Final.DISCARDED)
        outcome, reason = settle(facts)
        self.services.filing.submit(self._file, replace(row, outcome=outcome, reason=reason))

    def _file(self, row: RecordingRow) -> None:
        """File the row; on the filing thread."""
        self.services.rows.save(row)
        if self.in_progress is None or not self.in_progress.file.is_left_behind:
            self.services.pauses.drop(self.id)
        self.services.publish({"event": "recording", "id": row.id, "outcome": row.outcome.value, "reason": row.reason})


def silence_of(relay: Relay, legs: Iterable[MediaLegId | None]) -> float:
    """Return how long ago the last of these media legs was heard, seconds; 0 where there is none."""
    silent = [relay.silence_s(leg) for leg in legs if leg is not None]
    return max(min(silent, default=0.0) - CLOSING_S, 0.0)
