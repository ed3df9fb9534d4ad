"""Starts, changes and stops the recording of a session by the participants in its metadata. Call thread only.

`recorder.calls.rules.siprec` decides what is permitted.
"""

import contextlib
import dataclasses
import logging
from collections.abc import Iterable

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
from recorder.calls.session_register import LeftSession
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
    """The lifecycle of one session.

    Args:
        call: The session's recorded part. The constructor uses only its ``services`` and ``offered``.
        document: The metadata document in the INVITE, or None.

    Attributes:
        remarks: How the recording was made, for people who listen to it.
    """

    def __init__(
        self, call: CopiedCall, peer: Peer, metadata: SessionMetadata, lines: SessionLines, document: bytes | None
    ) -> None:
        super().__init__(call)
        self._peer = peer
        self._metadata = metadata
        self._lines = lines
        self._documents: list[bytes] = []
        self._known_names: frozenset[str] = frozenset()
        self._listening: tuple[MediaLegId | None, MediaLegId | None, bool] | None = None
        """Left leg, right leg, and whether key sequences act; None before `_listen`."""
        self.stage = Stage.WAITING
        self.remarks: set[Remark] = {Remark.SIPREC}
        self.learn(document)
        self.decision: SessionDecision = self._decide(())

    def learn(self, document: bytes | None) -> None:
        """Read a metadata document, if there is one; call `update` afterwards."""
        if document is None:
            return
        if self._metadata.take(document):
            self._seal(document)
        if self._metadata.is_unreadable:
            self._remark(Remark.METADATA_UNREADABLE)
        if self._metadata.is_repaired:
            self._remark(Remark.METADATA_REPAIRED)

    def _remark(self, remark: Remark) -> None:
        """Add a remark to the recording, and raise the alarm, once for each session."""
        if remark not in self.remarks:
            self.remarks.add(remark)
            _log.warning("recording session from %s: %s", self._peer.name, remark.value)
            self._call.services.alarm("siprec_metadata")

    def _seal(self, document: bytes) -> None:
        """Seal a document into the container as it came; it waits until there is a recording in progress."""
        in_progress = None if self.stage is Stage.WAITING else self._call.recording.in_progress
        if in_progress is None:
            self._documents.append(document)
            return
        text = document.decode("utf-8", "backslashreplace")
        in_progress.file.mark({"kind": "siprec_metadata", "at_s": round(in_progress.position_s, 3), "xml": text})

    def _decide(self, labels: tuple[str | None, ...]) -> SessionDecision:
        config, offered = self._call.services.config, self._call.offered
        fallback = Extension(number="", operator=self._peer.name, service=self._peer.siprec_service)
        policy = SessionPolicy(
            extensions=config.extensions,
            emergency=config.emergency,
            is_attested=self._peer.is_attested,
            fallback=fallback if self._peer.all_sessions_nominated else None,
        )
        dialled = (offered.asserted_user or offered.from_user, offered.to_user)
        sent = SentLines(now=self._lines.sent, before=self._recorded_lines)
        metadata = self._metadata
        return decide(metadata.merged, metadata.labels(labels), dialled=dialled, policy=policy, sent=sent)

    @property
    def _recorded_lines(self) -> frozenset[int]:
        sides = self.decision.sides if self._listening is not None else None
        return frozenset() if sides is None else frozenset(at for at in (sides.left, sides.right) if at is not None)

    def record_state(self, *, is_hold_ending: bool) -> str | None:
        """Return the value of a=record by the last `update`, or before it by what it will do (RFC 7866).

        Args:
            is_hold_ending: The pause of a hold ends as soon as that is stored, and does not count any more.

        Returns:
            ``on``, ``off`` or ``paused``; None if the SRC does not support the attribute.
        """
        call = self._call
        if "record-aware" not in call.offered.supported:
            return None
        reasons, final = call.recording.pause_reasons.reasons, call.recording.pause_reasons.final
        if self.stage is Stage.WAITING:  # the recorder offers the lines: recording begins with the answer
            left = self._left(is_beginning=True)
            reasons, final = reasons | left.reasons, final or left.final
        if self.decision.closed is not None or final is not None:
            return "off"
        return "paused" if reasons - ({HOLD} if is_hold_ending else set()) else "on"

    def update(self) -> None:
        """Decide again, by the current participants and lines, and carry the decision out."""
        self._store_new_names()
        self.decision = decision = self._decide(self._lines.labels)
        self.remarks |= decision.remarks
        self.stage, action = STAGE_TABLE[self.stage, decision.closed is None]
        match action:
            case SessionAction.OPEN:
                self._open()
            case SessionAction.FOLLOW | SessionAction.RETURN:
                self._go_on()
            case SessionAction.LEAVE:
                self._leave()
            case SessionAction.NOTHING if self.stage is Stage.WAITING:
                self._call.recording.blocked = decision.closed
                if decision.nomination is not None:
                    self._call.apply_decision(decision)
            case SessionAction.NOTHING:
                pass

    def _store_new_names(self) -> None:
        """Store the pause state under new names too, beside what an earlier session has left there."""
        names = frozenset((*self._metadata.sessions, *self._metadata.groups))
        pause_reasons = self._call.recording.pause_reasons
        if (
            names != self._known_names
            and self._known_names
            and (pause_reasons.reasons - {HOLD} or pause_reasons.final is not None)
        ):
            self._call.services.sessions.put(
                self._metadata.sessions,
                self._metadata.groups,
                state=pause_reasons.state,
                reasons=pause_reasons.reasons,
                is_added=True,
            )
        self._known_names = names

    def _open(self) -> None:
        """Begin to record; a session that returns begins with its last pause state."""
        call, sides = self._call, self.decision.sides
        call.apply_decision(self.decision)
        call.recording.blocked, call.recording.joined_at = None, call.clock.now
        call.progress.state, call.progress.was_joined = CallState.JOINED, True
        left = self._left(is_beginning=True)
        if left.reasons or left.final is not None:
            self.remarks.add(Remark.RETURNED)
        call.recording.pause_reasons.reasons |= left.reasons
        call.recording.pause_reasons.final = call.recording.pause_reasons.final or left.final
        self._listen()
        if call.recording.pause_reasons.final is None:
            call.recording.is_joining = True
            call.recording.open_tap(self._lines.leg(sides.left), self._lines.leg(sides.right))
            call.recording.is_joining = False
        waiting, self._documents = self._documents, []
        for document in waiting:
            self._seal(document)
        call.controls.begun()

    def _go_on(self) -> None:
        """Follow the decision, with the pause state of an earlier session if a new name says that this continues it."""
        call, left = self._call, self._left(is_beginning=False)
        pause_reasons = call.recording.pause_reasons
        reasons = set(left.reasons - pause_reasons.reasons)
        if reasons:
            self.remarks.add(Remark.RETURNED)
        if left.final is Final.DISCARDED:
            reasons.add(AGENT)  # discards the recording, if the service requires that
        elif left.final is Final.OPTED_OUT and (pause_reasons.final is None or pause_reasons.is_away):
            call.controls.opt_out("the session had been opted out before it came back", RETURNED)
        if pause_reasons.is_away:
            pause_reasons.reasons |= reasons  # a call that is away cannot be paused, and `_follow` would open the gate
            self._follow()
            self._pause(reasons)
        else:
            self._pause(reasons)
            self._follow()

    def _pause(self, reasons: Iterable[str]) -> None:
        with contextlib.suppress(RefusedError):  # recording has ended for the rest of the call
            for reason in sorted(reasons):
                self._call.controls.pause(reason, RETURNED)

    def _left(self, *, is_beginning: bool) -> LeftSession:
        """Return the pause state to go on with; a recording that begins is paused if the journal cannot be read."""
        register = self._call.services.sessions
        left = register.left(self._metadata.sessions, self._metadata.groups)
        if is_beginning and not register.is_known:
            return dataclasses.replace(left, reasons=left.reasons | {AGENT})
        return left

    def _follow(self) -> None:
        call, decision, in_progress = self._call, self.decision, self._call.recording.in_progress
        assert decision.nomination is not None
        call.apply_decision(decision)
        has_changed = self._listen()
        if in_progress is None:
            return
        if has_changed:
            in_progress.retarget(self._lines.leg(decision.sides.left), self._lines.leg(decision.sides.right))
        in_progress.enter_scope(
            call.recording.operator, decision.nomination.extension.number, call.recording.officers, HANDED_OVER
        )
        in_progress.update_row(call.recording.row())

    def _leave(self) -> None:
        """Stop recording, because no nominated extension takes part; a later update may bring one back."""
        in_progress = self._call.recording.in_progress
        if in_progress is not None:
            in_progress.leave_scope(self.decision.closed or "", HANDED_OVER)
            in_progress.update_row(self._call.recording.row())

    def _listen(self) -> bool:
        """Detect digits on the recorded lines; return whether lines or settings have changed."""
        sides, relay = self.decision.sides, self._call.services.relay
        left, right = self._lines.leg(sides.left), self._lines.leg(sides.right)
        if (left, right, self.has_officers_keys) == self._listening:
            return False  # setting it again would interrupt a key sequence
        self._listening = (left, right, self.has_officers_keys)
        keypad = self._call.keypad
        if left is not None:
            relay.legs.set_dtmf(left, DtmfPolicy.SWALLOW)
        if right is not None and self.has_officers_keys:
            relay.legs.set_dtmf(right, DtmfPolicy.HOLD_STAR, keypad.control_keys, keypad.secret_keys)
        elif right is not None:
            relay.legs.set_dtmf(right, DtmfPolicy.SWALLOW)
        for leg in filter(None, (left, right)):
            relay.legs.detect_tones(leg, is_on=self._call.services.config.media.detect_tones)
        return True

    @property
    def has_officers_keys(self) -> bool:
        """Tell whether keys on the right are certainly an officer's; a caller's keys must never control a recording."""
        return self.decision.sides.are_known and Remark.NOT_NOMINATED not in self.decision.remarks
