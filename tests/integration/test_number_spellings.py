"""A caller's number in whatever way it is written finds, holds and shows the calls that came with another spelling."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from storage.types import Search
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.storage_home import ID

SPELLINGS = (
    "07700900555", "+447700900555", "00447700900555", "447700900555", "+44 (0)7700 900555", "07700 900-555",
    "07700.900.555", "44 7700 900555",
)  # fmt: skip


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False) as running:
        yield running


@pytest.mark.parametrize("received", ["07700900555", "+447700900555", "447700900555"])
def test_every_spelling_finds_and_holds_the_calls_of_every_other(console: Console, received: str) -> None:
    index = console.deps.hold_repositories.index
    index.save(replace(index.get(ID), caller=received))
    with signed_in(console, "lead") as lead:
        for typed in SPELLINGS:
            (found,) = lead.post("/api/recordings/search", json={"number": typed}).json()["recordings"]
            assert (found["id"], found["caller"]) == (ID, received), typed
            made = lead.post("/api/cases", json={"requester": "J. Doe", "search": {"number": typed}}).json()
            assert made["scope"]["undecided"] == [ID], typed
            assert [row.holds for row in index.find(Search(number=typed))] == [("sar",)], typed
        for part in ("900555", "0555"):
            (found,) = lead.post("/api/recordings/search", json={"number": part}).json()["recordings"]
            assert found["id"] == ID, part
        assert lead.post("/api/recordings/search", json={"number": "07700 900556"}).json()["recordings"] == []
