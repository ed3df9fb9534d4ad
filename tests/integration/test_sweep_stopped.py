"""A sweep that is stopped (SIGSTOP) and goes on after another node took over, as real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.common.clock import utc_now
from recorder.retention.sweep_process import BUSY, DONE
from recorder.retention.sweep_sharing import NOT_DONE
from recorder.retention.sweep_state import SWEPT
from storage.file_removals import FileRemovals
from storage.tables import deletions as _deletions
from storage.tombstones import DELETED, NOT_DELETED
from tests.helpers.sweep_site import SweepSite

COUNT, PAGE = 60, 5
RUN = (
    "import sys; from pathlib import Path; import storage.old_calls as calls; calls.PAGE = {page}; "
    "from recorder.retention.sweep_process import main; sys.exit(main(Path(sys.argv[1])))"
)
CONFIG = """
[node]
name = "{name}"
listen = "127.0.0.1:{port}"
certificate = "node.pem"
key = "node.key"
ca = "ca.pem"
[storage]
index_url = "{url}"
[retention]
most_share_a_day = 100.0
"""


@pytest.fixture
def sites(tmp_path: Path, postgres: PostgresServer, url_of_tables: str) -> Iterator[list[SweepSite]]:
    url = postgres.new_database(like=url_of_tables)
    made = [SweepSite(tmp_path, url, name=name, node=name) for name in ("north", "south")]
    for number, site in enumerate(made):
        site.count = 1000 * number
        site.sweeper(utc_now())  # stores the periods in force
        config = CONFIG.format(name=site.node_name, port=7443 + number, url=url)
        site.home.config.write_text(config)
    yield made
    for site in made:
        site.close()


def sweeping(site: SweepSite) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", RUN.format(page=PAGE), str(site.home.root)], env=os.environ)


def count(site: SweepSite) -> int:
    with site.database.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(_deletions)).scalar_one())


def deleted(sites: list[SweepSite]) -> list[str]:
    found: list[str] = []
    for site in sites:
        taken_back = {entry["details"]["entry"] for entry in site.acts(NOT_DELETED)}
        entries = [entry for entry in site.acts(DELETED) if entry["n"] not in taken_back]
        found += [one["id"] for entry in entries for one in entry["details"]["recordings"]]
    return sorted(found)


@pytest.mark.long
def test_nothing_is_deleted_or_reported_twice(sites: list[SweepSite]) -> None:
    north, south = sites
    old = utc_now() - timedelta(days=100)
    ids = [site.record(old) for site in sites for _ in range(COUNT // 2)]
    north.miss(utc_now() - timedelta(hours=1))
    first = sweeping(north)
    while count(north) == 0:
        assert first.poll() is None
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)
    try:
        stopped_at = count(north)
        assert 0 < stopped_at < COUNT
        until = time.monotonic() + 90
        while (code := sweeping(south).wait(60)) == BUSY:
            assert time.monotonic() < until
            time.sleep(1)
        assert code == DONE
        assert count(south) == COUNT
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(60) == BUSY
    assert deleted(sites) == sorted(ids)
    assert [len(site.acts(SWEPT)) for site in sites] == [0, 1]
    assert len(north.acts(DELETED)) >= stopped_at // PAGE
    assert sweeping(north).wait(60) == DONE
    assert not list(north.vault.root.rglob("*.rec"))
    assert not list(south.vault.root.rglob("*.rec"))
    assert FileRemovals(north.database).waiting() == []
    assert all(entry["details"]["act"] != DELETED for site in sites for entry in site.acts(NOT_DONE))
    assert all(site.audit.verify().bad is None for site in sites)
