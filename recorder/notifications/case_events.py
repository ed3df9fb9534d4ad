"""Queues events of cases whose due day is near, today or past, for webhooks. A thread of the console.

Only the console reads cases. Each deadline is derived from the stored state, and queued once.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from recorder.config.webhook_options import WebhookOptions
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.forwarding.webhook_queue import QueueError, WebhookQueue
from recorder.notifications.watch import clocks_of
from recorder.rules.webhook_events import of_case
from storage.errors import StorageError

_log = logging.getLogger(__name__)

FIRST_S, EVERY_S = 10.0, 300.0
"""From the start to the first look at the cases; from one look to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEvents:
    """Queues deadlines of cases.

    Attributes:
        cases: The cases.
        queue: The queue of webhooks.
        targets: The configured webhooks.
    """

    cases: CaseRepositories
    queue: WebhookQueue
    targets: Sequence[WebhookOptions]

    def keep(self, stopping: threading.Event) -> None:
        """Queue deadlines until told to stop; failures are logged and tried again."""
        wait_s = FIRST_S
        while not stopping.wait(wait_s):
            wait_s = EVERY_S
            try:
                self.run_once()
            except (QueueError, StorageError, OSError) as error:
                _log.error("Queuing deadlines of cases for webhooks failed; retrying in %g s: %s", EVERY_S, error)
            except Exception:  # noqa: BLE001 - a bug here must not end the thread of a console that lives for months
                _log.exception("Queuing deadlines of cases for webhooks failed; retrying in %g s", EVERY_S)

    def run_once(self) -> int:
        """Queue deadlines that are new; return how many were."""
        cases, today = self.cases, self.cases.today
        now = cases.cases.now()
        events = [
            of_case(clock.id, clock.due_on, today, is_pressing=clock.is_pressing, now=now)
            for clock in clocks_of(cases)
            if clock.due_on is not None
        ]
        return self.queue.add([event for event in events if event is not None], self.targets, now)
