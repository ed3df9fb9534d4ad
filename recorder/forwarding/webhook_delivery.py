"""Works off the deliveries of one webhook, on a thread of its own: a target that hangs delays no other."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.retries import GIVEN_UP_AFTER, pause_s, retry_after
from recorder.forwarding.webhook_http import WebhookError, post
from recorder.forwarding.webhook_queue import Delivery, DeliveryState, QueueError, WebhookQueue
from recorder.forwarding.webhook_signature import SecretError, headers_of, secret_of
from storage.errors import KeyProblemError
from storage.key_files import read_secret
from storage.rows import time_to_json

_log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Interval between two looks at the queue."""
_AT_ONCE = 50
_MOST_SECRETS = 2
Post = Callable[[WebhookOptions, bytes, Mapping[str, str]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookState:
    """How deliveries to a target go.

    Attributes:
        name: The target.
        waiting: How many wait.
        oldest_at: When the oldest of them was queued; "" for none.
        given_up: How many were given up in the last day.
        failing_since: When the first of the last tries failed, all of which did; "" if the last one did not.
        problem: Why the last try failed.
    """

    name: str
    waiting: int = 0
    oldest_at: str = ""
    given_up: int = 0
    failing_since: str = ""
    problem: str = ""


class TargetDelivery:
    """Delivers to one target until it is told to stop.

    Args:
        target: A checked target.
        queue: The queue.
        now: The wall clock, UTC.
        post: Posts a body; raises WebhookError.
    """

    def __init__(
        self, target: WebhookOptions, queue: WebhookQueue, *, now: Callable[[], datetime], post: Post = post
    ) -> None:
        self._target = target
        self._queue = queue
        self._now = now
        self._post = post
        self._failures = 0
        self._since = ""
        self._problem = ""

    @property
    def state(self) -> WebhookState:
        """Return how deliveries go; reads the queue. Raises QueueError."""
        counts = self._queue.counts(self._target.name, given_up_since=self._now() - timedelta(days=1))
        return WebhookState(
            name=self._target.name, waiting=counts.waiting, oldest_at=time_to_json(counts.oldest_at) or "",
            given_up=counts.given_up, failing_since=self._since, problem=self._problem,
        )  # fmt: skip

    def keep(self, stopping: threading.Event) -> None:
        """Deliver until told to stop."""
        while not stopping.wait(self.run_once(stopping)):
            pass

    def run_once(self, stopping: threading.Event | None = None) -> float:
        """Deliver what is due, up to the first failure; return the seconds until the next try. Never raises."""
        try:
            due = self._queue.due(self._target.name, self._now(), most=_AT_ONCE) if self._queue.exists else []
            for delivery in due:
                if stopping is not None and stopping.is_set():
                    break
                if not self._deliver(delivery):
                    return pause_s(self._failures)
        except (QueueError, SecretError, KeyProblemError) as error:
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a bug here must not end the deliveries
            _log.exception("webhook %s: delivering failed; retrying", self._target.name)
            return self._failed(f"internal error, {type(error).__name__}; see the log")
        return 0.0 if due else LOOK_S

    def _deliver(self, delivery: Delivery) -> bool:
        at_s = int(self._now().timestamp())
        headers = headers_of(secrets_in(self._target), event=delivery.id, at_s=at_s, body=delivery.body)
        try:
            status = self._post(self._target, delivery.body, headers)
        except WebhookError as error:
            self._failed(str(error))
            self._put_off(delivery, error)
            return False
        self._queue.settle(delivery, DeliveryState.DELIVERED, self._now(), status=status)
        if self._failures:
            _log.warning("webhook %s accepts deliveries again", self._target.name)
        self._failures, self._since, self._problem = 0, "", ""
        return True

    def _put_off(self, delivery: Delivery, error: WebhookError) -> None:
        now = self._now()
        if now - delivery.made_at >= GIVEN_UP_AFTER:
            tries = delivery.tries + 1
            _log.error("webhook %s: event %s given up after %d tries", self._target.name, delivery.id, tries)
            self._queue.settle(delivery, DeliveryState.GIVEN_UP, now, status=error.status, problem=str(error))
        else:
            due = now + retry_after(delivery.tries + 1)
            self._queue.settle(delivery, DeliveryState.WAITING, now, due=due, status=error.status, problem=str(error))

    def _failed(self, problem: str) -> float:
        if problem != self._problem:
            _log.error("Delivering failed; retrying: %s", problem)
        self._failures += 1
        self._since = self._since or time_to_json(self._now()) or ""
        self._problem = problem
        return pause_s(self._failures)


def secrets_in(target: WebhookOptions) -> list[bytes]:
    """Return the secrets of a target: the lines of its file, one or two.

    Raises:
        KeyProblemError: The file is missing or can be read by others.
        SecretError: It holds something else.
    """
    lines = read_secret(Path(target.secret_file)).decode(errors="replace").splitlines()
    try:
        found = [secret_of(line) for line in lines if line.strip()]
        if not 1 <= len(found) <= _MOST_SECRETS:
            raise SecretError(f"it has {len(found)} lines: write one secret, or two while it is changed")
    except SecretError as error:
        raise SecretError(f"webhook {target.name}: {target.secret_file}: {error}") from error
    return found
