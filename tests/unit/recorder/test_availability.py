"""The answer to a dispatcher's OPTIONS, and how a failing disk is found to work again."""

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from recorder.rules.availability import TABLE, Availability, Occupancy, UnavailableReason, occupancy
from recorder.service.disk_faults import TRIES, DiskFaults, write_probe


def answer(availability: Availability, calls: int, **more: bool) -> UnavailableReason | None:
    signs = {"is_draining": False, "is_disk_failing": False, **more}
    return availability.obstacle(room=[(calls, 100), (calls, 1000)], **signs)


def test_every_pair_of_answer_and_occupancy_is_decided() -> None:
    assert TABLE.keys() == set(product((False, True), Occupancy))


@pytest.mark.parametrize(
    ("calls", "most", "found"),
    [
        (0, 1, Occupancy.ROOM),
        (1, 1, Occupancy.FULL),
        (1, 2, Occupancy.ROOM),
        (2, 2, Occupancy.FULL),
        (949, 1000, Occupancy.ROOM),
        (950, 1000, Occupancy.ROOM),
        (951, 1000, Occupancy.NEARLY_FULL),
        (999, 1000, Occupancy.NEARLY_FULL),
        (1000, 1000, Occupancy.FULL),
        (1001, 1000, Occupancy.FULL),
    ],
)
def test_occupancy(calls: int, most: int, found: Occupancy) -> None:
    assert occupancy(calls, most) is found


def test_a_full_recorder_is_full_until_there_is_room_for_several_calls() -> None:
    one = Availability()
    course = [98, 99, 100, 99, 96, 95, 99]
    assert [answer(one, calls) for calls in course] == [
        None, None, UnavailableReason.FULL, UnavailableReason.FULL, UnavailableReason.FULL, None, None,
    ]  # fmt: skip


def test_the_first_reason_is_told_and_the_limit_is_remembered_meanwhile() -> None:
    one = Availability()
    assert answer(one, 100, is_draining=True, is_disk_failing=True) is UnavailableReason.DRAINING
    assert answer(one, 99, is_disk_failing=True) is UnavailableReason.DISK
    assert answer(one, 99) is UnavailableReason.FULL
    assert answer(one, 10) is None


def test_where_the_limit_does_not_count_only_drain_and_disk_do() -> None:
    one = Availability()
    assert one.obstacle(is_draining=False, is_disk_failing=False) is None
    assert one.obstacle(is_draining=False, is_disk_failing=True) is UnavailableReason.DISK


def test_the_fullest_limit_counts() -> None:
    one = Availability()
    assert one.obstacle(is_draining=False, is_disk_failing=False, room=[(1, 1000), (20, 20)]) is UnavailableReason.FULL
    assert one.obstacle(is_draining=False, is_disk_failing=False, room=[(1, 1000), (19, 20)]) is None


# --- the disk


class Disk:
    """A disk that takes files or not."""

    def __init__(self) -> None:
        self.is_full = False
        self.alarms: dict[str, int] = {}
        self.faults = DiskFaults(Path("/nowhere"), self.alarms, self._probe)
        self.when_probed: Callable[[], object] = int

    def _probe(self, _folder: Path) -> None:
        self.when_probed()
        if self.is_full:
            raise OSError(28, "No space left on device")

    def look(self, times: int) -> bool:
        for _ in range(times):
            self.faults.look()
        return self.faults.is_failing


def test_a_disk_fails_from_a_failed_write_on_and_works_after_three_test_files_in_a_row() -> None:
    disk = Disk()
    assert not disk.faults.is_failing
    disk.alarms["memory_not_locked"] = 1
    assert not disk.faults.is_failing, "that is no fault of the disk"
    disk.alarms["disk_full"], disk.is_full = 1, True
    assert disk.faults.is_failing
    assert disk.look(2 * TRIES)
    disk.is_full = False
    assert disk.look(TRIES - 1)
    disk.is_full = True
    assert disk.look(1)
    disk.is_full = False
    assert disk.look(TRIES - 1), "counted from the beginning"
    assert not disk.look(1)


def test_a_write_that_fails_during_the_last_test_counts() -> None:
    disk = Disk()
    disk.alarms["storage_fault"] = 1
    disk.look(TRIES - 1)
    disk.when_probed = lambda: disk.alarms.update(storage_fault=2)
    assert disk.look(1)


def test_a_test_file_is_never_seen_and_a_folder_that_refuses_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: seen.extend(tmp_path.iterdir()))
    write_probe(tmp_path)
    assert [*seen, *tmp_path.iterdir()] == [], "`recorder recordings verify` would take it for a foreign file"
    with pytest.raises(FileNotFoundError):
        write_probe(tmp_path / "missing")
