"""Whether the mails that tell people what waits for them leave, for the daemon's health.

The console sends them and notes how they stand in a file (`state/mail.json`); the daemon does not open the file of
people, in which they wait.
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
    """Note how the mails stand.

    Args:
        state: The home's folder of states.
        queue: How they stand.

    Raises:
        OSError: It cannot be written.
    """
    noted = {"waiting": queue.waiting, "oldest_at": time_to_json(queue.oldest_at), "problem": queue.problem}
    make_folder(state)
    save_atomically(state / NAME, json.dumps(noted).encode())


class MailHealth:
    """Looks at what the console noted. Blocks.

    Args:
        state: The home's folder of states.
        options: How mails are sent; without a server none is, and nothing is wrong with that.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, state: Path, options: MailOptions, now: Callable[[], datetime]) -> None:
        self._path = state / NAME
        self._options = options
        self._now = now

    def look(self) -> dict[str, Any]:
        """Return how the mails stand, with the alarm while one has waited for ``FAILING_AFTER`` or nobody can tell."""
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
