"""What follows for a recording session from who takes part in it: begun, handed over, left, taken up again.

Call thread only. What is permitted is `recorder.calls.rules.siprec`'s; what is done to the recording is the gate's and
the tape's, as for every other call.
"""

import contextlib
import logging

from audio.types import DtmfPolicy
from audio.types import LegId as MediaLegId
from recorder.calls.component import Component
from recorder.calls.rules.call_events import CallState
from recorder.calls.rules.siprec import (
    STAGE_TABLE,
    Remark,
    SentLines,
    SessionAction,
    SessionDecision,
    SessionPolicy,
    Stage,
    decide,
)
from recorder.calls.siprec.copied_call import CopiedCall
from recorder.calls.siprec.lines import SessionLines
from recorder.calls.siprec.session_metadata import SessionMetadata
from recorder.rules.pausing import AGENT, HOLD, Final, RefusedError
from recorder.rules.policy import Extension
from recorder.rules.routing import Peer

_log = logging.getLogger(__name__)

RETURNED = "rule:session_returned"
HANDED_OVER = "rule:siprec_metadata"


class SessionLifecycle(Component[CopiedCall]):
    """The course of one session.

    Args:
        call: The session's call; of one that is being made only ``services`` and ``offered`` are looked at.
        peer: Its client.
        names: What is known of it.
        lines: Its lines.
        document: Metadata that came with its INVITE, if any did.

    Attributes:
        stage: Where it is.
        decision: What was decided last.
        remarks: What a listener should know of the recording.
    """

    def __init__(
        self, call: CopiedCall, peer: Peer, names: SessionMetadata, lines: SessionLines, document: bytes | None
    ) -> None:
        super().__init__(call)
        self._peer = peer
        self._names = names
        self._lines = lines
        self._documents: list[bytes] = []
        self._known_by: frozenset[str] = frozenset()
        self._on: tuple[MediaLegId | None, MediaLegId | None, bool] | None = None
        self.stage = Stage.WAITING
        self.remarks: set[Remark] = {Remark.SIPREC}
        self.learn(document)
        self.decision: SessionDecision = self._decide(())

    def learn(self, document: bytes | None) -> None:
        """Take metadata, if there are any; `look` does what follows."""
        if document is None:
            return
        if self._names.take(document):
            self._keep(document)
        if self._names.is_unreadable:
            self._remark(Remark.METADATA_UNREADABLE)
        if self._names.is_repaired:
            self._remark(Remark.METADATA_REPAIRED)

    def _remark(self, remark: Remark) -> None:
        """Mark the recording, and raise the alarm, once a session."""
        if remark not in self.remarks:
            self.remarks.add(remark)
            _log.warning("recording session from %s: %s", self._peer.name, remark.value)
            self._call.services.alarm("siprec_metadata")

    def _keep(self, document: bytes) -> None:
        """Have a document sealed with the audio, as it came; before there is any it waits."""
        in_progress = None if self.stage is Stage.WAITING else self._call.recording.in_progress
        if in_progress is None:
            self._documents.append(document)
            return
        text = document.decode("utf-8", "backslashreplace")
        in_progress.file.mark({"kind": "siprec_metadata", "at_s": round(in_progress.position_s, 3), "xml": text})

    def _decide(self, labels: tuple[str | None, ...]) -> SessionDecision:
        config, offered = self._call.services.config, self._call.offered
        fallback = Extension(number="", operator=self._peer.name, service=self._peer.siprec_service)
        terms = SessionPolicy(
            extensions=config.extensions,
            emergency=config.emergency,
            is_attested=self._peer.is_attested,
            fallback=fallback if self._peer.all_sessions_nominated else None,
        )
        dialled = (offered.asserted_user or offered.from_user, offered.to_user)
        sent = SentLines(now=self._lines.sent, before=self._before)
        return decide(self._names.metadata, self._names.labels(labels), dialled=dialled, terms=terms, sent=sent)

    @property
    def _before(self) -> frozenset[int]:
        sides = self.decision.sides if self._on is not None else None
        return frozenset() if sides is None else frozenset(at for at in (sides.left, sides.right) if at is not None)

    def record_state(self, labels: tuple[str | None, ...]) -> str | None:
        """Return a=record for clients that know it: how the recording will stand once these lines are there."""
        call = self._call
        if "record-aware" not in call.offered.supported:
            return None
        if self._decide(labels).closed is not None or call.recording.pause_reasons.final is not None:
            return "off"
        left = call.services.sessions.left(self._names.sessions, self._names.groups)
        return "paused" if call.recording.pause_reasons.reasons or left.reasons else "on"

    def look(self) -> None:
        """Do what follows from who takes part and from the lines as they are now."""
        self._name()
        self.decision = decision = self._decide(self._lines.labels)
        self.remarks |= decision.remarks
        self.stage, step = STAGE_TABLE[self.stage, decision.closed is None]
        match step:
            case SessionAction.OPEN:
                self._open()
            case SessionAction.FOLLOW | SessionAction.RETURN:
                self._come_back()
                self._follow()
            case SessionAction.LEAVE:
                self._leave()
            case SessionAction.NOTHING if self.stage is Stage.WAITING:
                self._call.recording.blocked = decision.closed
                if decision.nomination is not None:
                    self._call.apply_decision(decision)
            case SessionAction.NOTHING:
                pass

    def _name(self) -> None:
        """Write down how the session stands under names that have just become known, too."""
        names, pause_reasons = frozenset(self._names.sessions), self._call.recording.pause_reasons
        if (
            names != self._known_by
            and self._known_by
            and (pause_reasons.reasons - {HOLD} or pause_reasons.final is not None)
        ):
            self._call.services.sessions.put(
                names, self._names.groups, state=pause_reasons.state, reasons=pause_reasons.reasons
            )
        self._known_by = names

    def _open(self) -> None:
        """Begin to record: as the session was left if it has been here before."""
        call, sides = self._call, self.decision.sides
        call.apply_decision(self.decision)
        call.recording.blocked, call.recording.joined_at = None, call.clock.now
        call.progress.state, call.progress.was_joined = CallState.JOINED, True
        register = call.services.sessions
        left = register.left(self._names.sessions, self._names.groups)
        reasons = left.reasons if register.is_known else left.reasons | {AGENT}
        if reasons or left.final is not None:
            self.remarks.add(Remark.RETURNED)
        call.recording.pause_reasons.reasons |= reasons
        call.recording.pause_reasons.final = call.recording.pause_reasons.final or left.final
        self._listen()
        if call.recording.pause_reasons.final is None:
            call.recording.is_joining = True
            call.recording.open_tap(self._lines.leg(sides.left), self._lines.leg(sides.right))
            call.recording.is_joining = False
        waiting, self._documents = self._documents, []
        for document in waiting:
            self._keep(document)
        call.controls.begun()

    def _come_back(self) -> None:
        """Pause, if a name that has just become known is of a session that was left paused."""
        call = self._call
        left = call.services.sessions.left(self._names.sessions, self._names.groups)
        with contextlib.suppress(RefusedError):
            if left.final is Final.OPTED_OUT and call.recording.pause_reasons.final is None:
                call.controls.opt_out("the session had been opted out before it came back", RETURNED)
            elif left.final is Final.DISCARDED and call.recording.pause_reasons.final is None:
                call.controls.pause(AGENT, RETURNED)  # which discards, where the service wants that
            for reason in sorted(left.reasons - call.recording.pause_reasons.reasons):
                self.remarks.add(Remark.RETURNED)
                call.controls.pause(reason, RETURNED)

    def _follow(self) -> None:
        """Record the lines, and for the officer, as they are now."""
        call, decision, in_progress = self._call, self.decision, self._call.recording.in_progress
        assert decision.nomination is not None
        call.apply_decision(decision)
        is_moved = self._listen()
        if in_progress is None:
            return
        if is_moved:
            in_progress.retarget(self._lines.leg(decision.sides.left), self._lines.leg(decision.sides.right))
        in_progress.enter_scope(
            call.recording.operator, decision.nomination.extension.number, call.recording.officers, HANDED_OVER
        )
        in_progress.describe(call.recording.row())

    def _leave(self) -> None:
        """Stop: whoever takes part now is not recorded. A later update may bring the call back."""
        in_progress = self._call.recording.in_progress
        if in_progress is not None:
            in_progress.leave_scope(self.decision.closed or "", HANDED_OVER)
            in_progress.describe(self._call.recording.row())

    def _listen(self) -> bool:
        """Listen for keys on the lines that are recorded; tells whether that are others than before."""
        sides, relay = self.decision.sides, self._call.services.relay
        left, right = self._lines.leg(sides.left), self._lines.leg(sides.right)
        if (left, right, self.has_officers_keys) == self._on:
            return False  # what is being keyed is not to be broken off
        self._on = (left, right, self.has_officers_keys)
        keypad = self._call.keypad
        if left is not None:
            relay.set_dtmf(left, DtmfPolicy.SWALLOW)
        if right is not None and self.has_officers_keys:
            relay.set_dtmf(right, DtmfPolicy.HOLD_STAR, keypad.control_keys, keypad.secret_keys)
        elif right is not None:
            relay.set_dtmf(right, DtmfPolicy.SWALLOW)
        for leg in filter(None, (left, right)):
            relay.detect_tones(leg, is_on=self._call.services.config.media.detect_tones)
        return True

    @property
    def has_officers_keys(self) -> bool:
        """Tell whether keys on the right are surely an officer's: the caller's must never pause a recording."""
        return self.decision.sides.are_known and Remark.NOT_NOMINATED not in self.decision.remarks
