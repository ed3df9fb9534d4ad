"""What carries the messages of a scripted SIP peer: a UDP socket, a thread that owns it, and timers.

`Wire` is what `benchmarks.peers` needs of it, so that a test may put something else in its place: messages and time
of its own.
"""

import heapq
import itertools
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from benchmarks.dialogs import Address

OnMessage = Callable[[bytes, Address], None]


class Changes(AbstractContextManager[bool], Protocol):
    """A condition that is notified after everything that a peer did; `threading.Condition` is the usual one."""

    def wait_for(self, predicate: Callable[[], object], timeout: float | None = None) -> object:
        """Wait until the predicate is true and return its value, or a false one after ``timeout`` seconds."""


class Wire(Protocol):
    """Carries messages and runs timers; all callbacks run one at a time."""

    @property
    def address(self) -> Address:
        """Our own address."""

    @property
    def changed(self) -> Changes:
        """Notified after each message, command and timer."""

    @property
    def patience_s(self) -> float:
        """How long something is waited for unless it is said."""

    def start(self, on_message: OnMessage) -> None:
        """Begin to hand over what arrives."""

    def transmit(self, data: bytes, to: Address) -> None:
        """Send a datagram; one that cannot be sent is as good as lost."""

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Run ``act`` after some seconds; from a callback only."""

    def submit(self, act: Callable[[], None]) -> None:
        """Run ``act`` soon; from any thread."""

    def close(self) -> None:
        """End it. Idempotent.

        Raises:
            RuntimeError: A callback failed.
        """


@dataclass
class _Timer:
    act: Callable[[], None]


class SocketWire:
    """A UDP socket and the thread that owns it.

    Args:
        listen: Local address; port 0 binds a free one.
    """

    patience_s = 60.0
    """Longer than anything that comes takes on a busy machine: it only ends the wait for what never comes."""

    def __init__(self, listen: Address = ("127.0.0.1", 0)) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self._socket.bind(listen)
        self._socket.setblocking(False)
        self._address: Address = self._socket.getsockname()
        self._changed = threading.Condition()
        self._commands: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._must_end = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> Address:
        """Return the address bound."""
        return self._address

    @property
    def changed(self) -> threading.Condition:
        """Return the condition."""
        return self._changed

    def start(self, on_message: OnMessage) -> None:
        """Start the thread."""
        self._thread = threading.Thread(
            target=self._run, args=(on_message,), name=f"sip-peer-{self._address[1]}", daemon=True
        )
        self._thread.start()

    def transmit(self, data: bytes, to: Address) -> None:
        """Send a datagram; one that cannot be sent is as good as lost."""
        try:
            self._socket.sendto(data, to)
        except OSError:
            return  # as good as lost on the way: the retransmission's business

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Run ``act`` on the thread after some seconds; on the thread only."""
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), _Timer(act)))

    def submit(self, act: Callable[[], None]) -> None:
        """Run ``act`` on the thread, soon."""
        self._commands.append(act)
        self._wake()

    def close(self) -> None:
        """End the thread and close the socket; RuntimeError if a callback had failed."""
        if self._thread is not None and self._thread.is_alive():
            self._must_end = True
            self._wake()
            self._thread.join()
        for opened in (self._socket, self._wake_in, self._wake_out):
            opened.close()
        error, self._error = self._error, None
        if error is not None:
            raise RuntimeError("the scripted peer failed") from error

    # --- the thread

    def _wake(self) -> None:
        try:
            self._wake_out.send(b"\0")
        except BlockingIOError:
            return  # it is full: the thread is awake already

    def _run(self, on_message: OnMessage) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._socket, selectors.EVENT_READ)
                selector.register(self._wake_in, selectors.EVENT_READ)
                while not self._must_end:
                    selector.select(self._wait_s())
                    with self._changed:
                        self._turn(on_message)
                        self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - kept, and raised by `close`
            self._error = error

    def _turn(self, on_message: OnMessage) -> None:
        self._drain_wake()
        while self._commands:
            self._commands.popleft()()
        for _ in range(64):
            try:
                data, source = self._socket.recvfrom(65535)
            except (BlockingIOError, ConnectionError):
                break
            on_message(data, source)
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2].act()

    def _drain_wake(self) -> None:
        try:
            self._wake_in.recv(4096)
        except BlockingIOError:
            return

    def _wait_s(self) -> float | None:
        if self._commands:
            return 0.0
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
