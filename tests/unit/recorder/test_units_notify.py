"""The systemd units agree with the program and with docs/operations.md."""

import re
from pathlib import Path

import pytest

from recorder.config.settings import Drain
from recorder.service.daemon import ANCHORS_S, FILING_S, SETTLE_S
from recorder.service.heartbeat import BEAT_S, STUCK_S
from recorder.service.stalls import EVERY_S

ROOT = Path(__file__).parents[3]
UNITS = {name: ROOT / "deploy" / f"{name}.service" for name in ("council-recorder", "council-recorder-console")}
WRITER_S = 10.0
"""How long the end waits for the writer (`PausableWriter.close`)."""


def settings(unit: str) -> dict[str, str]:
    lines = UNITS[unit].read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]\w+=", line))


def test_the_time_to_stop_fits_the_default_limit_of_a_drain_and_the_page() -> None:
    stop_s = int(settings("council-recorder")["TimeoutStopSec"])
    assert stop_s >= Drain().limit_s + SETTLE_S + FILING_S + WRITER_S + ANCHORS_S
    assert stop_s <= Drain().limit_s + 60, "a daemon that hangs must not hold a shutdown for long"
    assert f"`TimeoutStopSec={stop_s}`" in (ROOT / "docs" / "operations.md").read_text()


def test_the_watchdog_is_fed_often_and_bites_later_than_a_long_block() -> None:
    found = settings("council-recorder")
    watchdog_s = int(found["WatchdogSec"])
    assert 10 * (BEAT_S + EVERY_S) < watchdog_s < STUCK_S
    assert f"`WatchdogSec={watchdog_s}`" in (ROOT / "docs" / "operations.md").read_text()
    assert int(found["TimeoutAbortSec"]) < 30, "else SIGKILL comes after the time of a stop"


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_ready_when_it_says_so_and_a_long_start_is_not_cut_off(unit: str) -> None:
    found = settings(unit)
    assert (found["Type"], found["NotifyAccess"], found["TimeoutStartSec"]) == ("notify", "main", "infinity")
    assert "AF_UNIX" in found["RestrictAddressFamilies"], "systemd is told over a Unix socket"


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_restarts_on_failure_only(unit: str) -> None:
    """The end of a drain is a success: systemd must not start the daemon again."""
    assert settings(unit)["Restart"] == "on-failure"
