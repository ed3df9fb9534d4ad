"""Finds out who answered B's leg, and what follows for the recording. Call thread only.

The PBX may name the party in an UPDATE while it rings (a pickup, a ring group), in the 2xx (a queue, a diversion), or
not at all. One rule, `recorder.calls.rules.transfer.who_answered`, decides when the call is answered.
"""

import logging
import time

from recorder.calls.call_interfaces import TransferableCall
from recorder.calls.component import Component
from recorder.calls.dial_plan import DialPlan
from recorder.calls.dialling import Dialling
from recorder.calls.rules.call_events import After, Answered, Side
from recorder.calls.rules.transfer import (
    TABLE,
    Party,
    PartyStatus,
    answering_for,
    is_same_line,
    officer_after,
    who_answered,
)
from sip.events import IdentityChanged, LegAnswered
from storage.types import RecordingId

_log = logging.getLogger(__name__)


class AnsweringParty(Component[TransferableCall]):
    """The party who rings and answers on B's leg of one call.

    Args:
        recording: The recording's id, for the log.
    """

    def __init__(self, call: TransferableCall, dialling: Dialling, plan: DialPlan, recording: RecordingId) -> None:
        super().__init__(call)
        self._dialling = dialling
        self._recording = recording
        self._plan = plan
        self._early: str | None = None
        self._rang_s: float | None = None

    def dialled(self) -> None:
        """Forget the name that an earlier target gave."""
        self._early = None

    def rang(self) -> None:
        """Note when B began to ring."""
        self._rang_s = time.monotonic() if self._rang_s is None else self._rang_s

    def named(self, event: IdentityChanged) -> None:
        """Note the name that a peer inside gives before the answer."""
        if self._plan.is_inside(event.source):
            self._early = event.user

    def answered(self, event: LegAnswered) -> Answered:
        """Put the party who answered on side B; return the event for the call's table."""
        call = self._call
        expected = call.parties[Side.B]
        far = self._dialling.far
        is_believed = far is not None and self._plan.is_inside(far)
        answering = self._plan.answering(event) if is_believed else None
        is_known = self._plan.is_known
        number = who_answered(self._dialling.dialled, early=self._early, answering=answering, is_known=is_known)
        is_expected = number == expected.number or (not is_known(number) and is_same_line(expected.number, number))
        party = expected if is_expected else self._plan.party_at(number)
        if self._is_mailbox(number):
            party = Party(number=number, is_mailbox=True)
        party = answering_for(expected, party)
        call.put_party(Side.B, party)
        stays = call.parties[Side.A]
        if (
            party.status is PartyStatus.NOMINATED
            and stays.status is PartyStatus.UNTOLD
            and call.progress.notice_complete
        ):
            return Answered(After.ANNOUNCE)  # the party who heard the notice was replaced
        if party.status is expected.status:
            return Answered()
        after = TABLE[stays.status, party.status]
        if after is After.OUT_OF_SCOPE and not party.is_mailbox:
            _log.info("call %s: a party answered whose calls are not recorded", self._recording)
            call.services.alarm("answered_elsewhere")
        officer = officer_after(stays.status, party.status, target=Side.B, officer=call.progress.officer)
        return Answered(after, officer)

    def _is_mailbox(self, number: str) -> bool:
        """Tell whether a mailbox answered, by its number or by the time that it rang."""
        after_s = self._call.services.config.voicemail.after_s
        rang_s = 0.0 if self._rang_s is None else time.monotonic() - self._rang_s
        return self._plan.party_at(number).is_mailbox or (after_s is not None and rang_s >= after_s)
