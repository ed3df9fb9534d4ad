"""The call loop: sippy's event dispatcher, made safe to build on. Runs on the main thread.

Why a wrapper. sippy's ``ED2`` is one dispatcher per process, made when it is imported, and it wakes up by SIGURG,
which Python hands to the main thread only. It prints what a callback raises and goes on, so that a bug would reach
neither the log nor a test; its modules also print whole messages that they cannot parse, digits and numbers included.
Here every callback runs inside one function that logs a failure once, and sippy's own printing is sent to that log
without the message. sippy reads the clock by ctypes, which lets go of the interpreter: the call thread had to get it
back from a busy writer for each timer that it made. Python's own way does not let go.
Timers may be made on the call thread only; `Reactor.submit` is the one door for other threads.

This module, `sip.transport`, `sip.arrivals`, `sip.transactions`, `sip.stream_server`, `sip.endpoint_services`,
`sip.message_io`, `sip.dialog`, `sip.leg_dialog`, `sip.negotiation`, `sip.offered_invite`, `sip.invited`,
`sip.inviting`, `sip.offers`, `sip.reliable_uas`, `sip.reliable_uac`, `sip.session_timer`, `sip.referral`, `sip.leg`,
`sip.authorization`, `sip.registration`, `sip.watch`, `sip.sanity`, `sip.uas_core` are the only ones behind the wall:
no sippy object leaves them.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from sippy import Network_server, Signal, SipMsg, SipRequest, SipTransactionManager, SipURL, Udp_server
from sippy.Core import EventDispatcher
from sippy.Core.EventDispatcher import ED2
from sippy.Time import MonoTime
from sippy.Time.Timeout import Timeout

from sip.message import masked

_log = logging.getLogger(__name__)

Sippy: TypeAlias = Any
"""An object of sippy's, which has no types."""


class Cancellable(Protocol):
    """Something that has been scheduled and can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has happened already."""


class _Timer:
    """One callback that is due; owns sippy's timer until it fires."""

    def __init__(self, seconds: float, fn: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._call: tuple[Callable[..., object], tuple[Any, ...]] | None = (fn, args)
        self._timer = Timeout(self._fire, seconds, 1)

    def _fire(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            guarded(call[0], *call[1])

    def cancel(self) -> None:
        if self._call is not None:
            self._call = None
            self._timer.cancel()


class Reactor:
    """The loop that owns every call. One per process; `run` belongs to the main thread."""

    def __init__(self) -> None:
        _quieten_sippy()
        _mend_urls()
        MonoTime.clock_getdtime = time.clock_gettime
        self._is_stopping = False

    def run(self) -> None:
        """Run callbacks until `stop`.

        Raises:
            RuntimeError: Called on another thread than the main one, where SIGURG would never arrive.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the call loop runs on the main thread only")
        while not self._is_stopping:
            ED2.loop()
        self._is_stopping = False

    def stop(self) -> None:
        """End `run` after the callback in progress; may be called from any thread and from a signal handler."""
        self.submit(self._stop)

    def submit(self, fn: Callable[..., object], *args: object) -> None:
        """Run ``fn(*args)`` soon on the call thread; may be called from any thread. What it raises is logged."""
        ED2.callFromThread(guarded, fn, *args)

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> Cancellable:
        """Run ``fn(*args)`` once after ``seconds`` (resolution 10 ms); call thread only. What it raises is logged."""
        return _Timer(seconds, fn, args)

    @property
    def now_s(self) -> float:
        """Return the monotonic clock, in seconds."""
        return time.monotonic()

    def _stop(self) -> None:
        self._is_stopping = True
        ED2.breakLoop()


def guarded(fn: Callable[..., object], *args: object) -> None:
    """Call ``fn(*args)``; log what it raises, once, so that one call's bug leaves the other calls alone."""
    try:
        fn(*args)
    except Exception:  # noqa: BLE001 - the boundary between calls: a bug of one ends here
        _log.exception("a callback failed: %s", getattr(fn, "__qualname__", fn))


class QuietLogger:
    """Takes the place of sippy's SIP logger: start lines at DEBUG with numbers masked, never a body."""

    def write(self, *parts: object, **_: object) -> None:
        """Log the heading and the start line of a message, if anyone listens at DEBUG."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        heading = str(parts[0]).strip() if parts else ""
        start_line = str(parts[1]).split("\r", 1)[0] if len(parts) > 1 else ""
        _log.debug("%s %s", heading, masked(start_line))


def _mend_urls() -> None:
    """Have copies of URIs keep their scheme: sippy makes ``sip:`` of ``sips:``, and with it plain text of TLS."""
    if getattr(SipURL.SipURL, "keeps_scheme", False):
        return
    copy = SipURL.SipURL.getCopy

    def with_scheme(url: Sippy) -> Sippy:
        copied = copy(url)
        copied.scheme = url.scheme
        return copied

    SipURL.SipURL.getCopy, SipURL.SipURL.keeps_scheme = with_scheme, True


def _quieten_sippy() -> None:
    """Send what sippy would print to our log: the one place where a global of sippy is replaced.

    Unavoidable: each module holds its own reference to ``dump_exception`` and calls the builtin ``print``, some with
    the whole message. Without it, digits and numbers would reach stdout and the journal.
    """
    for module in (EventDispatcher, Network_server, Signal, SipTransactionManager, Udp_server):
        module.dump_exception = _log_dumped
    for module in (EventDispatcher, SipMsg, SipRequest, SipTransactionManager, SipURL, Udp_server):
        module.print = _log_printed


def _log_dumped(message: str, *_: object, **__: object) -> None:
    # The exception may quote the message it choked on, so only its type and place are logged.
    kind, _value, trace = sys.exc_info()
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "?"
    _log.error("sippy: %s: %s at %s", message, kind.__name__ if kind else "?", place)


def _log_printed(*parts: object, **_: object) -> None:
    # The text may hold a message; that something was printed is all that may be told.
    _log.debug("sippy printed %d part(s)", len(parts))
