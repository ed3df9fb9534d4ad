"""A recorder in a new home with scripted callers and officers, whose calls are placed through it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.home import IN_KERNEL, HomeError, RecorderHome
from benchmarks.peers import Address
from benchmarks.placed import SERVICE, PlacedCalls, extensions
from benchmarks.ports import free_address, media_ports
from benchmarks.streams import need_descriptors

NOTICE_S = 1.0
"""Length of the notice that every caller hears, unless told otherwise, seconds."""
JOINED_S = 90.0
"""How long the notice, the ringing and the joining of all calls may take, seconds."""
_DESCRIPTORS = 256


def need_descriptors_for(calls: int, *, per_call: int = 6) -> None:
    """Raise this process's limit of open files to what calls need; the daemon inherits it.

    Args:
        calls: How many there are at a time.
        per_call: Open files of one call in the process that has most of them.

    Raises:
        DescriptorsError: The machine does not allow so many.
    """
    need_descriptors(per_call * calls + _DESCRIPTORS)


@dataclass(frozen=True, slots=True)
class LoadedRecorder:
    """A recorder that runs, and the calls that can be placed through it.

    Attributes:
        home: The recorder.
        placed: The calls.
        sip: Where the recorder listens for SIP.
    """

    home: RecorderHome
    placed: PlacedCalls
    sip: Address

    def place_all(self, rate: float, *, timeout_s: float = JOINED_S) -> None:
        """Place all calls, ``rate`` a second, and wait until they are joined.

        Raises:
            HomeError: Not all of them were joined.
        """
        self.placed.place(self.sip, rate=rate)
        joined = self.placed.wait_joined(timeout_s)
        if joined < self.placed.count:
            raise HomeError(f"only {joined} of {self.placed.count} calls were joined: place fewer of them a second")


@contextmanager
def loaded_recorder(
    placed: PlacedCalls,
    *,
    service: str = SERVICE,
    served: int | None = None,
    ports: tuple[int, int] | None = None,
    notice_s: float = NOTICE_S,
    in_kernel: bool = False,
    edits: Sequence[tuple[str, str]] = (),
    console: Address | None = None,
    folder: Path | None = None,
    daemon: Sequence[str] = (),
) -> Iterator[LoadedRecorder]:
    """Start a recorder for calls; it and they end with the context.

    Args:
        placed: The calls.
        service: Name of the service of all extensions, which is the team of their officers too.
        served: How many extensions there are; None for one a call.
        ports: First and last media port; None for free ones, as many as the calls need.
        notice_s: Length of the notice that every caller hears, seconds.
        in_kernel: Whether the kernel relays what comes by loopback.
        edits: Further changes of the configuration.
        console: Where the console listens, if there is to be one.
        folder: Where the home is made.
        daemon: Command line that runs the daemon, if not that of ``recorder``.

    Raises:
        HomeError: The recorder could not be run.
        PortsError: There are not enough free ports in a row.
    """
    with placed:
        sip = free_address()
        host, port = placed.officer.address
        with RecorderHome(
            sip=f"{sip[0]}:{sip[1]}",
            next_hop=f"{host}:{port}",
            extensions=extensions(placed.count if served is None else served, service),
            media_ports=ports or media_ports(placed.count),
            notice_s=notice_s,
            console="off" if console is None else f"{console[0]}:{console[1]}",
            edits=[*edits, IN_KERNEL] if in_kernel else edits,
            folder=folder,
            daemon=daemon,
        ) as home:
            yield LoadedRecorder(home, placed, sip)
