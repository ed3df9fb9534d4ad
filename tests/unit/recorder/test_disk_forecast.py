"""How long a disk lasts, from what was free over the last day."""

from pathlib import Path

import pytest

from recorder.common.serial_executor import SerialExecutor
from recorder.rules.disk_forecast import LEAST_S, WINDOW_S, DiskForecast
from recorder.service.disk_watch import DiskWatch

GB = 10**9
HOUR_S = 3600.0


def after(samples: list[tuple[float, int]], every_s: float = 60.0) -> DiskForecast:
    forecast = DiskForecast(every_s)
    for at_s, free in samples:
        forecast.add(at_s, free)
    return forecast


def test_it_lasts_as_long_as_the_rate_says() -> None:
    assert after([(0.0, 100 * GB), (2 * HOUR_S, 90 * GB)]).left_s == 90 / 5 * HOUR_S


@pytest.mark.parametrize(
    "samples",
    [
        [],
        [(0.0, 100 * GB)],
        [(0.0, 100 * GB), (LEAST_S - 1, 50 * GB)],
        [(0.0, 100 * GB), (2 * HOUR_S, 100 * GB)],
        [(0.0, 90 * GB), (2 * HOUR_S, 100 * GB)],
    ],
)
def test_nothing_is_said_without_a_rate(samples: list[tuple[float, int]]) -> None:
    assert after(samples).left_s is None


def test_the_rate_is_that_of_the_last_day() -> None:
    day = WINDOW_S
    forecast = after([(0.0, 1000 * GB), (day, 200 * GB), (day + HOUR_S, 199 * GB), (2 * day + HOUR_S, 175 * GB)])
    assert forecast.left_s == 175 * HOUR_S, "a gigabyte an hour, not the fall of the day before"


def test_memory_is_bounded() -> None:
    forecast = DiskForecast(60.0)
    for second in range(0, 200_000, 5):
        forecast.add(float(second), 10**12 - second)
    assert len(forecast._samples) <= WINDOW_S / 30 + 2
    assert forecast.left_s is not None


class Waiting:
    """A scheduler that keeps what is to be done later."""

    def __init__(self) -> None:
        self.later: list[tuple[float, object]] = []

    def submit(self, fn: object, *args: object) -> None:
        raise AssertionError

    def call_later(self, seconds: float, fn: object, *args: object) -> None:
        self.later.append((seconds, fn))


def test_a_disk_that_hangs_is_asked_once_and_one_that_is_gone_is_not_known(tmp_path: Path) -> None:
    answers: list[tuple[int, int] | OSError] = [(60 * GB, 100 * GB), OSError("gone"), (50 * GB, 100 * GB)]
    now_s = [0.0]

    def read(_: Path) -> tuple[int, int]:
        found = answers.pop(0)
        if isinstance(found, OSError):
            raise found
        return found

    watch, scheduler, executor = DiskWatch(tmp_path, lambda: now_s[0], read), Waiting(), SerialExecutor("disk")
    assert watch.as_json() is None
    watch._is_looking = True
    watch.keep(scheduler, executor)
    assert len(scheduler.later) == 1
    executor.close()
    assert len(answers) == 3, "while a look hangs there is no other"
    watch.look()
    assert watch.as_json() == {"free_bytes": 60 * GB, "size_bytes": 100 * GB, "left_s": None}
    watch.look()
    assert watch.as_json() is None
    now_s[0] = HOUR_S
    watch.look()
    assert watch.as_json() == {"free_bytes": 50 * GB, "size_bytes": 100 * GB, "left_s": 5 * HOUR_S}


def test_the_space_of_a_real_disk_is_read(tmp_path: Path) -> None:
    watch = DiskWatch(tmp_path)
    watch.look()
    assert watch.space is not None
    assert 0 < watch.space.free_bytes <= watch.space.size_bytes
