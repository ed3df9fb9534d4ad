"""How packets pass the recorder in a run."""

from enum import StrEnum
from typing import Any

from tests.helpers.recorder_home import Edits

IN_KERNEL = ("kernel_interfaces = []", 'kernel_interfaces = ["lo"]')
"""Edit of a configuration."""


class PacketPath(StrEnum):
    """How media threads receive and send, or that the kernel relays what it may."""

    EPOLL = "epoll"
    IO_URING = "io_uring"
    KERNEL = "kernel"

    @property
    def edits(self) -> Edits:
        """Return the edits of the configuration."""
        by_ring = ('io = "epoll" ', 'io = "io_uring" ')
        return {PacketPath.EPOLL: (), PacketPath.IO_URING: (by_ring,), PacketPath.KERNEL: (IN_KERNEL,)}[self]

    def fault(self, health: dict[str, Any]) -> str | None:
        """Return what is wrong if packets did not pass so, by the ``media`` of a daemon's health; else None."""
        io = PacketPath.IO_URING if self is PacketPath.IO_URING else PacketPath.EPOLL
        if health["io"] != io:
            return f"packets passed by {health['io']}, not by {io}"
        if self is PacketPath.KERNEL and not health["relayed"]:
            return "the kernel relayed no packet"
        return None
