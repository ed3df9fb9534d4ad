"""The call loop: a wrapper of sippy's event dispatcher. Runs on the main thread.

Why sippy's dispatcher ``ED2`` is wrapped:

- There is one in a process, for the main thread, to which Python delivers signals. It wakes 100 times a second, also
  without a call: `sip.loop_pace` waits in its place.
- It prints the exceptions of callbacks, so that a bug would reach neither the log nor a test. Here every callback runs
  in `guarded`, which logs an exception once.
- sippy's modules print whole messages that they cannot parse, with digits and numbers. Here that goes to the log
  without the message.
- It makes, copies and writes each header in a roundabout way: `sip.stack_speed` replaces these methods.
- It runs all timers that are due in one go: `sip.timer_slices` leaves turns to other work.
- It reads the clock by ctypes, which releases the GIL: for each timer the call thread had to take it back from a busy
  writer. `time.clock_gettime` keeps it.

Timers are made on the call thread only; other threads use `Reactor.submit`.

Only these modules use sippy, and no sippy object leaves them: this one, `sip.transport`, `sip.arrivals`,
`sip.transactions`, `sip.stream_server`, `sip.endpoint_services`, `sip.message_io`, `sip.dialog`, `sip.leg_dialog`,
`sip.left_dialogs`,
`sip.offer_answer_state`, `sip.offered_invite`, `sip.invited`, `sip.inviting`, `sip.reoffers`, `sip.reliable_uas`,
`sip.reliable_uac`, `sip.session_timer`, `sip.referral`, `sip.leg`, `sip.authorization`, `sip.registration`,
`sip.watch`, `sip.sanity`, `sip.uas_core`, `sip.lean_transactions`, `sip.stack_message`, `sip.stack_speed`,
`sip.stack_addresses`, `sip.timer_slices`, `sip.loop_pace`.
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

from sip import loop_pace, stack_addresses, stack_speed, timer_slices
from sip.message import masked

_log = logging.getLogger(__name__)

Sippy: TypeAlias = stack_addresses.Sippy
"""An object of sippy, which has no types."""


class Cancellable(Protocol):
    """A scheduled callback that can be cancelled."""

    def cancel(self) -> None:
        """Cancel it; harmless after it has run."""


class _Timer:
    """One scheduled callback; owns sippy's timer until it fires."""

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
    """The loop that runs every call. One in a process; `run` is for the main thread."""

    def __init__(self) -> None:
        _quieten_sippy()
        stack_speed.install()
        timer_slices.install()
        self._wait = loop_pace.install()
        MonoTime.clock_getdtime = time.clock_gettime
        self._is_stopping = False

    def run(self) -> None:
        """Run callbacks until `stop`.

        Raises:
            RuntimeError: Not called on the main thread; signals arrive only there.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the call loop runs on the main thread only")
        with self._wait.woken_by_signals():
            while not self._is_stopping:
                ED2.loop()
        self._is_stopping = False

    def stop(self) -> None:
        """End `run` after the callback in progress; may be called from any thread and from a signal handler."""
        self.submit(self._stop)

    def submit(self, fn: Callable[..., object], *args: object) -> None:
        """Run ``fn(*args)`` soon on the call thread; may be called from any thread. Its exceptions are logged."""
        ED2.callFromThread(guarded, fn, *args)

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> Cancellable:
        """Run ``fn(*args)`` once after ``seconds`` (resolution 1 ms); call thread only. Its exceptions are logged."""
        return _Timer(seconds, fn, args)

    @property
    def now_s(self) -> float:
        """The monotonic clock, in seconds."""
        return time.monotonic()

    @property
    def is_asleep(self) -> bool:
        """Tell whether the loop sleeps, since it has nothing to do; any thread."""
        return self._wait.is_asleep

    def _stop(self) -> None:
        self._is_stopping = True
        ED2.breakLoop()


def guarded(fn: Callable[..., object], *args: object) -> None:
    """Call ``fn(*args)`` and log an exception once, so that a bug in one call does not end the others."""
    try:
        fn(*args)
    except Exception:  # noqa: BLE001 - the boundary between calls
        _log.exception("a callback failed: %s", getattr(fn, "__qualname__", fn))


class QuietLogger:
    """Replaces sippy's SIP logger: logs start lines at DEBUG with masked numbers, never a body."""

    def write(self, *parts: object, **_: object) -> None:
        """Log the heading and the start line of a message, if DEBUG is enabled."""
        if not _log.isEnabledFor(logging.DEBUG):
            return
        heading = str(parts[0]).strip() if parts else ""
        start_line = str(parts[1]).split("\r", 1)[0] if len(parts) > 1 else ""
        _log.debug("%s %s", heading, masked(start_line))

    def sent(self, server: Sippy, address: Sippy, text: str) -> None:
        """Log the address and the start line of a message that is sent, if DEBUG is enabled."""
        if _log.isEnabledFor(logging.DEBUG):
            self.write(f"SENDING message to {server.addr2str(address)}:", text)


def _quieten_sippy() -> None:
    """Replace sippy's printing by log lines without the text, so that no digit or number reaches the journal.

    Each module has its own reference to ``dump_exception`` and calls the builtin ``print``, some with whole messages.
    """
    for module in (EventDispatcher, Network_server, Signal, SipTransactionManager, Udp_server):
        module.dump_exception = _log_dumped
    for module in (EventDispatcher, SipMsg, SipRequest, SipTransactionManager, SipURL, Udp_server):
        module.print = _log_printed


def _log_dumped(message: str, *_: object, **__: object) -> None:
    # The exception may quote a message, so only its type and place are logged.
    kind, _value, trace = sys.exc_info()
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "?"
    _log.error("sippy: %s: %s at %s", message, kind.__name__ if kind else "?", place)


def _log_printed(*parts: object, **_: object) -> None:
    # The text may hold a message, so it is not logged.
    _log.debug("sippy printed %d part(s)", len(parts))
