"""Networks of this test's own. Needs root.

`Wires` is a caller and a callee with a recorder between them that forwards nothing. `Switch` is several hosts on one
switch, which can be cut off from each other.
"""

import array
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

_CLONE_NEWNET = 0x40000000
_NOBODY = "02:00:00:00:00:99"
"""A hardware address that no interface has."""
_SIOCETHTOOL, _ETHTOOL_STXCSUM = 0x8946, 0x17
_libc = ctypes.CDLL(None, use_errno=True)


class Network:
    """A network namespace; it lasts as long as this object and what runs inside it."""

    def __init__(self) -> None:
        with Path("/proc/thread-self/ns/net").open("rb") as own:
            _check(_libc.unshare(_CLONE_NEWNET))
            self._fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            _check(_libc.setns(own.fileno(), _CLONE_NEWNET))
        self.ip("link set lo up")

    def close(self) -> None:
        os.close(self._fd)

    @property
    def path(self) -> str:
        """Name of it that `ip link` understands."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Have this thread, and the processes that it starts, in the network; sockets stay where they were made."""
        with Path("/proc/thread-self/ns/net").open("rb") as own:
            _check(_libc.setns(self._fd, _CLONE_NEWNET))
            try:
                yield
            finally:
                _check(_libc.setns(own.fileno(), _CLONE_NEWNET))

    def ip(self, words: str) -> str:
        """Run ip(8) inside; returns what it says."""
        with self.inside():
            return subprocess.run(["ip", *words.split()], check=True, capture_output=True, text=True).stdout

    def write(self, name: str, value: str) -> None:
        """Set a sysctl of the network, named from ``net/`` on."""
        with self.inside():
            Path("/proc/sys/net", name).write_text(value)

    def udp(self, address: str) -> socket.socket:
        """Return a UDP socket inside, bound to a free port of an address, with a patience of 5 s."""
        with self.inside():
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, 0))
        made.settimeout(5)
        return made

    def capture(self, interface: str) -> socket.socket:
        """Return a socket that gets every IPv4 frame that arrives by an interface, as it is; patience 5 s."""
        with self.inside():
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
            made.bind((interface, 0x0800))
        made.settimeout(5)
        return made

    @contextmanager
    def watched(self, interface: str, found: Callable[[bytes], bool]) -> Iterator[list[float]]:
        """Yield a list that gets the time (monotonic) of each IPv4 frame that arrives by an interface and is found."""
        seen: list[float] = []
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.is_set():
                with suppress(TimeoutError):
                    if found(wire.recv(4096)):
                        seen.append(time.monotonic())

        with self.capture(interface) as wire:
            wire.settimeout(0.2)
            watcher = threading.Thread(target=watch, name="watched", daemon=True)
            watcher.start()
            try:
                yield seen
            finally:
                is_over.set()
                watcher.join()

    def compute_checksums(self, interface: str, *, by_card: bool) -> None:
        """Leave the checksums of what is sent to the card, which a wire of this kind has not, or to the stack."""
        value = array.array("I", (_ETHTOOL_STXCSUM, by_card))
        with self.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, _SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), value.buffer_info()[0]))


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Wires:
    """Caller, recorder and callee, joined by two wires.

    ============  ==========================  ==========
    of            interface                   address
    ============  ==========================  ==========
    caller        ``phone``                   10.1.0.2
    recorder      ``outside``, ``inside``     10.1.0.1, 10.2.0.1
    callee        ``phone``                   10.2.0.2
    ============  ==========================  ==========

    Both phones know the recorder by its first address, and it forwards nothing: what passes, a relay has passed on.
    """

    OURS, CALLER, CALLEE = "10.1.0.1", "10.1.0.2", "10.2.0.2"

    def __init__(self) -> None:
        self.caller, self.recorder, self.callee = Network(), Network(), Network()
        for network, wire, ours, theirs in (
            (self.caller, "outside", self.OURS, self.CALLER),
            (self.callee, "inside", "10.2.0.1", self.CALLEE),
        ):
            join(self.recorder, wire, network, "phone")
            self.recorder.ip(f"address add {ours}/24 dev {wire}")
            network.ip(f"address add {theirs}/24 dev phone")
        self.callee.ip(f"route add {self.OURS}/32 via 10.2.0.1")
        self.recorder.write("ipv4/ip_forward", "0")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for network in (self.caller, self.recorder, self.callee):
            network.close()


@dataclass(frozen=True)
class Host:
    """A host on a `Switch`: its name, its address, and its network namespace."""

    name: str
    address: str
    network: Network

    def inside(self) -> AbstractContextManager[None]:
        """Have this thread on the host, and the processes that it starts; sockets stay where they were made."""
        return self.network.inside()


class Switch:
    """Hosts on one switch, each with one interface ``eth0`` and an address of 10.9.0.0/24.

    ::

        with Switch("kamailio", "north", "south", "console") as switch:
            with switch["console"].inside():
                process = subprocess.Popen(...)            # runs on the host
            switch.partition("north", "console")           # silence between these two
            switch.heal("north", "console")

    Files, unix sockets and process ids are shared by all hosts: give each daemon a home of its own, and end it by its
    process id. A `RecorderHome` takes ``network=switch[NAME].network`` and ``host=switch[NAME].address``.
    """

    def __init__(self, *names: str) -> None:
        self._lan = Network()
        self._lan.ip("link add lan type bridge")
        self._lan.ip("link set lan up")
        self._hosts = {name: self._add(name, number) for number, name in enumerate(names, 10)}

    def _add(self, name: str, number: int) -> Host:
        network = Network()
        join(self._lan, f"port{number}", network, "eth0")
        self._lan.ip(f"link set port{number} master lan")
        network.ip(f"address add 10.9.0.{number}/24 dev eth0")
        return Host(name, f"10.9.0.{number}", network)

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def partition(self, name: str, *others: str) -> None:
        """Cut a host off from others, or from all if none is named: packets vanish, and no one is told."""
        for one, other in self._pairs(name, others):
            one.network.ip(f"neighbour replace {other.address} lladdr {_NOBODY} nud permanent dev eth0")

    def heal(self, name: str, *others: str) -> None:
        """Undo a `partition` of the same hosts."""
        for one, other in self._pairs(name, others):
            one.network.ip(f"neighbour delete {other.address} dev eth0")

    def _pairs(self, name: str, others: tuple[str, ...]) -> Iterator[tuple[Host, Host]]:
        for other in others or (each for each in self._hosts if each != name):
            yield self[name], self[other]
            yield self[other], self[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for network in (self._lan, *(host.network for host in self._hosts.values())):
            network.close()


def join(one: Network, name: str, other: Network, other_name: str) -> None:
    """Lay a wire between two networks."""
    one.ip(f"link add {name} type veth peer name {other_name} netns {other.path}")
    one.ip(f"link set {name} up")
    other.ip(f"link set {other_name} up")
