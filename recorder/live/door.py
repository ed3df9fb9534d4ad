"""The way from a request on the daemon's socket to the call thread and back, within a bounded time."""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from recorder.calls.acts import Signature, refused
from recorder.calls.control import UnknownCallError
from recorder.calls.opt_outs import UnknownRequestError
from recorder.calls.works import Works
from recorder.domain.access import DeniedError, Fault
from recorder.domain.pausing import RefusedError
from recorder.live.bodies import Caller
from recorder.problems import ProblemError
from storage.errors import AuditUnavailableError

CONFIRM_S = 1.5
"""An act that is not confirmed by then is answered 504: the page shows "not confirmed" within 2 s."""

_T = TypeVar("_T")
_SUBJECT = re.compile(r"[0-9A-Za-z+*#._-]{1,64}\Z")
_STATUS = {Fault.NOT_ALLOWED: 403, Fault.INCOMPLETE: 422, Fault.TOO_LATE: 409}


class Door:
    """Takes acts to the call thread; what is refused there is in the audit log before it is answered."""

    def __init__(self, works: Works) -> None:
        self._works = works

    async def on_call_thread(self, fn: Callable[[], _T]) -> _T:
        """Return what a function gives on the call thread.

        Raises:
            ProblemError: 504: not within CONFIRM_S.
        """
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(fn())
            except Exception as error:  # noqa: BLE001 - goes to whoever asked
                future.set_exception(error)

        self._works.scheduler.submit(run)
        return await self.confirm(future)

    async def act(self, fn: Callable[[], _T], signature: Signature) -> _T:
        """Do an act on the call thread; a refusal is written down under the signature's act.

        Raises:
            ProblemError: 404 nothing to act on, 403, 409 or 422 refused, 504 not in time.
        """
        try:
            return await self.on_call_thread(fn)
        except (UnknownCallError, UnknownRequestError) as error:
            raise await self._refused(404, _sentence(error), signature) from error
        except RefusedError as error:
            raise await self._refused(409, _sentence(error), signature) from error
        except DeniedError as error:
            raise await self._refused(_STATUS[error.fault], str(error), signature) from error
        except ProblemError as error:
            if error.status < 500:
                await self._refused(error.status, error.detail, signature)
            raise

    async def stored(self, future: "Future[_T]", sentence: str) -> _T:
        """Return the answer of an act once it is stored.

        Raises:
            ProblemError: 503 it could not be, with a sentence that says what holds all the same; 504 not in time.
        """
        try:
            return await self.confirm(future)
        except (OSError, AuditUnavailableError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ProblemError(503, f"{sentence} {why}.", title="Not stored") from error

    async def confirm(self, future: "Future[_T]") -> _T:
        """Return the result of a future.

        Raises:
            ProblemError: 504: not within CONFIRM_S.
        """
        try:
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), CONFIRM_S)
        except TimeoutError as error:
            detail = f"Not confirmed within {CONFIRM_S:g} s; see `recorder calls` for the state."
            raise ProblemError(504, detail, title="Not confirmed") from error

    async def audit(self, act: str, who: Caller, subject: str, details: dict[str, Any], reason: str) -> None:
        """Write an entry; that it cannot be written now is an alarm and no refusal."""
        details = {**details, "os_user": who.os_user}
        await self.confirm(
            self._works.clerk.submit(
                self._works.late.enter, act=act, actor=who.actor, subject=subject, details=details, text=reason or None
            )
        )

    async def _refused(self, status: int, sentence: str, signature: Signature) -> ProblemError:
        await self.confirm(refused(self._works, signature, sentence))
        return ProblemError(status, sentence)


def subject_of(sent: str) -> str:
    """Return an id or extension as it was sent, for the audit log; empty where it cannot be one."""
    return sent if _SUBJECT.match(sent) else ""


def _sentence(error: Exception) -> str:
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
