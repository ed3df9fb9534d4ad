"""A key holder and nodes as homes in one folder, without a daemon and without the command line."""

from datetime import UTC, datetime
from pathlib import Path

from recorder.access.signing import ensure_key
from recorder.common.home import Home
from recorder.site_keys.joining import join
from recorder.site_keys.membership import admit, expel, plan_admission, record_of
from recorder.site_keys.node_request import make_request, read_request
from recorder.site_keys.publishing import publish
from recorder.site_keys.welcome import Welcome, make_welcome, read_welcome
from storage.database import Database
from storage.epochs import EpochKeys
from storage.keys import NodeKeys

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class KeyHolderHome:
    """The console host of a site: it has the private keys, and adds nodes."""

    def __init__(self, folder: Path, now: datetime = NOW) -> None:
        self.home = Home(folder / "holder")
        self.now = now
        NodeKeys.create(self.home.root)
        ensure_key(self.home.root)
        self.epochs = EpochKeys(self.home.root / "keys" / "epochs", self.home.private_keys)
        self.epochs.ensure_epochs(now)

    def welcome(self, request: bytes) -> bytes:
        """Add a node, and return its welcome."""
        planned = plan_admission(self.home, read_request(request), {})
        certificate, found = admit(self.home, planned, site="Town", by="ian", now=self.now)
        return make_welcome(self.home, certificate, request, found)[0]

    def add(self, folder: Path, name: str, address: str | None = None) -> tuple[Home, Welcome]:
        """Make a home for a node, and have it join."""
        node = Home(folder / name)
        request, _ = make_request(node, name, address, self.now)
        welcome = read_welcome(node, self.welcome(request))
        join(node, welcome)
        return node, welcome

    def remove(self, name: str, database: Database) -> None:
        """Remove a node, and publish."""
        expel(self.home, record_of(self.home, name), self.now)
        publish(self.home, database)
