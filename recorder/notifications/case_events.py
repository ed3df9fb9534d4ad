"""Queues events of cases whose due day is near, today or past, for webhooks. A thread of the console.

Only the console reads cases. Each deadline is derived from the stored state, and queued once.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from recorder.common.turns import Turn
from recorder.config.webhook_options import WebhookOptions
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.forwarding.webhook_queue import QueueError, WebhookQueue
from recorder.notifications.watch import clocks_of
from recorder.rules.webhook_events import WebhookEvent, of_case
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
        turn: Keeps several consoles of a site apart; None if there is one.
    """

    cases: CaseRepositories
    queue: WebhookQueue
    targets: Sequence[WebhookOptions]
    turn: Turn | None = None

    def keep(self, stopping: threading.Event) -> None:
        """Queue deadlines until told to stop; failures are logged and tried again."""
        wait_s = FIRST_S
        while not stopping.wait(wait_s):
            wait_s = EVERY_S
            try:
                self.run_in_turn()
            except (QueueError, StorageError, OSError) as error:
                _log.error("Queuing deadlines of cases for webhooks failed; retrying in %g s: %s", EVERY_S, error)
            except Exception:  # noqa: BLE001 - a bug here must not end the thread of a console that lives for months
                _log.exception("Queuing deadlines of cases for webhooks failed; retrying in %g s", EVERY_S)

        if self.turn is not None:
            self.turn.close()

    def run_in_turn(self) -> int:
        """Do what `run_once` does, unless another console does it, or has queued the deadline in its own queue.

        Raises:
            QueueError, StorageError, OSError: A database does not answer.
        """
        if self.turn is None:
            return self.run_once()
        with self.turn.mine() as lease:
            if lease is None:
                return 0
            events = self._events()
            known = frozenset(self.turn.note().get("queued", ()))
            count = self.queue.add([one for one in events if one.id not in known], self.targets, self.cases.cases.now())
            self.turn.leave({"queued": sorted(one.id for one in events)})
            return count

    def run_once(self) -> int:
        """Queue deadlines that are new; return how many were."""
        return self.queue.add(self._events(), self.targets, self.cases.cases.now())

    def _events(self) -> list[WebhookEvent]:
        cases, today = self.cases, self.cases.today
        now = cases.cases.now()
        events = [
            of_case(clock.id, clock.due_on, today, is_pressing=clock.is_pressing, now=now)
            for clock in clocks_of(cases)
            if clock.due_on is not None
        ]
        return [event for event in events if event is not None]
