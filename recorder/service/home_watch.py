"""Looks every 10 s at what the daemon depends on - keys, index, audit log - and keeps the book of alarms on the disk.

The daemon may not see the private keys. The key holder, which the console is, looks at them and writes what is wrong
into `state/key_holder.json`; the daemon's health has the alarm.
"""

import json
import logging
import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from recorder.calls.call_services import CallServices
from recorder.common.home import Home
from recorder.control.health_report import standing
from recorder.recordings.keyring import months_without_key
from recorder.rules.alarm_book import (
    KEPT,
    RESTARTED,
    AlarmBook,
    EndedAlarm,
    ended_from_json,
    ended_to_json,
    standing_from_json,
    standing_to_json,
)
from storage.durable import make_folder, save_atomically
from storage.epochs import EpochKeys, current_public, month_of, names_in
from storage.errors import DatabaseError, KeyProblemError, StorageError
from storage.index import Index
from storage.keys import NodeKeys
from storage.rows import time_to_json
from storage.vault import Vault

_log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often to look, seconds."""
MONTHS_LOOKS = 360
"""Looks between two at all months that recordings are sealed to: once an hour, since it reads folders of keys."""
CLOSE_S = 2.0
BOOK, HOLDER = "alarms.json", "key_holder.json"
"""Files in the home's folder of states."""
KEYS, MONTH, PRIVATE, INDEX = "keys_unreadable", "epoch_missing", "private_keys_missing", "index_unavailable"
_OF_ROWS = (INDEX, "row_in_memory")
_OF_AUDIT = ("audit_unavailable", "audit_entry_in_memory")


def read_book(state: Path, now: Callable[[], datetime]) -> AlarmBook:
    """Return a new book of alarms with those of earlier processes as ended ones. What cannot be read is left out."""
    try:
        found = json.loads((state / BOOK).read_bytes())
        ended = [ended_from_json(one) for one in found["ended"]]
        stood = [
            EndedAlarm(alarm=standing_from_json(one), ended_at=datetime.fromisoformat(found["at"]), why=RESTARTED)
            for one in found["standing"]
        ]
    except FileNotFoundError:
        return AlarmBook(now)
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s cannot be read, so the history of alarms begins anew: %s", state / BOOK, error)
        return AlarmBook(now)
    return AlarmBook(now, (*ended, *stood)[-KEPT:])


class HomeWatch:
    """Looks at a daemon's home, on a thread of its own, because disk and database may hang.

    Args:
        home: The home.
        index: The daemon's index.
        services: Its services.
        now: The clock, UTC.
        every_s: Seconds between two looks.
    """

    def __init__(
        self, home: Home, index: Index, services: CallServices, now: Callable[[], datetime], every_s: float = LOOK_S
    ) -> None:
        self._home, self._index, self._services, self._now = home, index, services, now
        self._every_s = every_s
        self._said: dict[str, str] = {}
        self._stored = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="home-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and store the book; a disk or database that hangs is waited for no longer than CLOSE_S."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    def _keep(self) -> None:
        while True:
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a bug here must not end the looking
                _log.exception("Internal error while looking at the home; retrying")
            if self._stopping.wait(self._every_s):
                self._store()
                return

    def look(self) -> None:
        """Look once: set the alarms, and end those whose cause is gone. Never raises for what it finds."""
        self._look_at_keys()
        self._look_at_index()
        if self._services.late.waiting + self._services.shell_late.waiting == 0:
            self._end_quiet(*_OF_AUDIT)
        book = self._services.alarms
        book.observe({name: count for name, count in standing(self._services).alarms.items() if name not in book})
        self._store()

    def _look_at_keys(self) -> None:
        problem = ""
        try:
            NodeKeys.load(self._home.root)
            is_fallback = current_public(self._home.root / "keys" / "epochs", self._now()).is_fallback
            self._services.set_alarm(MONTH, is_fallback)
            sealed = self._home.root / "keys" / "sealed"
            if sealed.exists() and not os.access(sealed, os.W_OK):
                problem = f"{sealed} cannot be written from here: if it was put back, restart the daemon"
        except KeyProblemError as error:
            problem = str(error)
        self._set(KEYS, problem)
        self._set(PRIVATE, read_holder(self._home.state))

    def _look_at_index(self) -> None:
        try:
            self._index.probe()
        except DatabaseError as error:
            self._set(INDEX, str(error))
            return
        self._said.pop(INDEX, None)
        if not self._services.rows.waiting:
            self._services.alarms.end(*_OF_ROWS)

    def _set(self, alarm: str, problem: str) -> None:
        """Set or clear a lasting alarm; log a problem once."""
        self._services.set_alarm(alarm, bool(problem))
        if problem and self._said.get(alarm) != problem:
            _log.error("alarm %s: %s", alarm, problem)
        self._said[alarm] = problem

    def _end_quiet(self, *alarms: str) -> None:
        """End alarms that nothing has raised since the last look: an act that finds the log away does not wait."""
        standing_now = {one.name: one for one in self._services.alarms.standing()}
        for name in alarms:
            found = standing_now.get(name)
            if found is not None and (self._now() - found.last_at).total_seconds() >= self._every_s:
                self._services.alarms.end(name)

    def _store(self) -> None:
        book, changes = self._services.alarms, self._services.alarms.changes
        if changes == self._stored:
            return
        content = {
            "at": time_to_json(self._now()), "standing": [standing_to_json(one) for one in book.standing()],
            "ended": [ended_to_json(one) for one in reversed(book.ended())],
        }  # fmt: skip
        try:
            make_folder(self._home.state)
            save_atomically(self._home.state / BOOK, json.dumps(content).encode())
        except OSError as error:
            if self._said.get(BOOK) != str(error):
                self._said[BOOK] = str(error)
                _log.warning("The history of alarms is not stored yet; retrying: %s", error.strerror or error)
        else:
            self._stored = changes
            self._said.pop(BOOK, None)


class KeyHolderWatch:
    """Looks at the private keys, in the process that has them, and writes what is wrong for the daemon's health.

    Args:
        home: The home.
        keys: The private keys.
        vault: The recordings, whose sealed keys name the months that are needed.
        now: The clock, UTC.
    """

    def __init__(self, home: Home, keys: EpochKeys, vault: Vault, now: Callable[[], datetime]) -> None:
        self._home, self._keys, self._vault, self._now = home, keys, vault, now
        self._looks = 0
        self._of_months = self._said = ""

    def keep(self, stopping: threading.Event) -> None:
        """Look until told to stop."""
        while True:
            try:
                self.look()
            except Exception:  # noqa: BLE001 - a bug here must not end the looking
                _log.exception("Internal error while looking at the private keys; retrying")
            if stopping.wait(LOOK_S):
                return

    def look(self) -> None:
        """Look once, and write what has changed."""
        if self._looks % MONTHS_LOOKS == 0:
            self._of_months = self._problem_of_months()
        self._looks += 1
        problem = self._problem_of_now() or self._of_months
        if problem == read_holder(self._home.state):
            return
        if problem and problem != self._said:
            _log.error("alarm %s: %s", PRIVATE, problem)
        try:
            make_folder(self._home.state)
            content = {"at": time_to_json(self._now()), "problem": problem}
            save_atomically(self._home.state / HOLDER, json.dumps(content).encode())
        except OSError as error:
            if problem != self._said:
                _log.warning("The state of the private keys is not stored yet; retrying: %s", error.strerror or error)
        self._said = problem

    def _problem_of_now(self) -> str:
        """Return what is wrong with the keys of this month and later ones, which new recordings are sealed to."""
        month = month_of(self._now())
        try:
            for name in names_in(self._keys.public_folder, ".pub"):
                if name >= month:
                    self._keys.public_of(name)
        except KeyProblemError as error:
            return str(error)
        return ""

    def _problem_of_months(self) -> str:
        try:
            missing = months_without_key(self._keys.private_folder, self._vault)
        except (StorageError, OSError) as error:
            return str(error)
        if not missing:
            return ""
        return f"recordings are sealed to {', '.join(missing)}, whose private key is not in {self._keys.private_folder}"


def read_holder(state: Path) -> str:
    """Return what is wrong with the private keys as their holder has written it; "" for nothing, or if it has not."""
    try:
        return str(json.loads((state / HOLDER).read_bytes())["problem"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
