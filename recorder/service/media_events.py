"""Carries what the media core saw to the call thread."""

import os
import select
import threading
from collections.abc import Callable, Iterable

from audio.relay import Relay
from audio.types import MediaEvent


class MediaEvents:
    """The thread ``media-events``: it waits for the media core and hands its events on.

    Args:
        relay: The media core.
        receive: Has events handled on the call thread; never waits.
    """

    def __init__(self, relay: Relay, receive: Callable[[Iterable[MediaEvent]], None]) -> None:
        self._relay = relay
        self._receive = receive
        self._stopping = threading.Event()
        self._wake_fd = os.eventfd(0)
        self._thread = threading.Thread(target=self._pump, name="media-events", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, if it was started; the media core is still open."""
        self._stopping.set()
        os.eventfd_write(self._wake_fd, 1)
        if self._thread.is_alive():
            self._thread.join(2)
        os.close(self._wake_fd)

    def _pump(self) -> None:
        poller = select.poll()
        poller.register(self._relay.event_fd, select.POLLIN)
        poller.register(self._wake_fd, select.POLLIN)
        while not self._stopping.is_set():
            poller.poll()
            events = self._relay.events()
            if events:
                self._receive(events)
