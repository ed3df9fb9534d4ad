"""Pauses and resumes at a steady rate by HTTP, each timed: over the daemon's socket, or by the console with a token.

In a process of its own (`press`), because the load that holds the calls would share the interpreter with it. It reads
one order as JSON on standard input and prints the acts as JSON lines.
"""

import dataclasses
import gc
import http.client
import itertools
import json
import queue
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recorder.access.signing import Signer
from recorder.control.links import signed_headers

_WORKERS, _ANSWER_S = 8, 5.0


class SocketConnection(http.client.HTTPConnection):
    """HTTP over the daemon's socket; who acts is signed, as console and command line do."""

    def __init__(self, path: Path) -> None:
        super().__init__("recorder", timeout=_ANSWER_S)
        self._path = path
        self._signer = Signer(path.parent)

    def ask(self, method: str, target: str, body: str = "", *, headers: Mapping[str, str]) -> None:
        """Send a request."""
        signed = signed_headers(self._signer, method, target, headers, body.encode())
        self.request(method, target, body=body or None, headers=signed)

    def connect(self) -> None:
        """Connect to the socket's path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWER_S)
        self.sock.connect(str(self._path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One way in: a unix socket's path, or host and port; and the headers of every request."""

    address: str | tuple[str, int]
    headers: dict[str, str]
    reason: str = ""
    """Sent with each act; none by default."""

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is made with its first request."""
        if isinstance(self.address, str):
            return SocketConnection(Path(self.address))
        return http.client.HTTPConnection(*self.address, timeout=_ANSWER_S)

    @property
    def body(self) -> str:
        """Return what each act sends."""
        token = {"as": "token:payments"} if isinstance(self.address, str) else {}  # of the console its header says so
        return json.dumps(token | ({"reason": self.reason} if self.reason else {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """One act: wall clock before it was sent and after it was answered, and the answer (empty: none, or an error)."""

    call: str
    word: str
    asked_s: float
    answered_s: float
    took_ms: float
    late_ms: float
    answer: dict[str, Any]

    @property
    def is_done(self) -> bool:
        """Tell whether the answer says what was asked for, and where."""
        goal = {"pause": "paused", "resume": "recording"}[self.word]
        return self.answer.get("state") == goal and isinstance(self.answer.get("position_s"), int | float)


def press(door: Door, calls: Sequence[str], *, seconds: float, rate: float) -> list[Pressed]:
    """Press in a process of its own and return the acts, oldest answer first.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    order = {"door": dataclasses.asdict(door), "calls": list(calls), "seconds": seconds, "rate": rate}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pressing"],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    return [Pressed(**json.loads(line)) for line in done.stdout.splitlines()]


def main() -> None:
    """Carry out the order on standard input."""
    order = json.load(sys.stdin)
    fields = order["door"]
    address = fields["address"]
    door = Door(**{**fields, "address": address if isinstance(address, str) else tuple(address)})
    gc.disable()  # a pause of ours would be taken for one of theirs
    for act in press_here(door, order["calls"], seconds=order["seconds"], rate=order["rate"]):
        print(json.dumps(dataclasses.asdict(act)))


def press_here(door: Door, calls: Sequence[str], *, seconds: float, rate: float, seed: int = 1) -> list[Pressed]:
    """Pause or resume a random call ``rate`` times a second, whether or not earlier ones were answered; then open all.

    At most `_WORKERS` acts wait at a time, each on a connection of its own that is kept; no call has two at once.
    """
    chosen = random.Random(seed)
    free, paused = list(calls), set[str]()
    orders: queue.SimpleQueue[tuple[str, str, float] | None] = queue.SimpleQueue()
    done: list[Pressed] = []
    lock = threading.Lock()

    def work() -> None:
        connection = door.connect()
        while (order := orders.get()) is not None:
            one = _ask(connection, door, *order)
            with lock:
                done.append(one)
                free.append(one.call)
                (paused.add if one.word == "pause" else paused.discard)(one.call)
        connection.close()

    def order(due_s: float) -> None:
        with lock:
            if not free:
                return
            call = free.pop(chosen.randrange(len(free)))
            word = "resume" if call in paused else "pause"
        orders.put((call, word, due_s))

    workers = [threading.Thread(target=work, name=f"press-{number}") for number in range(_WORKERS)]
    for worker in workers:
        worker.start()
    began = time.monotonic()
    for number in itertools.count():
        due_s = began + number / rate
        if due_s >= began + seconds:
            break
        time.sleep(max(0.0, due_s - time.monotonic()))
        order(due_s)
    for _ in workers:
        orders.put(None)
    for worker in workers:
        worker.join()
    _open_all(door, paused)
    return done


def _open_all(door: Door, paused: set[str]) -> None:
    connection = door.connect()
    for call in paused:
        _ask(connection, door, call, "resume", time.monotonic())
    connection.close()


def _ask(connection: http.client.HTTPConnection, door: Door, call: str, word: str, due_s: float) -> Pressed:
    began, asked_s = time.monotonic(), time.time()
    try:
        target = f"/api/calls/{call}/{word}"
        if isinstance(connection, SocketConnection):
            connection.ask("POST", target, door.body, headers=door.headers)
        else:
            connection.request("POST", target, body=door.body, headers=door.headers)
        response = connection.getresponse()
        content = response.read()
        answer = json.loads(content) if response.status == http.client.OK else {}
    except (OSError, http.client.HTTPException, ValueError):
        connection.close()  # the next request connects again
        answer = {}
    return Pressed(
        call=call,
        word=word,
        asked_s=asked_s,
        answered_s=time.time(),
        took_ms=(time.monotonic() - began) * 1e3,
        late_ms=(began - due_s) * 1e3,
        answer=answer,
    )


if __name__ == "__main__":
    main()
