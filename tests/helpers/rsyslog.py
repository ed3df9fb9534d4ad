"""Debian's rsyslog as a server for syslog over TLS, with a configuration of its own; the host's is not touched."""

import re
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import trustme

from benchmarks.ports import free_port
from tests.helpers.peer_process import peer_process

_CONFIGURATION = """
global(workDirectory="{folder}" defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{folder}/ca.pem"
  defaultNetstreamDriverCertFile="{folder}/server.pem" defaultNetstreamDriverKeyFile="{folder}/server.key")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="{clients}")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="in") {{ action(type="omfile" file="{folder}/taken.log" template="raw") }}
input(type="imtcp" address="127.0.0.1" port="{port}" ruleset="in")
"""
_PROGRAM = "/usr/sbin/rsyslogd"
_NUMBER = re.compile(r' n="(\d+)"')


class Rsyslog:
    """A server that can be stopped and started; its authority and a client's certificate are in the folder.

    Args:
        folder: Of its own.
        takes_anybody: Whether clients need no certificate.
    """

    def __init__(self, folder: Path, *, takes_anybody: bool = True) -> None:
        folder.mkdir()
        self._folder = folder
        self.port = free_port()
        self.ca = folder / "ca.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        for name, host in (("server", "127.0.0.1"), ("client", "recorder.example")):
            made = authority.issue_cert(host)
            (folder / f"{name}.pem").write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
            (folder / f"{name}.key").touch(mode=0o600)
            made.private_key_pem.write_to_path(str(folder / f"{name}.key"), append=True)
        clients = "anon" if takes_anybody else "x509/certvalid"
        self._conf = folder / "rsyslog.conf"
        self._conf.write_text(_CONFIGURATION.format(folder=folder, port=self.port, clients=clients))
        self._running = ExitStack()

    @property
    def url(self) -> str:
        """Return its address as `recorder.toml` has it."""
        return f"tls://127.0.0.1:{self.port}"

    @property
    def client(self) -> tuple[str, str]:
        """Return a certificate and key that it takes."""
        return str(self._folder / "client.pem"), str(self._folder / "client.key")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert Path(_PROGRAM).exists(), "there is no rsyslog: `make setup` installs it"
        command = (_PROGRAM, "-n", "-f", str(self._conf), "-i", str(self._folder / "pid"))
        self._running.enter_context(peer_process(command, self._folder / "said.log", self._listens))

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """Stop it as its service manager would."""
        self._running.close()

    def lines(self) -> list[str]:
        """Return the messages that it has written."""
        path = self._folder / "taken.log"
        return path.read_text().splitlines() if path.exists() else []

    def numbers(self) -> list[int]:
        """Return the numbers of the audit entries, in the order in which they came."""
        return [int(found[1]) for line in self.lines() if (found := _NUMBER.search(line))]
