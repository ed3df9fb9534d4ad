"""Takes an act from the daemon's socket to the call thread and its answer back, within a bounded time."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from recorder.audit.audit_service import incomplete
from recorder.calls.acts import ActEntry, audit_refusal
from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import UnknownCallError
from recorder.calls.opt_out_register import UnknownRequestError
from recorder.common.problems import ProblemError
from recorder.control.bodies import SocketCaller
from recorder.permissions import DeniedError, Fault
from recorder.rules.fault_status import FAULT_STATUS
from recorder.rules.live_access import HiddenError
from recorder.rules.pausing import RefusedError
from storage.errors import AuditUnavailableError

CONFIRM_S = 1.5
"""After this many seconds an act is answered 504, so that a page shows "not confirmed" within 2 s."""

_T = TypeVar("_T")
_SUBJECT = re.compile(r"[0-9A-Za-z+*#._-]{1,64}\Z")


class CallThreadGateway:
    """Takes acts to the call thread. A refusal is in the audit log before it is answered."""

    def __init__(self, services: CallServices) -> None:
        self._services = services

    async def on_call_thread(self, fn: Callable[[], _T]) -> _T:
        """Return the result of a function that is run on the call thread.

        Raises:
            ProblemError: 504: not within CONFIRM_S.
        """
        return await self._on_call_thread(lambda future: future.set_result(fn()))

    async def _on_call_thread(self, fn: "Callable[[Future[_T]], None]") -> _T:
        """Run a function on the call thread; return what it gives to the future, or raise what it raises."""
        future: Future[_T] = Future()
        asked_ns = time.monotonic_ns()

        def run() -> None:
            try:
                with self._services.lateness.since(asked_ns):
                    fn(future)
            except Exception as error:  # noqa: BLE001 - passed to the caller
                future.set_exception(error)

        self._services.scheduler.submit(run)
        return await self.confirm(future)

    async def ended(
        self, start: Callable[[], list[Future[_T]]], signature: ActEntry, *, missing: Exception
    ) -> list[Future[_T]]:
        """Do acts on the call thread; return them when each has been stored or has failed.

        There is one wait for all of them: waking up between them would take the interpreter from the storing threads.

        Args:
            start: Begins the acts.
            signature: The audit entry for a refusal.
            missing: The answer for people who may not know of the call: as if there were none.

        Raises:
            ProblemError: As for `act`; 504: not done and stored within CONFIRM_S.
        """

        def run(future: Future[list[Future[_T]]]) -> None:
            started = start()
            _when_ended(started, lambda: future.set_result(started))

        return await self._unless_refused(self._on_call_thread(run), signature, missing)

    async def act(self, fn: Callable[[], _T], signature: ActEntry, *, missing: Exception) -> _T:
        """Do an act on the call thread; a refusal is written to the audit log with the signature's act; see `ended`.

        A field that is incomplete is no refusal.

        Raises:
            ProblemError: 404 nothing to act on, 403, 409 or 422 refused, 504 not in time.
        """
        return await self._unless_refused(self.on_call_thread(fn), signature, missing)

    async def _unless_refused(self, act: Awaitable[_T], signature: ActEntry, missing: Exception) -> _T:
        try:
            return await act
        except (UnknownCallError, UnknownRequestError) as error:
            raise await self._refused(404, _sentence(error), signature) from error
        except RefusedError as error:
            raise await self._refused(409, _sentence(error), signature) from error
        except HiddenError as error:
            await self._refused(404, str(error), signature)
            raise ProblemError(404, _sentence(missing)) from error
        except DeniedError as error:
            if error.fault is Fault.INCOMPLETE and error.field:
                raise incomplete(str(error), error.field) from error
            raise await self._refused(FAULT_STATUS[error.fault], str(error), signature) from error
        except ProblemError as error:
            if error.status < 500 and not error.fields:
                await self._refused(error.status, error.detail, signature)
            raise

    async def stored(self, future: "Future[_T]", sentence: str) -> _T:
        """Return the answer of an act once it is stored.

        Raises:
            ProblemError: 503: not stored, with a sentence that says what is in effect all the same. 504: not in time.
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
        waited = asyncio.wrap_future(future)
        waited.add_done_callback(_note_seen)
        # Not wait_for: from Python 3.12 on it refuses a result that is there, if the loop was held up until the limit.
        await asyncio.wait((waited,), timeout=CONFIRM_S)
        if not waited.done():
            detail = f"Not confirmed within {CONFIRM_S:g} s; see `recorder calls list` for the state."
            raise ProblemError(504, detail, title="Not confirmed")
        return waited.result()

    async def audit(self, act: str, who: SocketCaller, subject: str, details: dict[str, Any], reason: str) -> None:
        """Write an audit entry; a log that cannot be written now raises an alarm, but refuses nothing."""
        details = {**details, "os_user": who.os_user}
        await self.confirm(
            self._services.act_writer.submit(
                self._services.late.enter,
                act=act,
                actor=who.actor,
                subject=subject,
                details=details,
                text=reason or None,
            )
        )

    async def _refused(self, status: int, sentence: str, signature: ActEntry) -> ProblemError:
        await self.confirm(audit_refusal(self._services, signature, sentence))
        return ProblemError(status, sentence)


def _when_ended(futures: "Sequence[Future[_T]]", tell: Callable[[], None]) -> None:
    """Call a function once all futures are done, on the thread of the last one."""
    if not futures:
        tell()
        return
    first, *others = futures
    first.add_done_callback(lambda _: _when_ended(others, tell))


def subject_of(sent: str) -> str:
    """Return an id or extension as it was sent, for the audit log; "" if it cannot be one."""
    return sent if _SUBJECT.match(sent) else ""


def _sentence(error: Exception) -> str:
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _note_seen(waited: "asyncio.Future[Any]") -> None:
    """Keep asyncio from logging an error that comes after whoever asked was told that the act is not confirmed."""
    if not waited.cancelled():
        waited.exception()
