"""Hold is not recorded where a service says so: SIP's hold pauses the recording, its end resumes it. Call thread only.

This is the only pause that ends without a person, and it never takes away more than it gave.
"""

import logging
from concurrent.futures import Future
from typing import Any, Protocol

from recorder.calls.acts import Act
from recorder.calls.part import Part
from recorder.calls.rules.call import Call, State
from recorder.calls.works import Works
from recorder.rules.pausing import HOLD, Authority, PauseBook, RefusedError
from recorder.rules.policy import Service

_log = logging.getLogger(__name__)

BY = "rule:hold"

AGAIN_S = 5.0
"""When the end of a hold could not be stored, so that recording has not gone on, it is tried again after so long."""


class HeldCall(Protocol):
    """Whose hold it is; `recorder.calls.taped_call.TapedCall` is the real one."""

    id: Any
    works: Works
    call: Call
    book: PauseBook
    service: Service

    @property
    def is_taped(self) -> bool:
        """Tell whether there is a recording to pause."""

    @property
    def is_held(self) -> bool:
        """Tell whether one of the sides is on hold."""

    def pause(self, reason: str, by: str) -> Act:
        """Pause the recording."""

    def resume(self, authority: Authority, by: str) -> Act:
        """Take away the reasons that an authority may clear."""


class HoldRule(Part[HeldCall]):
    """The rule for one call."""

    def __init__(self, call: HeldCall) -> None:
        super().__init__(call)
        self._is_ending = False
        """The end of a hold is being stored; another act may overtake it, and then it has done nothing."""

    def look(self) -> None:
        """Pause or resume as the sides now stand."""
        call = self._call
        if call.service.record_hold or not call.is_taped or call.call.state is State.ENDED:
            return
        is_paused = HOLD in call.book.reasons
        try:
            if call.is_held and (not is_paused or self._is_ending):
                call.pause(HOLD, BY)
            elif not call.is_held and is_paused and not self._is_ending:
                act = call.resume(Authority.RULE, BY)
                self._is_ending, ended = True, self._kept(self._ended)
                act.add_done_callback(lambda done: call.works.scheduler.submit(ended, done))
        except RefusedError:
            _log.debug("call %s: recording has ended, hold changes nothing", call.id)

    def _ended(self, done: "Future[Any]") -> None:
        self._is_ending = False
        if done.exception() is None:
            self.look()
        else:
            self._call.works.scheduler.call_later(AGAIN_S, self._kept(self.look))
