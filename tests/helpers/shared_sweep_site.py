"""Two homes on one index, each a node of the site that sweeps it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from recorder.recordings.resurrection_guard import destroy_returned
from storage.file_removals import FileRemovals
from storage.tables import leases as _leases
from storage.tombstones import DELETED, NOT_DELETED
from storage.types import RecordingId
from tests.helpers.sweep_site import NOW, SweepSite

DAY = timedelta(days=1)


class TwoHomes:
    """Two homes on one index."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.north = SweepSite(folder, url, name="north", node="north")
        self.south = SweepSite(folder, url, name="south", node="south")
        self.south.count = 1000
        with self.north.database.begin() as connection:
            for name in ("north", "south"):
                connection.exec_driver_sql(
                    "INSERT INTO nodes (name, fingerprint, address, version, state, calls, capacity) "
                    f"VALUES ('{name}', '', '', '', '', 0, 0)"
                )

    def forget_turn(self) -> None:
        """Let the lease be free, as after its time; and let the last sweep be long ago."""
        with self.south.database.begin() as connection:
            connection.execute(_leases.update().values(until_us=0, done_us=None))

    def waiting(self) -> dict[str, int]:
        return {one.node: one.count for one in FileRemovals(self.north.database).waiting()}

    def deleted(self) -> list[str]:
        """Return every recording that the audit logs say was deleted, as often as they say it."""
        found: list[str] = []
        for site in (self.north, self.south):
            taken_back = {entry["details"]["entry"] for entry in site.acts(NOT_DELETED)}
            for entry in site.acts(DELETED):
                if entry["n"] not in taken_back:
                    found += [one["id"] for one in entry["details"]["recordings"]]
        return sorted(found)

    def close(self) -> None:
        self.north.close()
        self.south.close()


@contextmanager
def two_homes(folder: Path, url: str) -> Iterator[TwoHomes]:
    """Make two homes on an index in PostgreSQL that has its tables; closes what they have open."""
    made = TwoHomes(folder, url)
    try:
        yield made
    finally:
        made.close()


def start(site: SweepSite) -> list[RecordingId]:
    """Do what a node does at its start before it answers."""
    return destroy_returned(site.home, site.vault, site.database, lambda: NOW, node=site.node_name)
