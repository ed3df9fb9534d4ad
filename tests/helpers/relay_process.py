"""A relay of one call, in a process of its own: to be stopped, killed, searched, or put on another network."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from audio.types import MediaAddress

_ROOT = Path(__file__).parents[2]

_PROGRAM = """
import json, sys
from audio.relay import Relay
from audio.types import Codec, LegMedia, MediaAddress, RelayOptions

address, interfaces, remotes = json.loads(sys.argv[1])
options = RelayOptions(
    address=address,
    ports=(41000, 41999),
    lock_memory=False,
    kernel_interfaces=tuple(interfaces),
    kernel_packets_per_s=1_000_000,
)
with Relay(options) as relay:
    legs = [relay.open_leg() for _ in remotes]
    for leg, remote in zip(legs, remotes):
        remote = MediaAddress(**remote)
        relay.set_media(leg, LegMedia(remote=remote, codec=Codec.PCMA, send_pt=8, receive_pt=8))
    relay.bridge(*legs)
    print(json.dumps([relay.local_address(leg).rtp_port for leg in legs]), flush=True)
    for _ in sys.stdin:
        received = relay.legs.statistics(legs[0]).received
        print(json.dumps({**relay.counters(), "of_the_first": received}), flush=True)
"""


class RelayProcess:
    """Two bridged legs of G.711 A-law, payload type 8, for peers at ``remotes``; ends with its standard input."""

    def __init__(
        self, remotes: Sequence[MediaAddress], *, address: str = "127.0.0.1", interfaces: Sequence[str] = ("lo",)
    ) -> None:
        said = json.dumps([address, list(interfaces), [asdict(remote) for remote in remotes]])
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, said],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        self.ports: list[int] = json.loads(self._line())
        """Our RTP port of each leg."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go_on()
        self._process.communicate(timeout=30)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def counters(self) -> dict[str, int]:
        """Return those of the process, and as ``of_the_first`` the packets that the first leg has received."""
        assert self._process.stdin is not None
        self._process.stdin.write("count\n")
        self._process.stdin.flush()
        counters: dict[str, int] = json.loads(self._line())
        return counters

    def stop(self) -> None:
        """Hold all of its threads until `go_on`; returns once they are held."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def go_on(self) -> None:
        """Let it run again."""
        if self._process.poll() is None:
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does; returns once it is gone."""
        self._process.kill()
        self._process.wait(timeout=30)
