"""A hold, then the index lost, reindexed and 91 days gone: over a real daemon, by the command line alone."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings.agreement import read_mark
from recorder.retention.sweep_process import opened_sweeper
from recorder.retention.sweep_safeguards import SweepStoppedError
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import RecorderHome
from tests.helpers.sweep_site import sweep_beside

DPO, DPO_PASSWORD = "dora", "nine green boats in the morning"
LATER = timedelta(days=91)


@dataclass(frozen=True)
class Site:
    """A daemon's home after three calls: one held, one not, one that was discarded before it ended."""

    home: RecorderHome
    held: str
    other: str
    rows: dict[str, dict[str, Any]]

    def as_dpo(self) -> tuple[str, ...]:
        return ("--as", DPO, "--password-file", str(self.home.root.parent / "dpo"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with exchange(tmp_path_factory.mktemp("reindex")) as lines:
        yield made(lines)


def made(lines: Exchange) -> Site:
    home = lines.home
    password = home.root.parent / "dpo"
    password.write_text(DPO_PASSWORD + "\n")
    words = ("users", "add", DPO, "--role", "dpo", "--new-password-file", str(password))
    home.recorder(*words, *home.as_admin(), "-C", str(home.root))
    home.add_person("ivan", Role.ICT)
    held, other = (recorded(lines) for _ in range(2))
    site = Site(home, held, other, {row["id"]: row for row in home.rows()})
    home.recorder(
        "hold", "add", held, "--kind", "complaint", "--reason", "they complained about it", "--case", "C-1",
        *site.as_dpo(), "-C", str(home.root),
    )  # fmt: skip
    return site


def recorded(lines: Exchange) -> str:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.5)
    return str(talk.hang_up()["id"] and recording)


def swept(site: Site) -> dict[str, int]:
    """Sweep as the daily process does, 91 days later."""
    home = Home(site.home.root)
    with opened_sweeper(home, read_config(home.config), now=lambda: utc_now() + LATER) as sweeper:
        return dict(sweep_beside(sweeper).counts)


def test_after_a_call_everything_agrees(site: Site) -> None:
    said = site.home.json("fsck")
    assert (said["findings"], said["left"]) == ([], 0)
    assert said["looked_at"] == {"containers": 2, "rows": 2, "keys": 2}


def test_a_held_recording_survives_the_loss_of_the_index(site: Site) -> None:
    home = site.home
    for path in home.root.glob("index.sqlite*"):
        path.unlink()
    refused = home.run("reindex", *site.as_dpo(), "-C", str(home.root))
    assert refused.returncode == 1
    assert "stop daemon and console" in refused.stderr
    home.stop()
    before = home.json("reindex", "--dry-run")
    assert (before["index"], before["containers"], before["rows_added"]) == ("missing", 2, 2)
    assert not (home.root / "index.sqlite").exists()
    done = home.json("reindex", *site.as_dpo())
    assert (done["index"], done["rows_added"], done["holds_replayed"]) == ("missing", 2, 1)
    assert (done["audit_unreadable"], done["audit_unknown_acts"]) == (0, {})
    after = {row["id"]: row for row in home.rows()}
    assert after == {**site.rows, site.held: {**site.rows[site.held], "holds": ["complaint"]}}

    home.start()
    with pytest.raises(SweepStoppedError, match="recorder index reconcile"):
        swept(site)
    report = home.json("reconcile")
    assert (report["waits"], report["rows"], report["containers"], report["recordings_held"]) == (True, 2, 2, 1)
    as_ict = ("--as", "ivan", "--password-file", str(home.password_file))
    refused = home.run("reconcile", "--confirm", "--reason", "looks fine", *as_ict, "-C", str(home.root))
    assert refused.returncode == 1
    assert "Roles that do: data protection officer" in refused.stderr
    assert read_mark(home.root / "state") is not None
    site.home.recorder(
        "reconcile",
        "--confirm",
        "--reason",
        "compared with the list of complaints",
        *site.as_dpo(),
        "-C",
        str(home.root),
    )
    counts = swept(site)
    assert counts["recordings"] == 1
    assert [row["id"] for row in home.rows()] == [site.held]
    assert home.json("verify", site.held)[0]["ok"]
    assert not list(home.root.glob(f"keys/sealed/*/{site.other}.key"))


def test_a_daemon_that_was_killed_and_a_lost_index_are_mended_by_the_start_and_reindex(site: Site) -> None:
    home = site.home
    home.kill()
    (home.root / "recordings").chmod(0o755)
    found = json.loads(home.run("fsck", "-C", str(home.root), "--json").stdout)
    assert [one["kind"] for one in found["findings"]] == ["mode"]
    mended = home.json("fsck", "--repair", *site.as_dpo())
    assert (mended["mended"], mended["left"]) == (1, 0)
    assert home.json("fsck")["findings"] == []
    home.start()
    assert home.rows()
