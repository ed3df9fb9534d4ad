"""A real Kamailio with a configuration of ours."""

import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.peer_process import peer_process

PROGRAM = shutil.which("kamailio") or "/usr/sbin/kamailio"


@dataclass
class Kamailio:
    """One that runs.

    Attributes:
        address: Where it listens.
        log: What it writes.
    """

    address: tuple[str, int]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def answers(self) -> bool:
        """Tell whether it answers OPTIONS (from its own address, so that it takes us for nobody else)."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.30", 0))
            probe.settimeout(0.2)
            here = f"127.0.0.30:{probe.getsockname()[1]}"
            host, port = self.address
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
def kamailio(folder: Path, config: Path, *, address: tuple[str, int], defined: Mapping[str, str]) -> Iterator[Kamailio]:
    """Start Kamailio with a file and definitions, and wait until it answers; ends it whatever happens."""
    log = folder / "kamailio.log"
    words = [f"-A{name}={value}" for name, value in defined.items()]
    command = [PROGRAM, "-f", str(config), "-DD", "-E", "-w", str(folder), "-Y", str(folder), "-m", "32", "-M", "4"]
    made = Kamailio(address, log)
    with peer_process([*command, *words], log, made.answers, timeout_s=15):
        yield made
