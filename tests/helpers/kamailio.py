"""A real Kamailio with the configuration of deploy/kamailio."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from recorder.reports.bypassed_calls import BypassedCall, read_line
from tests.helpers import recorder_home
from tests.helpers.networks import Network
from tests.helpers.peer_process import peer_process

Address = tuple[str, int]
CONFIG = Path("deploy/kamailio/kamailio.cfg")
CONTROL = "control"
PATIENT = {"PING_MS": "20000", "SILENCE_MS": "20000"}
"""For tests of other things: nobody is taken for dead who gets no CPU for a moment."""
UNASKED = {"PING_S": "3600"}
"""For tests in which a call is the first to meet a recorder that takes none: none is asked with OPTIONS before."""
PROGRAM = shutil.which("kamailio") or "/usr/sbin/kamailio"


@dataclass
class Kamailio:
    """One that runs.

    Attributes:
        address: Where it listens.
        trunk: The address of the trunk, which it answers.
        log: What it writes.
        bypassed: The folder of its list of calls that no recorder took.
        trunk_network: The network that the trunk is in; None is that of the tests.
        pid: Its first process.
    """

    address: Address
    trunk: Address
    log: Path
    bypassed: Path
    trunk_network: Network | None = None
    pid: int = 0

    @property
    def processes(self) -> list[int]:
        """Its processes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [self.pid, *map(int, children.split())]

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def listed(self) -> list[BypassedCall]:
        """Return the calls of its list, as the recorder reads them."""
        return [read_line(line) for path in self.bypassed.iterdir() for line in path.read_text().splitlines()]

    def rotate(self) -> None:
        """Do to its list what logrotate does: move the files away, and have new ones begun."""
        for path in self.bypassed.glob("*.log"):
            path.rename(f"{path}-1")
        self.command("flatstore.k_rotate")

    def command(self, name: str) -> str:
        """Run kamcmd; return what it says."""
        command = ["kamcmd", "-s", f"unix:{self.log.parent / CONTROL}", name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def gives_calls_to(self) -> set[Address]:
        """Return the recorders that get new calls, as `kamcmd dispatcher.list` has them."""
        found = re.findall(r"URI: sip:([^:]+):(\d+).*?FLAGS: (\w+)", self.command("dispatcher.list"), re.DOTALL)
        return {(host, int(port)) for host, port, flags in found if flags.startswith("A")}

    def answers(self) -> bool:
        """Tell whether it answers OPTIONS of the trunk."""
        with nullcontext() if self.trunk_network is None else self.trunk_network.inside():
            probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with probe:
            probe.bind((self.trunk[0], 0))
            probe.settimeout(0.2)
            here, (host, port) = "{}:{}".format(*probe.getsockname()), self.address
            probe.sendto(
                f"OPTIONS sip:{host}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-probe\r\n"
                f"Max-Forwards: 9\r\nFrom: <sip:probe@{here}>;tag=1\r\nTo: <sip:{host}>\r\nCall-ID: probe\r\n"
                "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode(),
                self.address,
            )
            try:
                return probe.recv(4096).startswith(b"SIP/2.0 200")
            except (TimeoutError, ConnectionRefusedError):
                return False


@contextmanager
def kamailio(
    folder: Path,
    *,
    address: Address,
    trunk: Address,
    pbx: Address,
    recorders: Sequence[Address],
    networks: tuple[Network, Network] | None = None,
    defined: Mapping[str, str] | None = None,
) -> Iterator[Kamailio]:
    """Start Kamailio between a trunk, a PBX and recorders, and wait until it answers; ends it whatever happens.

    Args:
        folder: Gets its log, its list of recorders and its list of calls that none took.
        address: Where it listens.
        trunk: Where the trunk is.
        pbx: Where the PBX is.
        recorders: Where the recorders are.
        networks: That of Kamailio, and that of the trunk.
        defined: Further names of the configuration.
    """
    own, trunk_network = networks or (None, None)
    log, recorders_file, bypassed = folder / "kamailio.log", folder / "dispatcher.list", folder / "bypassed"
    recorders_file.write_text("".join(f"1 sip:{host}:{port}\n" for host, port in recorders))
    bypassed.mkdir(exist_ok=True)
    values = {
        "LISTEN": "udp:{}:{}".format(*address),
        "TRUNK_IP": f'"{trunk[0]}"',
        "TRUNK": '"sip:{}:{}"'.format(*trunk),
        "PBX_IP": f'"{pbx[0]}"',
        "PBX": '"sip:{}:{}"'.format(*pbx),
        "RECORDERS": f'"{recorders_file}"',
        "BYPASSED": f'"flatstore:{bypassed}"',
        "CONTROL": f'"unix:{folder / CONTROL}"',
        **(defined or {}),
    }
    words = [f"-A{name}={value}" for name, value in values.items()]
    there = [] if own is None else ["nsenter", f"--net={own.path}"]
    command = [
        *there,
        PROGRAM,
        "-f",
        str(recorder_home.ROOT / CONFIG),
        "-DD",
        "-E",
        "-w",
        str(folder),
        "-Y",
        str(folder),
    ]
    made = Kamailio(address, trunk, log, bypassed, trunk_network)
    with peer_process([*command, "-m", "32", "-M", "4", *words], log, made.answers) as process:
        made.pid = process.pid
        try:
            yield made
        finally:
            # At SIGTERM one of its processes may leave with a lock of all, for which the others then wait for ever.
            for pid in made.processes:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
