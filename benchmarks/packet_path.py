"""The path of packets through the recorder in a run: sockets by epoll, sockets by io_uring, or the kernel relay."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from benchmarks.home import IN_KERNEL


class PacketPath(StrEnum):
    """Sockets by epoll, sockets by io_uring, or the kernel relay."""

    EPOLL = "epoll"
    IO_URING = "io_uring"
    KERNEL = "kernel"

    @property
    def edits(self) -> Sequence[tuple[str, str]]:
        """Return the edits of the configuration."""
        use_io_uring = ('io = "epoll" ', 'io = "io_uring" ')
        return {PacketPath.EPOLL: (), PacketPath.IO_URING: (use_io_uring,), PacketPath.KERNEL: (IN_KERNEL,)}[self]

    def fault(self, health: dict[str, Any]) -> str | None:
        """Return why packets did not take this path, by ``media`` of the daemon's health, or None."""
        io = PacketPath.IO_URING if self is PacketPath.IO_URING else PacketPath.EPOLL
        if health["io"] != io:
            return f"packets passed by {health['io']}, not by {io}"
        if self is PacketPath.KERNEL and not health["relayed"]:
            return "the kernel relayed no packet"
        return None
