"""Whether media goes by io_uring: what is tried on which kernel, and what people are told."""

import errno
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from audio.relay import Relay
from audio.types import MediaIo
from recorder.config.settings import Config, MediaSettings
from recorder.service.findings import Level, SiteFinding
from recorder.service.media_io import UringMeans, check_media_io, chosen_io, read_uring_means, report_io

AUTO, IO_URING, EPOLL = MediaIo.AUTO, MediaIo.IO_URING, MediaIo.EPOLL


def found(asked: MediaIo, kernel: tuple[int, int] = (6, 12), disabled: int = 0) -> SiteFinding:
    means = UringMeans(kernel=kernel, disabled=disabled)
    (finding,) = check_media_io(Config(media=MediaSettings(io=asked)), means)
    return finding


def test_auto_takes_io_uring_on_kernels_that_it_was_measured_for() -> None:
    assert [chosen_io(AUTO, kernel) for kernel in ((5, 15), (6, 11), (6, 12), (7, 0))] == [EPOLL, EPOLL, AUTO, AUTO]
    assert [chosen_io(asked, (6, 1)) for asked in (IO_URING, EPOLL)] == [IO_URING, EPOLL]


@pytest.mark.parametrize(
    ("asked", "kernel", "disabled", "level", "says"),
    [
        (AUTO, (6, 12), 0, Level.OK, "by io_uring"),
        (AUTO, (6, 11), 0, Level.OK, "by epoll: the kernel is 6.11; this needs 6.12"),
        (AUTO, (6, 12), 2, Level.OK, "by epoll: kernel.io_uring_disabled is 2"),
        (EPOLL, (6, 12), 0, Level.OK, "by epoll, as [media] io says"),
        (IO_URING, (6, 1), 0, Level.OK, "by io_uring"),
        (IO_URING, (6, 0), 0, Level.WARNING, "the kernel is 6.0; this needs 6.1"),
        (IO_URING, (6, 12), 1, Level.WARNING, "kernel.io_uring_disabled is 1"),
    ],
)
def test_site_check_warns_only_of_what_was_asked_for(
    asked: MediaIo, kernel: tuple[int, int], disabled: int, level: Level, says: str
) -> None:
    finding = found(asked, kernel, disabled)
    assert (finding.level, says in finding.says) == (level, True), finding.says


def test_a_machine_that_does_not_say_has_not_disabled_it(tmp_path: Path) -> None:
    assert read_uring_means((6, 1), tmp_path) == UringMeans(kernel=(6, 1), disabled=0)
    setting = tmp_path / "proc/sys/kernel/io_uring_disabled"
    setting.parent.mkdir(parents=True)
    setting.write_text("2\n")
    assert read_uring_means((6, 6), tmp_path).disabled == 2


@pytest.mark.parametrize(
    ("asked", "refused", "io", "level", "says"),
    [
        (AUTO, None, IO_URING, logging.INFO, "by io_uring"),
        (AUTO, None, EPOLL, logging.INFO, "auto takes io_uring from Linux 6.12 on"),
        (EPOLL, None, EPOLL, logging.INFO, "by epoll"),
        (AUTO, errno.EPERM, EPOLL, logging.INFO, "a system call filter forbids io_uring"),
        (IO_URING, errno.ENOSYS, EPOLL, logging.WARNING, "older than 6.1"),
        (IO_URING, errno.EIO, EPOLL, logging.WARNING, "Input/output error"),
    ],
)
def test_the_log_says_how_media_goes_and_why(
    asked: MediaIo, refused: int | None, io: MediaIo, level: int, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    relay: Any = SimpleNamespace(io=io, io_uring_refused=None if refused is None else OSError(refused, "refused"))
    with caplog.at_level(logging.INFO):
        report_io(cast(Relay, relay), asked, (6, 18))
    (line,) = caplog.records
    assert (line.levelno, says in line.getMessage()) == (level, True), line.getMessage()
