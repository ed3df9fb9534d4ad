"""Requests to opt out, in the daemon: raised, granted, declined, lapsed; each step in the audit log before it is told.

Belongs to the call thread. What is asked for goes by `recorder.domain.opt_out`.
"""

from concurrent.futures import Future
from typing import Any, Protocol

from recorder.acts import Act, PauseAnswer
from recorder.domain.opt_out import CallFacts
from recorder.domain.policy import Nomination, Service
from recorder.works import Works
from storage.types import RecordingId


class OptOutCall(Protocol):
    """Whose opt-out it is; `recorder.recorded_call.RecordedCall` is the real one."""

    id: RecordingId
    works: Works
    nomination: Nomination
    service: Service
    operator: str

    def opt_out(self, reason: str, by: str) -> Act:
        """Stop recording for the rest of the call."""


def facts_of(call: OptOutCall) -> CallFacts:
    """Return what the rules need to know of a call."""
    first, second = call.nomination.extension, call.nomination.second
    operators = {call.operator}
    if second is not None:
        operators.add(call.works.sign_ons.operator_of(second))
    return CallFacts(
        call=call.id,
        team=first.team,
        extensions=frozenset({first.number} | ({second.number} if second else set())),
        operators=frozenset(operators),
        erase_on_opt_out=call.service.erase_on_opt_out,
    )


class KeyedGrants(Protocol):
    """What the keypad needs of opt-outs; `OptOuts` (``works.opt_outs``) is the real one."""

    def granted_by_keys(self, call: OptOutCall, manager: str) -> "Future[PauseAnswer]":
        """Grant an opt-out on the word of a manager whose PIN was right (`recorder.pins`), from the call thread.

        The keys are the statement that the caller asked and that distress was judged. The answer comes once it is
        stored and in the audit log.

        Raises:
            RefusedError: Recording of the call has ended for good already.
        """

    def call_ended(self, call: RecordingId) -> None:
        """Let what is open of a call lapse, and forget the call."""

    def of_call(self, call: RecordingId) -> dict[str, Any] | None:
        """Return the newest request of a call as JSON-able values, None when nobody raised one."""
