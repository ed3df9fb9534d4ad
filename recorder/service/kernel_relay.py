"""Relaying in the kernel: whether it is possible here, with media by sockets as the fallback (ADR 29).

Calls come first: an obstacle is reported in the log, in health and by site-check, and never stops the daemon.
"""

import errno
import logging
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from audio.port_memory import PortMemory
from audio.relay import Relay
from audio.types import RelayOptions
from recorder.config.settings import Config
from recorder.config.sip_transports import WILDCARDS
from recorder.service.findings import SiteFinding, ok, warning

_log = logging.getLogger(__name__)

LEAST_KERNEL = (6, 6)
"""First kernel with tcx."""
_CAP_NET_ADMIN, _CAP_SYS_ADMIN, _CAP_BPF = 12, 21, 39
_RIGHTS = (
    "give the service AmbientCapabilities=CAP_BPF CAP_NET_ADMIN and SystemCallFilter=bpf "
    "(deploy/council-recorder-kernel.conf)"
)

_REMEDIES = {
    errno.EOPNOTSUPP: (
        "name interfaces with Ethernet headers, the one below a tunnel; a machine of more than 64 processors cannot"
    ),
    errno.ENOENT: "reinstall the recorder: audio/relay.bpf.o is missing",
}
"""What to do about refusals that cannot be foreseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What this process and its machine offer for relaying in the kernel.

    Attributes:
        kernel: Version and patch level of the kernel; (0, 0) if unknown.
        may_relay: Whether this process may load and attach the program.
        may_ask_routes: Whether it may ask the kernel which interface a packet leaves by.
        interfaces: Names of the network interfaces.
    """

    kernel: tuple[int, int]
    may_relay: bool
    may_ask_routes: bool
    interfaces: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Why the kernel does not relay, and what to do."""

    says: str
    do: str


def may_ask_routes() -> bool:
    """Tell whether this process may open a netlink socket, which route queries need; a service's unit may forbid it."""
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()
    except OSError:
        return False
    return True


def read_means(root: Path = Path("/")) -> Means:
    """Return the facts of this process and its machine; facts that cannot be read count as missing."""
    version = re.match(r"(\d+)\.(\d+)", _text(root / "proc/sys/kernel/osrelease"))
    lines = _text(root / "proc/self/status").splitlines()
    held = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    table = _text(root / "proc/net/dev").splitlines()[2:]
    return Means(
        kernel=(int(version[1]), int(version[2])) if version else (0, 0),
        may_relay=bool(held >> _CAP_SYS_ADMIN & 1 or (held >> _CAP_BPF & held >> _CAP_NET_ADMIN & 1)),
        may_ask_routes=may_ask_routes(),
        interfaces=frozenset(line.partition(":")[0].strip() for line in table),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def obstacle(means: Means, address: str, interfaces: tuple[str, ...]) -> Obstacle | None:
    """Return why the kernel cannot relay between sockets at an address, or None if no obstacle is known."""
    if means.kernel < LEAST_KERNEL:
        least, is_now = (".".join(map(str, version)) for version in (LEAST_KERNEL, means.kernel))
        return Obstacle(
            says=f"the kernel is {is_now}; relaying needs {least} or later", do=f"boot Linux {least} or later"
        )
    if not means.may_relay:
        return Obstacle(says="this process lacks CAP_BPF or CAP_NET_ADMIN", do=_RIGHTS)
    if not means.may_ask_routes:
        return Obstacle(
            says="this process may not query routes",
            do="add RestrictAddressFamilies=AF_NETLINK to the service (deploy/council-recorder-kernel.conf)",
        )
    if address in WILDCARDS or ":" in address:
        return Obstacle(
            says=f"the media address is {address}, and the kernel relays only for one IPv4 address",
            do="put the machine's IPv4 address into [media] address",
        )
    missing = [name for name in interfaces if name not in means.interfaces]
    if missing:
        return Obstacle(
            says=f"there is no interface {', '.join(missing)}",
            do="write what `ip -brief link` lists into [media] kernel_interfaces",
        )
    return None


def open_relay(options: RelayOptions, port_memory: PortMemory | None = None) -> tuple[Relay, Obstacle | None]:
    """Return a relay and, if the kernel cannot take part, the reason; the relay then uses sockets only."""
    if not options.kernel_interfaces:
        return Relay(options, port_memory=port_memory), None
    # Check first: a service's system call filter may kill a process that tries without the right.
    found = obstacle(read_means(), options.address, options.kernel_interfaces)
    if found is None:
        try:
            return Relay(options, port_memory=port_memory), None
        except PermissionError:  # the capabilities do not count, as in a rootless container
            found = Obstacle(says="the kernel does not let this process load its program", do=_RIGHTS)
        except OSError as error:
            found = Obstacle(
                says=f"the kernel refuses: {error.strerror}",
                do=_REMEDIES.get(
                    error.errno or 0, "look into the kernel's log, and report it to the recorder's maintainers"
                ),
            )
    _log.warning(
        "the kernel relays no media; all media goes through sockets: %s; %s, and restart",
        found.says,
        found.do,
    )
    return Relay(replace(options, kernel_interfaces=()), port_memory=port_memory), found


def check_kernel_relay(config: Config, means: Means) -> Iterator[SiteFinding]:
    """Check whether the kernel relays settled streams, or could."""
    what, interfaces = "kernel relay", config.media.kernel_interfaces
    found = obstacle(means, config.media_address, interfaces)
    if not interfaces:
        says = f"off; not possible here: {found.says}" if found else "off; [media] kernel_interfaces would turn it on"
        yield ok(what, says)
    elif found:
        yield warning(
            what, found.says,
            why="all media goes through sockets: nothing is lost, but the machine carries fewer calls",
            do=f"{found.do}; the rights checked are those of this shell; if the service differs, look at its unit",
        )  # fmt: skip
    else:
        yield ok(what, f"on, for packets from {', '.join(interfaces)}")
