"""Hands events of calls from the daemon to the queue of webhooks, on a thread that may wait for the disk."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.webhook_queue import QueueError, WebhookQueue
from recorder.rules.webhook_events import WebhookEvent, of_published

_log = logging.getLogger(__name__)

NOT_QUEUED = "events_not_queued"
MOST_WAITING = 10_000
"""Events that wait for the disk at most, a few megabytes; more are derived from their rows later."""


class Handover:
    """Queues the events of the daemon's stream that webhooks are told of. Any thread; never blocks, never raises.

    Args:
        queue: The queue.
        targets: Returns the configured targets.
        submit: Runs work on a thread that may wait for the disk.
        alarm: Called with ``events_not_queued`` for events that were not queued.
        now: The wall clock, UTC.
    """

    def __init__(
        self, queue: WebhookQueue, targets: Callable[[], Sequence[WebhookOptions]], *,
        submit: Callable[..., object], alarm: Callable[[str], None], now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._queue = queue
        self._targets = targets
        self._submit = submit
        self._alarm = alarm
        self._now = now
        self._lock = threading.Lock()
        self._begun: set[str] = set()
        self._pending: list[WebhookEvent] = []
        self._is_scheduled = False
        self._is_failing = False

    def publish(self, event: Mapping[str, Any]) -> None:
        """Queue what follows from an event of the stream."""
        try:
            if not self._targets() or self._is_known(event):
                return
            if events := of_published(event, self._now()):
                self._schedule(events)
        except Exception:  # noqa: BLE001 - an event for another system must not end a call
            _log.exception("An event was not queued for webhooks; it is derived from the row of its call later")
            self._alarm(NOT_QUEUED)

    def _is_known(self, event: Mapping[str, Any]) -> bool:
        """Tell whether it only says that a call, whose begin was queued, changed."""
        call, what = str(event.get("id", "")), event.get("event")
        with self._lock:
            if what in ("ended", "recording"):  # the row comes last: a change may be published after the end
                self._begun.discard(call)
            elif what == "call":
                is_known = call in self._begun
                self._begun.add(call)
                return is_known
        return False

    def _schedule(self, events: Sequence[WebhookEvent]) -> None:
        """Have events queued; those that come before the disk is ready go in one step."""
        with self._lock:
            has_room = len(self._pending) < MOST_WAITING
            is_first = has_room and not self._is_scheduled
            if has_room:
                self._pending.extend(events)
                self._is_scheduled = True
        if is_first:
            self._submit(self._add_pending)
        if not has_room:
            self._alarm(NOT_QUEUED)

    def _add_pending(self) -> None:
        with self._lock:
            events, self._pending = self._pending, []
            self._is_scheduled = False
        try:
            self._queue.add(events, self._targets(), self._now())
        except QueueError as error:
            self._alarm(NOT_QUEUED)
            if not self._is_failing:
                _log.error("Events are not queued for webhooks; they are derived from rows later: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False
