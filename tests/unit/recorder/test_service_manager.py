"""What systemd is told, over a real Unix datagram socket (sd_notify(3))."""

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recorder.common.service_manager import ServiceManager, without_manager
from tests.helpers.starvation import waited_s


@pytest.fixture(params=["path", "path of a template", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    name = {"path": str(tmp_path / "notify"), "path of a template": str(tmp_path / "recorder@1")}.get(request.param)
    address = name or f"@recorder-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name or f"\0{address[1:]}")
        listening.settimeout(2)
        yield listening, address


def test_messages_arrive_as_systemd_expects_them(manager: tuple[socket.socket, str]) -> None:
    listening, address = manager
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    teller = ServiceManager.taken_from(environment)
    assert environment == {"HOME": "/"}, "no child takes itself for the service"
    assert teller.watchdog_s == 60
    teller.status("3 calls in progress")
    teller.ready("0 calls in progress")
    teller.feed()
    teller.extend(1.5)
    teller.stopping()
    assert [listening.recv(1000) for _ in range(5)] == [
        b"STATUS=3 calls in progress", b"READY=1\nSTATUS=0 calls in progress", b"WATCHDOG=1",
        b"EXTEND_TIMEOUT_USEC=1500000", b"STOPPING=1",
    ]  # fmt: skip


def test_a_reload_has_a_time_and_an_end_also_where_it_fails(manager: tuple[socket.socket, str]) -> None:
    listening, address = manager
    teller = ServiceManager(address)
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    with pytest.raises(ValueError, match="a file with a mistake"), teller.reloading():
        begun = re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=(\d+)", listening.recv(1000))
        assert begun is not None
        assert before_us <= int(begun[1]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        raise ValueError("a file with a mistake")
    assert listening.recv(1000) == b"READY=1"


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"NOTIFY_SOCKET": ""}, None),
        ({"WATCHDOG_USEC": "60000000"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "60000000"}, 60.0),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "vsock:2:1234", "WATCHDOG_USEC": "60000000"}, None),
    ],
)
def test_a_manager_that_is_not_there_or_means_another_process_stops_nothing(
    environment: dict[str, str], watchdog_s: float | None
) -> None:
    teller = ServiceManager.taken_from(environment)
    assert teller.watchdog_s == watchdog_s
    teller.ready("0 calls in progress")
    teller.feed()


def test_a_unit_without_notify_is_known_by_what_systemd_leaves_out() -> None:
    ours, other = str(os.getpid()), "1"
    silent = [
        ServiceManager.taken_from(environment).is_silent
        for environment in (
            {"SYSTEMD_EXEC_PID": ours},
            {"SYSTEMD_EXEC_PID": ours, "NOTIFY_SOCKET": "/run/systemd/notify"},
            {"SYSTEMD_EXEC_PID": other},  # from a terminal that systemd has started
            {},
        )
    ]
    assert silent == [True, False, False, False]


def test_a_full_queue_keeps_nobody_waiting_for_long(
    manager: tuple[socket.socket, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.common.service_manager.PATIENCE_S", 0.3)
    teller = ServiceManager(manager[1])
    began_s, without_cpu_s = time.monotonic(), waited_s(os.getpid())[threading.get_native_id()]
    for _ in range(5000):
        teller.feed()
    without_cpu_s = waited_s(os.getpid())[threading.get_native_id()] - without_cpu_s
    assert time.monotonic() - began_s - without_cpu_s < 2
    assert caplog.text.count("systemd could not be told WATCHDOG=1") == 1
    began_s = time.monotonic()
    teller.stopping()
    assert 0.3 <= time.monotonic() - began_s < 2


def test_a_child_gets_no_manager() -> None:
    given = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "2", "HOME": "/"}
    assert without_manager(given) == {"HOME": "/"}
