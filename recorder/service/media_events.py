"""Passes events of the media core to the call thread."""

import os
import select
import threading
from collections.abc import Callable, Iterable

from audio.relay import Relay
from audio.types import MediaEvent


class MediaEvents:
    """Waits for events of the media core on its own thread, ``media-events``.

    Args:
        relay: The media core.
        receive: Handles events on the call thread; must not block.
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
        """End the thread, if it was started. The media core must still be open."""
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
