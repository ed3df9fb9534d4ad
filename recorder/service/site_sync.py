"""Keeps sign-ons and PINs the same on all nodes of a site, through the database; each machine also has them in files.

While the database is away the last known state holds, and what is done at this node is told to the others later. Call
thread and acts never wait for it.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from recorder.access.agents import SignOns
from recorder.common.serial_executor import SerialExecutor
from storage.errors import StorageError
from storage.shared_sign_ons import SharedSignOn, SharedSignOns

_log = logging.getLogger(__name__)

EVERY_S = 2.0
STOP_S = 8.0
_FORGET_EVERY = 1800
"""Looks between two removals of old sign-ons: an hour."""


class SignOnSync:
    """Tells the other nodes of sign-ons at this one, and takes theirs.

    Args:
        sign_ons: This node's.
        table: The site's.
        executor: Changes sign-ons in order, as for acts at this node.
        now: The clock, UTC.
        lasts: Returns how long a sign-on lasts.
    """

    def __init__(
        self, sign_ons: SignOns, table: SharedSignOns, executor: SerialExecutor, *, now: Callable[[], datetime],
        lasts: Callable[[], timedelta],
    ) -> None:  # fmt: skip
        self._sign_ons = sign_ons
        self._table = table
        self._executor = executor
        self._now = now
        self._lasts = lasts
        self._seen_us = 0
        self._told: list[SharedSignOn] = []
        self._looks = 0

    def look(self) -> None:
        """Take what is new, then tell what is new.

        Raises:
            DatabaseError, OSError: Database or disk cannot be used; the next look does it.
        """
        changes = self._table.since(self._seen_us)
        self._executor.submit(self._sign_ons.take_over, changes.rows).result()
        self._seen_us = changes.seen_us
        own = self._sign_ons.to_share()
        known = [*self._told, *changes.rows]
        if new := [one for one in own if one not in known]:
            self._table.put(new)
        self._told = own
        if self._looks % _FORGET_EVERY == 0:
            self._table.forget(before=self._now() - self._lasts() - timedelta(days=1))
        self._looks += 1


class SiteSync:
    """A thread that looks every two seconds.

    Args:
        looks: What is to be done; a failure of one does not keep the others from being done.
    """

    def __init__(self, *looks: Callable[[], object]) -> None:
        self._looks = looks
        self._problems: dict[int, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="site-sync", daemon=True)

    def start(self) -> None:
        """Begin; without anything to do no thread is started."""
        if self._looks:
            self._thread.start()

    def close(self) -> None:
        """Look once more, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(STOP_S)

    def look(self) -> None:
        """Do everything once; a repeated failure is logged once."""
        for number, look in enumerate(self._looks):
            problem = ""
            try:
                look()
            except (StorageError, OSError) as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - a bug here must not end it
                problem = type(error).__name__
            if problem and problem != self._problems.get(number):
                _log.error("Exchanging sign-ons or PINs with the other nodes failed; retrying: %s", problem)
            self._problems[number] = problem

    def _keep(self) -> None:
        is_over = False
        while not is_over:
            self.look()
            is_over = self._stopping.wait(EVERY_S)
        self.look()
