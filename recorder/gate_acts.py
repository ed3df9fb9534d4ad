"""Pause, resume and opt-out of one call, before and after its sides are joined. Call thread only.

What stops recording is done at once and stored after; what lets it go on is stored first. Whoever waits for the answer
gets it when both are done (`recorder.acts`).
"""

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from recorder.acts import Act, PauseAnswer
from recorder.domain.call import Call, State
from recorder.domain.pausing import Authority, Final, PauseBook, PauseState, RefusedError
from recorder.taping import Taping
from recorder.works import Works
from storage.types import RecordingId


class GatedCall(Protocol):
    """Whose gate it is; `recorder.recorded_call.RecordedCall` is the real one."""

    id: RecordingId
    works: Works
    call: Call
    book: PauseBook
    taping: Taping | None

    def as_json(self) -> dict[str, Any]:
        """Return the call for listings."""


class GateActs:
    """What people and rules do to one call's recording.

    Args:
        call: The call.
        on_reopened: Called when recording goes on after a pause.
    """

    def __init__(self, call: GatedCall, on_reopened: Callable[[], None]) -> None:
        self._call = call
        self._on_reopened = on_reopened
        self._acts = 0

    def pause(self, reason: str, by: str) -> Act:
        """Pause the recording; the gate is shut when this returns.

        Raises:
            RefusedError: The recording has ended for good.
        """
        taping = self._call.taping
        if taping is not None:
            return self._stored(taping.pause(reason, by))
        self._call.book.pause(reason)
        return self._stored(0.0)

    def opt_out(self, reason: str, by: str) -> Act:
        """Stop recording for the rest of the call; cannot be undone.

        Raises:
            RefusedError: The recording has ended for good already.
        """
        taping = self._call.taping
        if taping is not None:
            return self._stored(taping.end(Final.OPTED_OUT, reason, by))
        self._call.book.end(Final.OPTED_OUT)
        return self._stored(0.0)

    def resume(self, authority: Authority, by: str, *, token: str | None = None) -> Act:
        """Take away the reasons that an authority may clear, once that is on disk.

        Until then the gate stays shut: whoever is told that it could not be stored may rely on the pause. An act
        that comes in between wins.

        Raises:
            RefusedError: Nothing to clear, or not for this authority.
        """
        left = self._call.book.left_after(authority, token=token)
        state = PauseState.PAUSED if left else PauseState.RECORDING
        acts_before, done = self._acts, Act()

        def reopen() -> None:
            position_s = self._position_s
            if self._acts == acts_before and self._call.call.state is not State.ENDED:
                with contextlib.suppress(RefusedError):  # pressed twice: the first has done it
                    position_s = self._reopen(authority, by, token)
            done.set_result(self._answer(position_s))

        def on_disk(stored: "Future[None]") -> None:
            error = stored.exception()
            if error is not None:
                done.set_exception(error)
            else:
                self._call.works.scheduler.submit(reopen)

        put = self._call.works.pauses.put(self._call.id, state=state.value, reasons=sorted(left))
        put.add_done_callback(on_disk)
        return done

    def _reopen(self, authority: Authority, by: str, token: str | None) -> float:
        call = self._call
        if call.taping is not None:
            position_s = call.taping.resume(authority, by, token=token)
        else:
            call.book.resume(authority, token=token)
            position_s = 0.0
        if call.book.state is PauseState.RECORDING:
            self._on_reopened()
        call.works.publish({"event": "call", **call.as_json()})
        return position_s

    def _stored(self, position_s: float) -> Act:
        """Return the answer to an act that is done already, once it is on disk."""
        self._acts += 1
        call, answer, done = self._call, self._answer(position_s), Act()

        def on_disk(stored: "Future[None]") -> None:
            error = stored.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(answer)

        put = call.works.pauses.put(call.id, state=answer.state.value, reasons=list(answer.reasons))
        put.add_done_callback(on_disk)
        call.works.publish({"event": "call", **call.as_json()})
        return done

    def _answer(self, position_s: float) -> PauseAnswer:
        book = self._call.book
        reasons = tuple(sorted(book.reasons))
        return PauseAnswer(call=self._call.id, state=book.state, reasons=reasons, position_s=position_s)

    @property
    def _position_s(self) -> float:
        taping = self._call.taping
        return taping.position_s if taping is not None and self._call.call.state is not State.ENDED else 0.0
