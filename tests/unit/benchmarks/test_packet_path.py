"""How packets pass the recorder in a run of the leak suite, and how the suite notices if they do not pass so."""

import pytest

from benchmarks.packet_path import PacketPath
from recorder.config.config_file import text
from tests.unit.recorder.test_config_file import TODAY, answers


@pytest.mark.parametrize("path", PacketPath)
def test_what_is_changed_is_in_the_configuration(path: PacketPath) -> None:
    template = text(answers(), TODAY)
    for old, new in path.edits:
        assert old in template
        assert new not in template


@pytest.mark.parametrize(
    ("path", "io", "relayed", "fault"),
    [
        (PacketPath.EPOLL, "epoll", 0, None),
        (PacketPath.EPOLL, "io_uring", 0, "packets passed by io_uring, not by epoll"),
        (PacketPath.IO_URING, "io_uring", 0, None),
        (PacketPath.IO_URING, "epoll", 0, "packets passed by epoll, not by io_uring"),
        (PacketPath.KERNEL, "epoll", 1, None),
        (PacketPath.KERNEL, "epoll", 0, "the kernel relayed no packet"),
    ],
)
def test_packets_that_pass_another_way_are_a_fault(path: PacketPath, io: str, relayed: int, fault: str | None) -> None:
    assert path.fault({"io": io, "relayed": relayed}) == fault
