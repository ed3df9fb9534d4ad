"""The systemd units agree with the program, the rights that `recorder share` gives, and docs/operations.md."""

from pathlib import Path

import pytest

from recorder.access.signing import secret_path
from recorder.common.home import Home
from recorder.config.settings import Drain
from recorder.recordings.home_rights import WRITTEN
from recorder.service.daemon import ANCHORS_S, FILING_S, SETTLE_S
from recorder.service.heartbeat import BEAT_S, STUCK_S
from recorder.service.stalls import EVERY_S
from tests.helpers.systemd_units import DEPLOY, read_unit

PAGE = DEPLOY.parent / "docs" / "operations.md"
HOME = Home(Path("/var/lib/council-recorder"))
WRITER_S = 10.0
"""How long the end waits for the writer (`PausableWriter.close`)."""
DAEMON, CONSOLE = read_unit("council-recorder.service"), read_unit("council-recorder-console.service")
BACKUP = read_unit("council-recorder-backup.service")


def test_daemon_and_console_are_two_users_of_one_group() -> None:
    assert (DAEMON["User"], CONSOLE["User"]) == (["council-recorder"], ["council-console"])
    assert (DAEMON["Group"], CONSOLE["Group"]) == (DAEMON["User"], CONSOLE["User"])
    assert DAEMON["SupplementaryGroups"] == CONSOLE["SupplementaryGroups"] == ["council-shared"]


def test_a_backup_runs_as_the_consoles_user() -> None:
    for key in ("User", "Group", "SupplementaryGroups", "UMask", "ReadWritePaths"):
        assert BACKUP[key] == CONSOLE[key]


def test_the_daemon_writes_the_shared_folders_alone() -> None:
    written = {Path(path.removeprefix("-")).relative_to(HOME.root).as_posix() for path in DAEMON["ReadWritePaths"]}
    assert written == set(WRITTEN)
    assert CONSOLE["ReadWritePaths"] == [str(HOME.root)]


def test_the_daemon_does_not_see_keys_and_accounts() -> None:
    unseen = {Path(path.removeprefix("-")) for path in DAEMON["InaccessiblePaths"]}
    assert unseen == {HOME.private_keys, secret_path(HOME.root), HOME.people}


def test_a_node_writes_its_own_home_but_for_its_configuration() -> None:
    """Its home has no folders for two users, and its keys come from the key holder while it runs."""
    node = read_unit("council-recorder-node.conf")
    assert node["ReadWritePaths"] == [str(HOME.root)]
    assert node["ReadOnlyPaths"] == [str(HOME.config)]
    assert "deploy/council-recorder-node.conf" in (PAGE.parent / "several-machines.md").read_text()


def test_none_has_a_right_of_root() -> None:
    for found in (DAEMON, CONSOLE, BACKUP):
        assert (found["CapabilityBoundingSet"], found["AmbientCapabilities"]) == ([], [])
        assert found["NoNewPrivileges"] == ["yes"]
        assert found["ProtectSystem"] == ["strict"]


def test_the_time_to_stop_fits_the_default_limit_of_a_drain_and_the_page() -> None:
    stop_s = int(DAEMON["TimeoutStopSec"][0])
    assert stop_s >= Drain().limit_s + SETTLE_S + FILING_S + WRITER_S + ANCHORS_S
    assert stop_s <= Drain().limit_s + 60, "a daemon that hangs must not hold a shutdown for long"
    assert f"`TimeoutStopSec={stop_s}`" in PAGE.read_text()


def test_the_watchdog_is_fed_often_and_bites_later_than_a_long_block() -> None:
    watchdog_s = int(DAEMON["WatchdogSec"][0])
    assert 10 * (BEAT_S + EVERY_S) < watchdog_s < STUCK_S
    assert f"`WatchdogSec={watchdog_s}`" in PAGE.read_text()
    assert int(DAEMON["TimeoutAbortSec"][0]) < 30, "else SIGKILL comes after the time of a stop"


@pytest.mark.parametrize("unit", [DAEMON, CONSOLE], ids=["daemon", "console"])
def test_a_unit_is_ready_when_it_says_so_and_a_long_start_is_not_cut_off(unit: dict[str, list[str]]) -> None:
    assert (unit["Type"], unit["NotifyAccess"], unit["TimeoutStartSec"]) == (["notify"], ["main"], ["infinity"])
    assert "AF_UNIX" in unit["RestrictAddressFamilies"], "systemd is told over a Unix socket"


@pytest.mark.parametrize("unit", [DAEMON, CONSOLE], ids=["daemon", "console"])
def test_a_unit_restarts_on_failure_only(unit: dict[str, list[str]]) -> None:
    """The end of a drain is a success: systemd must not start the daemon again."""
    assert unit["Restart"] == ["on-failure"]
