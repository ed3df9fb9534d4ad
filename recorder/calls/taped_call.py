"""What can be done to a call's recording, whoever connects its sides: the acts, the tap, the row. Call thread only.

`recorded_call` is a call that we stand in, `siprec_call` one that a client copies to us: to people, keys and rules both
are the same.
"""

import logging
from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from audio.types import LegId as MediaLegId
from audio.types import MediaEvent, Prompt
from recorder.calls.acts import Act, new_act_id
from recorder.calls.call_facts import officers_of
from recorder.calls.call_row import due_from, listing_of, row_of
from recorder.calls.gate_acts import GateActs
from recorder.calls.group_acts import Done
from recorder.calls.keypad import Keypad
from recorder.calls.rules.call import Call, Side
from recorder.calls.rules.crew import Crew
from recorder.calls.rules.identities import Identities
from recorder.calls.rules.transfer import Occupant
from recorder.calls.second_message import Second
from recorder.calls.signalled import Signalled
from recorder.calls.switchboard import Switchboard
from recorder.calls.taping import Taping
from recorder.calls.works import Sounds, Works
from recorder.rules.live_access import Permit
from recorder.rules.outcome import Facts, settle
from recorder.rules.pausing import AGENT, Authority, Final, PauseBook, PauseState
from recorder.rules.policy import Extension, Nomination, Service
from storage.types import NoticeProof, Officer, Outcome, RecordingId, RecordingRow

_log = logging.getLogger(__name__)

CLOSING_S = 0.06
"""How long media legs stay open after a hang-up: its BYE may overtake the last packets."""


class TapedCall(Signalled):
    """A call with a recording. Whoever derives from it sets what is declared here."""

    id: RecordingId
    works: Works
    board: Switchboard
    call: Call
    nomination: Nomination
    crew: Crew
    identities: Identities
    related: tuple[RecordingId, ...] = ()
    operator: str
    service: Service
    book: PauseBook
    taping: Taping | None = None
    sounds: Sounds
    joined_at: datetime | None = None
    identity_changed_s: float | None = None
    """When it was last learned that somebody else is on a side, monotonic seconds; None: never."""
    is_joining: bool = False
    """Whether `joined_at` is of this turn: a recording that begins in it has its position 0 there."""
    blocked: str | None = None
    fault: str | None = None
    gate: GateActs
    keypad: Keypad
    second: Second

    # --- what differs

    @property
    @abstractmethod
    def caller(self) -> str:
        """Return the number that calls."""

    @property
    @abstractmethod
    def called(self) -> str:
        """Return the number that was dialled."""

    @property
    @abstractmethod
    def proof(self) -> NoticeProof:
        """Return what is known of the notice."""

    @property
    @abstractmethod
    def is_held(self) -> bool:
        """Tell whether one of the sides is on hold."""

    @abstractmethod
    def tell_officer(self, sound: Prompt, side: Side | None = None) -> None:
        """Play a confirmation to the officer on a side, where there is a way to; None: to the one with the keys."""

    @abstractmethod
    def receive_media(self, event: MediaEvent, leg: MediaLegId) -> None:
        """Take what the media core saw on one of the call's legs."""

    @property
    def is_listed(self) -> bool:
        """Tell whether people may see the call."""
        return True

    def tell(self) -> None:
        """Tell those who watch how the call is now, if people may see it."""
        if self.is_listed:
            self.works.publish({"event": "call", **self.as_json()})

    @abstractmethod
    def close(self, end: str) -> None:
        """Close the media legs, then the recording (`close_recording`)."""

    # --- acts on the recording

    def pause(self, reason: str, by: str, *, acts: Collection[str] = (), may_discard: bool = True) -> Act:
        """Pause the recording of this call; see `GateActs`."""
        return self.gate.pause(reason, by, acts=acts, may_discard=may_discard)

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> Act:
        """Take away the reasons that an authority may clear, of this call; see `GateActs`."""
        return self.gate.resume(authority, by, token=token, acts=acts)

    def opt_out(self, reason: str, by: str) -> Act:
        """Stop recording for the rest of the call; see `GateActs`."""
        return self.gate.opt_out(reason, by)

    def forgot(
        self, seconds: float | None, by: str, *, acts: Collection[str] = (), may_erase_alone: bool = True
    ) -> Act:
        """Pause, and order the last seconds (None: everything so far) to be erased; see `GateActs`."""
        return self.gate.forgot(seconds, by, acts=acts, may_erase_alone=may_erase_alone)

    def has_keys(self, side: Side) -> bool:
        """Tell whether an officer is on a side, whose keys act."""
        return side is self.call.officer

    def operator_on(self, side: Side) -> str:
        """Return who of the officers is on a side; the one with the keys where it is none of them."""
        there = self.crew.at((self.extension_on(side),))
        return min(there, default=self.operator) if side is not self.call.officer else self.operator

    def extension_on(self, side: Side) -> str:
        """Return the extension on a side; the one with the keys where there is none."""
        return self.officer_extension

    def pause_group(self, reason: str, by: str, permit: Permit, *, side: Side | None = None) -> Done:
        """Pause this call and every other one at its extensions, at the side's for AGENT; see `GroupActs`."""
        at = (self.extension_on(side or self.call.officer),) if reason == AGENT else ()
        return self.board.group_acts.pause([self], reason, by, at=at, may_discard=permit.may_discard)

    def resume_group(self, by: str, permit: Permit) -> Done:
        """Resume this call, and what the same acts closed at its extensions; see `GroupActs`."""
        return self.board.group_acts.resume([self], permit.authority, by)

    def credit_group(self, reason: str) -> None:
        """Have a reason that holds the conversation's pause given once more: it outlives what gave it before."""
        act = (new_act_id(),)
        for call in (self, *self.same_conversation):
            if reason in call.book.reasons:
                call.book.credit(reason, act)

    @property
    def same_conversation(self) -> "Sequence[TapedCall]":
        """Return the other recordings in progress of the same conversation."""
        return self.board.group_acts.same_conversation(self)

    @property
    def twins(self) -> Sequence["TapedCall"]:
        """Return the calls to which this one passes every act by itself."""
        return ()

    @property
    def ends(self) -> tuple[Occupant, Extension] | None:
        """Return the outside party and the officer's extension now; None where they are not both known."""
        return None

    @property
    def conversation(self) -> RecordingId:
        """Return the id of the oldest recording in progress of the same conversation."""
        same = [self, *self.same_conversation, *self.twins]
        return min(same, key=lambda call: call.began_s).id

    def relates_to(self, other: RecordingId) -> None:
        """Note that another recording belongs with this one."""
        if other not in self.related:
            self.related = (*self.related, other)
            if self.taping is not None:
                self.taping.describe(self.row())

    def keep_state(self, state: PauseState, reasons: list[str], position_s: float) -> "Future[None]":
        """Write down how the recording stands; done when it is on disk."""
        return self.works.pauses.put(self.id, state=state.value, reasons=reasons, position_s=position_s)

    def file_discarded(self) -> None:
        """File the row of a call of which nothing is left: were we killed, no container could tell of it."""
        row = replace(self.row(), outcome=Outcome.BLOCKED, reason="discarded")
        self.works.filing.submit(self.works.rows.save, row)

    @property
    def mask_card_digits(self) -> bool:
        """Tell whether the outside party's digits are kept from the officer."""
        return self.service.mask_card_digits

    @property
    def pause_reasons(self) -> frozenset[str]:
        """Return what holds the pause, and is not about to be taken away."""
        return self.gate.lasting_reasons

    @property
    def is_taped(self) -> bool:
        """Tell whether there is a recording to pause."""
        return self.taping is not None

    def mask_lately(self, before_s: float, after_s: float) -> None:
        """Silence what was recorded around now, and since the act in progress was requested."""
        if self.taping is not None:
            now_s = self.taping.position_s
            self.taping.mask(now_s - before_s - self.works.lateness.seconds, now_s + after_s)

    @property
    def asked_ns(self) -> int:
        """Return the request time of the act in progress, monotonic nanoseconds; now if none is."""
        return self.works.lateness.asked_ns

    def open_tap(self, left: MediaLegId | None, right: MediaLegId | None) -> None:
        """Begin to record what arrives on two media legs; without memory for it the call goes on unrecorded."""
        opened_ns = self.moment_ns(self.joined_at) if self.is_joining and self.joined_at is not None else None
        try:
            self.taping = Taping(
                self.works,
                self.row(),
                self.book,
                extension=self.nomination.extension.number,
                officers=self.officers,
                left=left,
                right=right,
                opened_ns=opened_ns,
            )
        except MemoryError as error:  # the conversation goes on: it is not to blame for our limits
            _log.error("call %s is not recorded: %s", self.id, error)
            self.fault = "memory_not_locked"
            self.works.alarm(self.fault)

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""
        if self.book.is_away:
            return frozenset()
        both = (self.nomination.extension, self.nomination.second)
        return frozenset(one.number for one in both if one is not None)

    @property
    def officers(self) -> tuple[Officer, ...]:
        """Return everybody on the call now whose calls are recorded: each segment says who they were."""
        return officers_of(self)

    @property
    def officer_extension(self) -> str:
        """Return the extension of the officer who has the keys, which on an internal call is one of two."""
        return self.nomination.extension.number

    def hand_to(self, extension: Extension) -> None:
        """Take it that the call is this extension's now."""
        self.nomination = replace(self.nomination, extension=extension)
        if self.taping is None:
            self.crew.open(extension)
        else:
            self.crew.add(extension)
        self.operator = self.crew.now

    # --- the end

    def finish(self, end: str) -> None:
        """Close media after its last packets, then the recording; file the row."""
        self.gate.end()
        self.works.scheduler.call_later(CLOSING_S, self.close, end)

    # --- what is written down

    def row(self) -> RecordingRow:
        """Return the call's row as it stands."""
        return row_of(self)

    def as_json(self) -> dict[str, Any]:
        """Return the call as `GET /api/calls` lists it."""
        return listing_of(self)

    def silent_s(self, legs: Iterable[MediaLegId | None]) -> float:
        """Return how long ago the last of these media legs was heard; 0 where there is none."""
        silent = [self.works.relay.silence_s(leg) for leg in legs if leg is not None]
        return max(min(silent, default=0.0) - CLOSING_S, 0.0)

    def close_recording(
        self, facts: Facts, codecs: tuple[str, str], ended_at: datetime, *, silent_s: float = 0.0
    ) -> None:
        """End the recording, if there is one, and file the row; media legs are closed.

        Args:
            facts: How the call ended.
            codecs: Of the left and the right channel.
            ended_at: Now, by the call's clock.
            silent_s: How long ago it really ended, where nobody hung up.
        """
        ended_at -= timedelta(seconds=silent_s)
        self.gate.when_decided(lambda: self._close_recording(facts, codecs, ended_at, silent_s))

    def _close_recording(self, facts: Facts, codecs: tuple[str, str], ended_at: datetime, silent_s: float) -> None:
        row = replace(self.row(), ended_at=ended_at, retention_due=due_from(self, ended_at), codecs=codecs)
        if self.taping is not None:
            self.taping.finish(facts, row, self._file, silent_s=silent_s)
            return
        final = self.book.final
        facts = replace(facts, opted_out=final is Final.OPTED_OUT, discarded=final is Final.DISCARDED)
        outcome, reason = settle(facts)
        self.works.filing.submit(self._file, replace(row, outcome=outcome, reason=reason))

    def _file(self, row: RecordingRow) -> None:
        """File the row; on the filing clerk's thread."""
        self.works.rows.save(row)
        if self.taping is None or not self.taping.is_left_behind:
            self.works.pauses.drop(self.id)
        self.works.publish({"event": "recording", "id": row.id, "outcome": row.outcome.value, "reason": row.reason})
