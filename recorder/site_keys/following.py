"""A node follows its site's key list, on a thread of its own: no call waits for the database.

Every LOOK_S it reads the newest list, checks it, and stores its keys in the node's home. It tells the key holder which
list it follows and which epochs keys here are sealed to, so that no private key is destroyed that it needs.
"""

import logging
import threading
from collections.abc import Callable, MutableMapping
from datetime import datetime
from pathlib import Path

from recorder.access.signing import public_path
from recorder.common.home import Home
from recorder.site_keys.joining import take_list
from recorder.site_keys.key_list import RefusedListError, SignedList, check_list, check_successor, parse_list
from recorder.site_keys.places import SiteKeysError, has_joined
from recorder.site_keys.publishing import stored_list
from storage.database import Database
from storage.epochs import current_public
from storage.errors import DatabaseError, KeyProblemError, StorageError
from storage.key_list_rows import NodeReport, newest_list, report
from storage.keys import NodeKeys, SealedKeys

_log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often a node reads the list, seconds: a rotation reaches it within this, and the time of one query."""
REPORT_S = 60.0
"""How often a node reports when nothing has changed, seconds."""
CLOSE_S = 2.0
REFUSED, MISSING = "key_list_refused", "epoch_missing"
"""Alarms. Each lasts until its cause is gone."""


class KeyListFollower:
    """Follows the key list for one home.

    Args:
        home: The node's home.
        database: The site's index database.
        alarms: The daemon's alarms, by name.
        now: The clock.
        refused: Called once for each list that is refused, with the reason, for the audit log.
        every_s: Seconds between two looks.
    """

    def __init__(
        self,
        home: Home,
        database: Database,
        alarms: MutableMapping[str, int],
        *,
        now: Callable[[], datetime],
        refused: Callable[[str], object] = lambda _: None,
        every_s: float = LOOK_S,
    ) -> None:
        self._home = home
        self._database = database
        self._alarms = alarms
        self._now = now
        self._refused = refused
        self._every_s = every_s
        self._said = ""
        self._reported: NodeReport | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="site-keys", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; a database that does not answer is waited for no longer than CLOSE_S."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_S)

    def _keep(self) -> None:
        """Follow until told to stop. A home that has not joined a site is only looked at again."""
        while True:
            try:
                self.look()
            except DatabaseError as error:
                self._say(f"The site's key list cannot be read; the keys that are here stay in use: {error}")
            except (StorageError, SiteKeysError, OSError) as error:
                self._say(f"Following the site's key list failed; retrying: {error}")
            except Exception:  # noqa: BLE001 - a bug here must not keep a rotation from this node for ever
                _log.exception("Internal error while following the site's key list; retrying")
            if self._stopping.wait(self._every_s):
                return

    def look(self) -> None:
        """Follow the newest list, set the alarms, and report.

        Raises:
            StorageError, SiteKeysError: The database does not answer, or a key here cannot be read.
            OSError: Keys cannot be written.
        """
        if not has_joined(self._home):
            return
        self._look_at_epochs()
        found = newest_list(self._database)
        if found is None:  # whoever removes it keeps a rotation from the nodes
            self._refuse("it is not there: the console publishes it each minute")
        else:
            self._follow(found.text, found.signature)
            self._look_at_epochs()
        self._report()
        if REFUSED not in self._alarms:
            self._said = ""

    def _follow(self, text: str, signature: str) -> None:
        known = stored_list(self._home)
        assert known is not None, "a home that has joined has a list"
        if (known.text, known.signature) == (text, signature):
            self._alarms.pop(REFUSED, None)
            return
        try:
            found = parse_list(text, signature)
            check_list(found, self._trusted())
            check_successor(found, known)
            take_list(self._home, found)
        except RefusedListError as error:
            self._refuse(str(error))
            return
        self._alarms.pop(REFUSED, None)
        _log.info("Following key list %d of the site", found.content.number)

    def _refuse(self, why: str) -> None:
        self._alarms[REFUSED] = 1
        if self._say(f"The key list in the database is not followed, and the keys here stay in use: {why}"):
            self._refused(why)

    def _trusted(self) -> bytes:
        path = public_path(self._home.root)
        try:
            return bytes.fromhex(path.read_text())
        except (OSError, ValueError) as error:
            raise KeyProblemError(f"{path} cannot be read: join again with the welcome file") from error

    def _look_at_epochs(self) -> None:
        try:
            is_missing = current_public(self._epochs, self._now()).is_fallback
        except KeyProblemError:
            is_missing = True
        self._set(MISSING, is_on=is_missing)

    def _set(self, alarm: str, *, is_on: bool) -> None:
        if is_on:
            self._alarms[alarm] = 1
        else:
            self._alarms.pop(alarm, None)

    def _report(self) -> None:
        said, before = self.report_of(stored_list(self._home)), self._reported
        facts = (said.list_number, said.current, said.sealed)
        is_same = before is not None and facts == (before.list_number, before.current, before.sealed)
        if before is None or not is_same or (said.reported_at - before.reported_at).total_seconds() >= REPORT_S:
            report(self._database, said)
            self._reported = said

    def report_of(self, known: SignedList | None) -> NodeReport:
        """Return what the node says of its epochs."""
        sealed = SealedKeys(self._home.root)
        try:
            current = current_public(self._epochs, self._now()).name
        except KeyProblemError:
            current = ""
        return NodeReport(
            fingerprint=NodeKeys.load(self._home.root).fingerprint,
            list_number=known.content.number if known else 0,
            current=current,
            sealed=frozenset(epoch for epoch in sealed.epochs() if next(sealed.each(epoch), None) is not None),
            reported_at=self._now(),
        )

    @property
    def _epochs(self) -> Path:
        return self._home.root / "keys" / "epochs"

    def _say(self, sentence: str) -> bool:
        """Log a sentence unless it was the last one; returns whether it was logged."""
        if sentence == self._said:
            return False
        self._said = sentence
        _log.error("%s", sentence)
        return True
