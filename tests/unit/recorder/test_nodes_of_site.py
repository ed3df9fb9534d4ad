"""Which rows of the table of nodes the console believes: every node's database role can write each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.access.signing import Signer
from recorder.config.node_options import NodeOptions
from recorder.control.site import site_members
from storage.database import Database, sqlite_url
from storage.nodes import NodeRow, Nodes
from tests.helpers.site_homes import KeyHolderHome

OPTIONS = NodeOptions(ca="ca.pem", console_certificate="console.pem", console_key="console.key")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(sqlite_url(tmp_path / "index.sqlite"))
    yield made
    made.close()


def register(database: Database, name: str, address: str = "127.0.0.1:1") -> None:
    row = NodeRow(
        name=name, fingerprint=name, address=address, version="1", started_us=None, seen_us=None, state="accepting",
        calls=0, capacity=1,
    )  # fmt: skip
    Nodes(database).renew(row)


def reached(holder: KeyHolderHome, database: Database) -> list[str]:
    members = site_members(holder.home, OPTIONS, database, Signer(holder.home.root))
    assert members is not None
    try:
        return [one.name for one in members.all()]
    finally:
        members.close()


@pytest.mark.parametrize("address", ["", "x:99999", "a b", "tls:192.0.2.1", "x:²"])
def test_a_row_without_an_address_hides_no_other_node(tmp_path: Path, database: Database, address: str) -> None:
    register(database, "north", address)
    register(database, "south")
    assert reached(KeyHolderHome(tmp_path), database) == ["north", "south"]


def test_only_nodes_that_were_added_are_asked(tmp_path: Path, database: Database) -> None:
    holder = KeyHolderHome(tmp_path)
    holder.add(tmp_path, "north")
    for name in ("north", "south", "evil"):
        register(database, name)
    assert reached(holder, database) == ["north"]
    holder.add(tmp_path, "south")
    assert reached(holder, database) == ["north", "south"]
    holder.remove("south", database)
    assert reached(holder, database) == ["north"], "its row says that it runs: its password may still work"
    Nodes(database).remove("north")
    assert reached(holder, database) == ["north"], "the key list does not say so"
    path = holder.home.root / "keys" / "site" / "list.json"
    path.write_bytes(b"{}")
    assert reached(holder, database) == ["evil", "south"], "without a list the table alone says it"
