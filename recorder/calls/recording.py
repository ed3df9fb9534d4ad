"""The recording of one call: its officers, service, recording in progress and row. Call thread only.

It is the same for a bridged call and for a recording session. `recorder.calls.recording_controls` has the acts on it.
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
from storage.types import Officer, Outcome, PlayedMessage, RecordingId, RecordingRow

_log = logging.getLogger(__name__)

CLOSING_S = 0.06
"""How long media legs stay open after a hang-up at least, seconds: the BYE may overtake the last packets."""


class Recording(Component[RecordableCall]):
    """One call's recording, from the INVITE until the row is filed.

    Args:
        nomination: The extension for which the call is recorded, and the call's direction.
        service: The service whose rules apply at the beginning.

    Attributes:
        operators: The officers who had the call, in order.
        operator: The officer who has the call now.
        identities: Numbers by which the recording can be found.
        related: Ids of other recordings that belong with this one.
        pause_reasons: The reasons of the current pause, and whether recording has ended.
        in_progress: The recording in progress; None before it begins.
        joined_at: When the sides were joined for the first time.
        is_joining: Whether the sides are being joined for the first time now: a recording in progress that begins now
            has position 0 at ``joined_at``.
        blocked: Why nothing may be recorded, or None.
        fault: Why nothing can be recorded, or None.
        identity_changed_s: When a party last changed, monotonic seconds; None if none has.
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
        self.second_messages: tuple[PlayedMessage, ...] = ()
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
        """Return the call's recorded part."""
        return self._call

    @property
    def is_over(self) -> bool:
        """Tell whether the call has ended."""
        return self.table.state is CallState.ENDED

    def with_call(self, fn: Callable[..., Result]) -> Callable[..., Result]:
        """Return ``fn`` as a callback that keeps the call in memory, for timers and futures."""
        return self._with_call(fn)

    # --- officers

    @property
    def extensions(self) -> list[Extension]:
        """Return the nominated extensions that are on the call now, as they are configured."""
        numbers, configured = self._call.numbers, self._nominated
        if not numbers <= configured.keys():  # checked first, because this runs for every call of a listing
            configured = {**self.services.config.extensions, **configured}
        return [configured[number] for number in numbers if number in configured]

    @property
    def officers(self) -> tuple[Officer, ...]:
        """Return the officers on the call now, in the order of their extensions.

        Each segment stores them. If no nominated extension is on the call, these are the officers of the nomination.
        """
        extensions = self.extensions or list(self._nominated.values())
        return tuple(
            Officer(extension=extension.number, operator=operator, team=extension.team)
            for extension in sorted(extensions, key=lambda extension: extension.number)
            for operator in self.operators.at((extension.number,))
        )

    @property
    def _nominated(self) -> dict[str, Extension]:
        both = (self.nomination.extension, self.nomination.second)
        return {extension.number: extension for extension in both if extension is not None}

    def assign_to(self, extension: Extension) -> None:
        """Assign the call to this extension from now on."""
        self.nomination = replace(self.nomination, extension=extension)
        if self.in_progress is None:
            self.operators.open(extension)
        else:
            self.operators.add(extension)
        self.operator = self.operators.now

    def renominate(self, nomination: Nomination, service: Service) -> None:
        """Assign the call to the extension that an SRC names; a recording in progress keeps its service."""
        self.nomination = nomination
        if self.in_progress is None:
            self.operators = CallOperators(self.services.sign_ons.seat_of, nomination)
            self.service = service
        else:
            self.assign_to(nomination.extension)
        self.operator = self.operators.now

    def note_numbers(self, numbers: Iterable[str], *, is_claim: bool = False) -> None:
        """Note numbers by which the recording can be found; see `Identities.add`."""
        if self.identities.add(numbers, is_claim=is_claim) and self.in_progress is not None:
            self.in_progress.update_row(self.row())

    def note_party(self, before: str, number: str) -> None:
        """Note a party on a side, by their number and the number on that side before."""
        if number != before:
            self.identity_changed_s = time.monotonic()
        self.note_numbers((number,))

    def relates_to(self, other: RecordingId) -> None:
        """Note that another recording belongs with this one."""
        if other not in self.related:
            self.related = (*self.related, other)
            if self.in_progress is not None:
                self.in_progress.update_row(self.row())

    def second_message_began(self, by: str = "") -> None:
        """Note that the second message is played; ``by`` is who asked, empty for the caller by a key."""
        self.second_messages = (*self.second_messages, PlayedMessage(started_at=self.clock.now, by=by))

    def second_message_ended(self, *, is_complete: bool) -> None:
        """Note the end of the second message that began last."""
        if self.second_messages:
            *before, last = self.second_messages
            self.second_messages = (*before, replace(last, ended_at=self.clock.now, complete=is_complete))

    # --- the recording in progress

    def open_tap(self, left: MediaLegId | None, right: MediaLegId | None) -> None:
        """Begin to record two media legs; if there is no memory for it, the call goes on without a recording."""
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
        except MemoryError as error:
            _log.error("call %s: not recorded: %s", self.id, error)
            self.fault = "memory_not_locked"
            self.services.alarm(self.fault)

    @property
    def gate(self) -> Gate:
        """Return the object that opens and shuts the recording gate: the recording in progress or a stand-in."""
        return self.in_progress or NotBegun(self.pause_reasons)

    def mask_around_now(self, before_s: float, after_s: float) -> None:
        """Silence both channels from ``before_s`` before the act in progress was requested to ``after_s`` from now."""
        if self.in_progress is not None:
            now_s = self.in_progress.position_s
            self.in_progress.mask(now_s - before_s - self.services.lateness.seconds, now_s + after_s)

    # --- storage

    def store_state(self, state: PauseState, reasons: list[str], position_s: float) -> "Future[None]":
        """Store the pause state and the position from which it holds; the future is done when it is on disk."""
        also = self._call.store_elsewhere(state, reasons)
        stored = self.services.pauses.put(self.id, state=state.value, reasons=reasons, position_s=position_s)
        return after_all(stored, *also) if also else stored

    def row(self, *, ended_at: datetime | None = None, codecs: tuple[str, str] = ("", "")) -> RecordingRow:
        """Return the row as of now; like positions, it starts when the sides were joined.

        Args:
            ended_at: When the call ended, by its clock; None while it goes on.
            codecs: The codecs of the left and the right channel.
        """
        call, operators, started_at = self._call, self.operators, self.joined_at or self.clock.started_at
        row = RecordingRow(
            id=self.id,
            started_at=started_at,
            ended_at=ended_at,
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
            codecs=codecs,
            notice=call.proof,
            second_messages=self.second_messages,
            opted_out=self.pause_reasons.final is Final.OPTED_OUT,
            card_payment=self.service.card_payment.value,
            retention_due=self._due(ended_at or started_at),
            operator_key=self.services.operator_key(operators.opened_by),
            remarks=() if operators.is_proven else (NOT_PROVEN,),
            node=self.services.config.node.name or "",
        )
        return call.complete_row(row)

    def _due(self, ended_at: datetime) -> datetime:
        """Return when a recording is due by the retention schedule of now; the sweep calculates it again."""
        days = days_of(self.services.config.periods, DataClass.RECORDINGS, self.service.name)
        return ended_at + timedelta(days=days)

    def close(self, facts: Facts, codecs: tuple[str, str], ended_at: datetime, *, silent_s: float = 0.0) -> None:
        """End the recording in progress, if there is one, and file the row. The media legs must be closed.

        Args:
            facts: How the call ended.
            codecs: The codecs of the left and the right channel.
            ended_at: When the call ended, by its clock.
            silent_s: How long no media had arrived before that, if nobody hung up.
        """
        ended_at -= timedelta(seconds=silent_s)
        row = self.row(ended_at=ended_at, codecs=codecs)
        if self.in_progress is not None:
            self.in_progress.finish(facts, row, self._file, silent_s=silent_s)
            return
        final = self.pause_reasons.final
        facts = replace(facts, opted_out=final is Final.OPTED_OUT, discarded=final is Final.DISCARDED)
        outcome, reason = settle(facts)
        self.services.filing.submit(self._file, replace(row, outcome=outcome, reason=reason))

    def _file(self, row: RecordingRow) -> None:
        """File the row. Filing thread."""
        self.services.rows.save(row)
        self.services.tallies.ended.add(row.outcome.value)
        reason = f" ({row.reason})" if row.reason else ""
        _log.info(
            "call %s: %s, ended after %.1f s: %s%s",
            row.id, row.direction or "no direction", row.duration_s, row.outcome.value, reason,
        )  # fmt: skip
        if self.in_progress is None or not self.in_progress.file.is_left_behind:
            self.services.pauses.drop(self.id)
        self.services.publish({"event": "recording", "id": row.id, "outcome": row.outcome.value, "reason": row.reason})


def silence_of(relay: Relay, legs: Iterable[MediaLegId | None]) -> float:
    """Return how long ago the last packet arrived on any of these media legs, seconds; 0 if there are none."""
    silent = [relay.legs.silence_s(leg) for leg in legs if leg is not None]
    return max(min(silent, default=0.0) - CLOSING_S, 0.0)
