"""Whether the mails that tell people what waits for them leave, for the daemon's health."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from recorder.domain.notifying import FAILING_AFTER
from recorder.notifying.box import Box
from recorder.notifying.mail_options import MailOptions
from recorder.people.database import open_people
from storage.errors import StorageError
from storage.rows import time_to_json

ALARM = "mail_failing"


class MailHealth:
    """Looks at the mails that wait in a file of people. Blocks; the file is opened once it is there.

    Args:
        path: The file.
        options: How mails are sent; without a server none is, and nothing is wrong with that.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, path: Path, options: MailOptions, now: Callable[[], datetime]) -> None:
        self._path = path
        self._options = options
        self._now = now
        self._box: Box | None = None

    def look(self) -> dict[str, Any]:
        """Return how the mails stand, with the alarm while one has waited for ``FAILING_AFTER`` or nobody can tell."""
        if self._options.smtp is None or not self._path.exists():
            return {"alarms": {}, "server": self._options.smtp, "waiting": 0, "oldest_at": None, "problem": ""}
        try:
            if self._box is None:
                self._box = Box(open_people(self._path), now=self._now)
            queue = self._box.queue()
        except (SQLAlchemyError, StorageError, OSError) as error:
            problem = f"the file of people cannot be read: {type(error).__name__}"
            return {
                "alarms": {ALARM: 1}, "server": self._options.smtp, "waiting": 0, "oldest_at": None, "problem": problem,
            }  # fmt: skip
        is_failing = queue.oldest_at is not None and self._now() - queue.oldest_at >= FAILING_AFTER
        return {
            "alarms": {ALARM: queue.waiting} if is_failing else {},
            "server": self._options.smtp,
            "waiting": queue.waiting,
            "oldest_at": time_to_json(queue.oldest_at),
            "problem": queue.problem if queue.waiting else "",
        }
