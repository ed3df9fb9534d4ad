"""Why an epoch's private key is needed by recordings of other nodes, which the key holder's home does not have.

A site with one machine has no other nodes; then nothing is asked.
"""

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta

from recorder.common.home import Home
from recorder.rules import times
from recorder.site_keys.node_records import NodeRecord, read_records
from storage.database import Database
from storage.epochs import epoch_order
from storage.key_list_rows import NodeReport, kept_between, reports
from storage.keys import NodeKeys, SealedKeys
from storage.nodes import Nodes

SILENT = timedelta(hours=2)
"""A node that has not reported for so long may have keys that nobody knows of."""
_MARGIN = timedelta(days=1)
"""A call that begins at the end of a month may be answered, and sealed, in the next; and clocks differ."""


class OtherNodes:
    """What other nodes need of epochs.

    Args:
        home: The key holder's home.
        database: The site's index database.
        now: The clock.
    """

    def __init__(self, home: Home, database: Database, *, now: Callable[[], datetime]) -> None:
        self._home = home
        self._database = database
        self._now = now

    def needs(self, epoch: str) -> list[str]:
        """Return sentences why other nodes need the private key of an epoch; empty if they do not.

        Raises:
            DatabaseError: The database does not answer or refuses.
            SiteKeysError, KeyProblemError: A record or the own keys cannot be read.
        """
        others = self._others()
        if not others and not self._has_registered():
            return []
        said = reports(self._database)
        found = [sentence for one in others if one.removed_at is None for sentence in self._of_node(one, said, epoch)]
        if self._has_recording_elsewhere(epoch):
            found.append("recordings of its month may be sealed to it on other nodes")
        return found

    def states(self) -> list[str]:
        """Return a sentence for each other node: which epoch it uses, and when it said so.

        Raises:
            DatabaseError, KeyProblemError: As for `needs`.
        """
        others = [one for one in self._others() if one.removed_at is None]
        said = reports(self._database) if others else {}
        return [_state(one, said.get(one.fingerprint)) for one in others]

    def _others(self) -> list[NodeRecord]:
        own = NodeKeys.load(self._home.root).fingerprint
        return [one for one in read_records(self._home).values() if one.fingerprint != own]

    def _has_registered(self) -> bool:
        """Tell whether another node registered, also one that no record is of: the records may have been lost."""
        own = NodeKeys.load(self._home.root).fingerprint
        return any(one != own for one in Nodes(self._database).registered().values())

    def _of_node(self, node: NodeRecord, said: Mapping[str, NodeReport], epoch: str) -> list[str]:
        report = said.get(node.fingerprint)
        if report is None:
            return [_state(node, report)]
        found = []
        if epoch in report.sealed:
            found.append(f"keys at node {node.name} are sealed to it")
        if report.current == epoch:
            found.append(f"node {node.name} seals new recordings to it")
        if self._now() - report.reported_at > SILENT:
            found.append(f"node {node.name} has been silent since {_at(report)}")
        return found

    def _has_recording_elsewhere(self, epoch: str) -> bool:
        """Tell whether a recording of an epoch's month has a container, but no sealed key in this home."""
        start, end = _month(epoch)
        sealed = SealedKeys(self._home.root)
        with closing(kept_between(self._database, start - _MARGIN, end + _MARGIN)) as recordings:
            return any(sealed.find(one) is None for one in recordings)


def _state(node: NodeRecord, report: NodeReport | None) -> str:
    if report is None:
        return f"node {node.name} has never told which keys it uses"
    return f"node {node.name} seals new recordings to {report.current or 'nothing'}, it said at {_at(report)}"


def _at(report: NodeReport) -> str:
    return times.moment_utc(report.reported_at)


def _month(epoch: str) -> tuple[datetime, datetime]:
    year, month = map(int, epoch_order(epoch)[0].split("-"))
    start = datetime(year, month, 1, tzinfo=UTC)
    return start, datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
