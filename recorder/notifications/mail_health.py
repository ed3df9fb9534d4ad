"""Whether notification mails are sent, for the daemon's health report.

The console sends the mails and writes the state of its queue to `state/mail.json`. The daemon reads that file: it does
not open the accounts database, which holds the queue.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.config.mail_options import MailOptions
from recorder.notifications.box import Queue
from recorder.notifications.mail_retries import FAILING_AFTER
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json

ALARM = "mail_failing"
NAME = "mail.json"


def note_queue(state: Path, queue: Queue) -> None:
    """Write the state of the mail queue for the daemon.

    Args:
        state: The home's state folder.
        queue: State of the queue.

    Raises:
        OSError: The file cannot be written.
    """
    noted = {"waiting": queue.waiting, "oldest_at": time_to_json(queue.oldest_at), "problem": queue.problem}
    make_folder(state)
    save_atomically(state / NAME, json.dumps(noted).encode())


class MailHealth:
    """Reads the state of the mail queue that the console wrote. Blocks.

    Args:
        state: The home's state folder.
        options: How mails are sent; without a server there is never an alarm.
        now: Returns the current time, aware, UTC.
    """

    def __init__(self, state: Path, options: MailOptions, now: Callable[[], datetime]) -> None:
        self._path = state / NAME
        self._options = options
        self._now = now

    def look(self) -> dict[str, Any]:
        """Return the queue's state, with an alarm if a mail waits over ``FAILING_AFTER`` or the file is bad."""
        found: dict[str, Any] = {"alarms": {}, "waiting": 0, "oldest_at": None, "problem": ""}
        if self._options.smtp is not None:
            try:
                found = self._noted()
            except FileNotFoundError:
                pass  # no console has run yet
            except (OSError, ValueError, KeyError, TypeError) as error:
                problem = f"state/{NAME} cannot be read: {type(error).__name__}"
                found = {**found, "alarms": {ALARM: 1}, "problem": problem}
        return {**found, "server": self._options.smtp}

    def _noted(self) -> dict[str, Any]:
        noted = json.loads(self._path.read_bytes())
        waiting, oldest_at = int(noted["waiting"]), time_from_json(noted["oldest_at"])
        is_failing = oldest_at is not None and self._now() - oldest_at >= FAILING_AFTER
        return {
            "alarms": {ALARM: waiting} if is_failing else {},
            "waiting": waiting,
            "oldest_at": time_to_json(oldest_at),
            "problem": str(noted["problem"]) if waiting else "",
        }
