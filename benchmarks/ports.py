"""Ports for programs that must be told theirs: below those that the system hands out, none given twice.

Tests and benchmarks that run at the same time ask here, in whatever process they are.
"""

import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

FIRST, LAST = 10_000, 31_998
"""Whoever binds to port 0 gets one from 32768 on: a port that was free a moment ago cannot be taken by such a one."""
_LISTENS, _UNCONNECTED = "0A", "07"
"""States of sockets in the kernel's tables."""
_TURN = Path("/tmp") / f"recorder-ports-{os.getuid()}"  # noqa: S108 - a number of a port is no secret
"""Not where this run has its temporary files: other runs on the machine must not give the same ports."""


class PortsError(Exception):
    """So many free ports in a row were not found; the message says how many."""


def free_port() -> int:
    """Return an even port of 127.0.0.1 that is free for UDP and TCP, and so is the next one."""
    return free_range(2)[0]


def free_address() -> tuple[str, int]:
    """Return an address on loopback whose port is free for UDP and TCP."""
    return "127.0.0.1", free_port()


def media_ports(calls: int, *, per_call: int = 4) -> tuple[int, int]:
    """Return first and last of free ports for the media of calls, with room for those that are in quarantine.

    Args:
        calls: How many there are at a time.
        per_call: Ports of one call.

    Raises:
        PortsError: There are not so many free ports in a row.
    """
    return free_range(per_call * (calls + max(16, calls // 4)))


def free_range(count: int) -> tuple[int, int]:
    """Return first (even) and last of so many ports of 127.0.0.1 in a row, free for UDP and TCP.

    Nobody else who asks, in whatever process, gets one of them before all others had their turn.

    Raises:
        PortsError: There are not so many free ports in a row.
    """
    count += count % 2
    with _turn() as turn:
        start = int(turn.read() or FIRST)
        for _ in range((LAST - FIRST) // count + 1):
            first = start if start + count <= LAST else FIRST
            start = first + count
            if _are_free(range(first, start)):
                turn.seek(0)
                turn.truncate()
                turn.write(str(start))
                return first, start - 1
    raise PortsError(
        f"there are no {count} free ports in a row from {FIRST} to {LAST}: end other programs, or take fewer calls"
    )


def wait_until_bound(port: int, kind: str, *, host: str = "", timeout_s: float = 60.0) -> None:
    """Wait until a program has bound its port; ``kind``: ``udp``, ``tcp``; ``host``: of that IPv4 address, not of any.

    Asks the kernel: whoever tries the port takes it from the program at the moment when that wants it, and a
    connection is one more than the program expects.
    """
    deadline = time.monotonic() + timeout_s
    while not _is_bound(port, kind, host):
        assert time.monotonic() < deadline, f"nothing listens on {port} by {kind}"
        time.sleep(0.01)


def _is_bound(port: int, kind: str, host: str) -> bool:
    tables = [Path(f"/proc/net/{kind}"), Path(f"/proc/net/{kind}6")]
    lines = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    state = _UNCONNECTED if kind == "udp" else _LISTENS
    address = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}" if host else ""
    return any(line[1].endswith(f"{address}:{port:04X}") and line[3] == state for line in lines)


@contextmanager
def _turn() -> Iterator[TextIO]:
    """Open the file that says where the next ports begin, locked."""
    with _TURN.open("a+") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        yield turn


def _are_free(ports: range) -> bool:
    for port in ports:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    return False
    return True
