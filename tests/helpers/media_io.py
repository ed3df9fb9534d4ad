"""What a test can see of how a relay's media threads receive: what their epoll watches, and their rings."""

import os
import re
import socket
from pathlib import Path

FDS = Path("/proc/self/fd")


def rings() -> list[int]:
    """Return the descriptors of this process's rings of io_uring."""
    return [fd for fd, kind in _kinds().items() if kind == "anon_inode:[io_uring]"]


def epoll_watches(port: int) -> bool:
    """Tell whether an epoll of this process watches a UDP socket that is bound to this port."""
    watched: set[int] = set()
    for fd, kind in _kinds().items():
        if kind == "anon_inode:[eventpoll]":
            text = Path(f"/proc/self/fdinfo/{fd}").read_text()
            watched |= {int(number) for number in re.findall(r"^tfd:\s*(\d+)", text, re.MULTILINE)}
    return any(port == _port_of(fd) for fd in watched)


def _kinds() -> dict[int, str]:
    found = {}
    for link in FDS.iterdir():
        try:
            found[int(link.name)] = str(link.readlink())
        except FileNotFoundError:
            continue  # that of this listing
    return found


def _port_of(fd: int) -> int | None:
    copy = os.dup(fd)
    try:
        one = socket.socket(fileno=copy)
    except OSError:  # it is something else
        os.close(copy)
        return None
    with one:  # other loops of this process watch sockets of the Unix domain, which have no port
        return int(one.getsockname()[1]) if one.family in (socket.AF_INET, socket.AF_INET6) else None
