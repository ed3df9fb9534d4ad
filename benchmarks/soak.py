"""Does a steady stream of calls wear the daemon out: does any call fail, does memory grow, is a descriptor left?

Calls are set up at a steady rate, each is joined, streams A-law both ways, and is hung up after so many seconds, for
minutes on end. Metric: calls that failed, packets lost or damaged, resident memory a minute after the first calls have
ended and at the end of the calls, descriptors before and after, both once a minute, CPU of the daemon.
Command: ``python -m benchmarks.soak --rate 30 --seconds 600 --hold-s 10 [--json]``: 18,000 calls, 300 at a time.
``--media io_uring`` has packets pass by io_uring, ``--media kernel`` has the kernel relay them.
"""

import argparse
import collections
import json
import socket
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from types import TracebackType
from typing import Any, Self

from benchmarks.health_poller import HealthPoller
from benchmarks.home import HomeError, RecorderHome
from benchmarks.machine import Holdings, cpu_ms, holdings, measured_here
from benchmarks.messages import Media, Message
from benchmarks.outcomes import outcomes_of
from benchmarks.packet_path import PacketPath
from benchmarks.peers import Address, Answer, Call, Caller, Officer, State
from benchmarks.placed import FIRST_EXTENSION, extensions
from benchmarks.ports import PortsError, free_address, media_ports
from benchmarks.streams import ALAW, DescriptorsError, Load, Totals, need_descriptors, open_socket, totals

EXTENSIONS = 50
MAX_GROWTH = 0.05
_SETTLE_S, _DRAIN_S, _LINGER_S = 0.3, 0.5, 40.0
_JOIN_S, _FILED_S, _WARM_S, _SAMPLED_S = 15.0, 90.0, 60.0, 60.0
_DESCRIPTORS_BESIDE, _OPENED_FOR_GOOD = 400, 3
_PREFIX = "0207"


class _Rolling:
    """Calls that come and go: call ``k`` is told by its caller's number; its sockets live as long as it does."""

    def __init__(self, calls: int, hold_s: float) -> None:
        self.calls, self.hold_s = calls, hold_s
        self.joined: set[int] = set()
        self.done: collections.Counter[str] = collections.Counter()
        self.packets = Totals()
        self._load = Load(capacity=2 * calls)
        self._sockets: dict[int, tuple[socket.socket, socket.socket]] = {}
        self._first: dict[int, Call] = {}
        with ExitStack() as stack:
            stack.callback(self._load.close)
            self.officer = stack.enter_context(Officer(answer=self._answer, on_confirmed=self._confirmed))
            self._caller = stack.enter_context(Caller())
            self._stack = stack.pop_all()
        self._load.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        for pair in self._sockets.values():
            for opened in pair:
                opened.close()

    def place(self, index: int, target: Address) -> None:
        """Place call ``index``; what follows happens on the officer's thread."""
        self._sockets[index] = (open_socket(), open_socket())
        media = Media(ip="127.0.0.1", port=self._sockets[index][0].getsockname()[1])
        number = str(FIRST_EXTENSION + index % EXTENSIONS)
        self._first[index] = self._caller.invite(target, number, from_number=f"{_PREFIX}{index:07d}", media=media)
        self.officer.submit(lambda: self.officer.after(_JOIN_S, lambda: self._check_joined(index)))

    @property
    def is_over(self) -> bool:
        """Tell whether every call placed has ended and been counted."""
        return sum(self.done.values()) >= self.calls

    def _index_of(self, invite: Message) -> int:
        return int(invite.value("From").partition(f"<sip:{_PREFIX}")[2][:7])

    def _answer(self, invite: Message) -> Answer:
        port = self._sockets[self._index_of(invite)][1].getsockname()[1]
        return Answer(after_s=0.05, media=Media(ip="127.0.0.1", port=port))

    def _confirmed(self, call: Call) -> None:
        self.officer.after(_SETTLE_S, lambda: self._begin(call))

    def _begin(self, second: Call) -> None:
        index = self._index_of(second.invite)
        first = self._first[index]
        for stream, call in ((2 * index, first), (2 * index + 1, second)):
            if call.remote_media is None or call.state is not State.CONFIRMED:
                return
            self._load.add_stream(stream, self._sockets[index][stream % 2], call.remote_media, pt=ALAW, peer=stream ^ 1)
        self._load.begin(2 * index)
        self._load.begin(2 * index + 1)
        self.joined.add(index)
        self.officer.after(self.hold_s, lambda: self._cease(index, second))

    def _cease(self, index: int, second: Call) -> None:
        is_standing = self._first[index].state is second.state is State.CONFIRMED
        self._load.cease(2 * index)
        self._load.cease(2 * index + 1)
        self.officer.after(_DRAIN_S, self._first[index].hang_up)
        self.officer.after(_DRAIN_S + 3.0, lambda: self._count(index, second, is_standing=is_standing))

    def _count(self, index: int, second: Call, *, is_standing: bool) -> None:
        first = self._first.pop(index)
        has_ended = first.state is second.state is State.ENDED
        self.done["ok" if is_standing and has_ended else "dropped" if not is_standing else "never_ended"] += 1
        counted = totals(self._load, (2 * index, 2 * index + 1))
        self.packets = Totals(
            **{name: getattr(self.packets, name) + getattr(counted, name) for name in Totals.__slots__}
        )
        self._forget(index, first, second)

    def _check_joined(self, index: int) -> None:
        if index not in self.joined:
            first = self._first.pop(index)
            self.done[f"not_joined_{first.status}"] += 1
            self._forget(index, first)

    def _forget(self, index: int, *calls: Call) -> None:
        for opened in self._sockets.pop(index):
            opened.close()
        for call in calls:
            call.agent.submit(lambda call=call: call.agent.calls.pop(call.call_id, None))  # type: ignore[misc]


def measure(
    *,
    rate: float,
    seconds: float,
    hold_s: float,
    media: PacketPath = PacketPath.EPOLL,
    edits: Sequence[tuple[str, str]] = (),
    looks_for_leaks: bool = True,
) -> dict[str, Any]:
    """Run the calls and return the document.

    Args:
        rate: Calls set up a second.
        seconds: For how long.
        hold_s: How long a call is joined.
        media: How packets pass.
        edits: Further changes of the recorder's configuration.
        looks_for_leaks: Wait at the end, up to 40 s, until the ports of the last calls have had their rest.

    Raises:
        HomeError: The recorder could not be run, or packets did not pass by ``media``.
    """
    calls, sip = round(rate * seconds), free_address()
    with _Rolling(calls, hold_s) as rolling:
        host, port = rolling.officer.address
        home = RecorderHome(
            sip=f"{sip[0]}:{sip[1]}",
            next_hop=f"{host}:{port}",
            extensions=extensions(EXTENSIONS),
            media_ports=media_ports(min(round(2 * rate * (hold_s + 10)), calls) + 20),
            notice_s=0.4,
            edits=[*media.edits, *edits],
        )
        with home:
            return _through(home, rolling, sip, rate=rate, media=media, looks_for_leaks=looks_for_leaks)


def _through(
    home: RecorderHome, rolling: _Rolling, sip: Address, *, rate: float, media: PacketPath, looks_for_leaks: bool
) -> dict[str, Any]:
    idle = _warmed(home, rolling, sip)
    _check(media, home)
    cpu_idle, own_before_s, began = cpu_ms(home.pid), time.process_time(), time.monotonic()
    early = idle
    warm_s = min(rolling.hold_s + _WARM_S, rolling.calls / rate / 2)  # by then as many calls end as begin
    late_placed_s = 0.0
    minutes: list[dict[str, Any]] = []
    with HealthPoller(home, lambda most: _progress(f"{most} calls at most at a time, {dict(rolling.done)}")) as polling:
        for index in range(1, rolling.calls):
            due = began + index / rate
            time.sleep(max(0.0, due - time.monotonic()))
            late_placed_s = max(late_placed_s, time.monotonic() - due)
            rolling.place(index, sip)
            if early is idle and time.monotonic() - began >= warm_s:
                early = holdings(home.pid)
            if time.monotonic() - began >= (len(minutes) + 1) * _SAMPLED_S:
                minutes.append(_held(home))
        placed_s = time.monotonic() - began
    late = holdings(home.pid)
    deadline = time.monotonic() + rolling.hold_s + _JOIN_S + 10
    while not rolling.is_over and time.monotonic() < deadline:
        time.sleep(0.1)
    cpu_end, own_s, took_s = cpu_ms(home.pid), time.process_time() - own_before_s, time.monotonic() - began
    outcomes = _outcomes(home, rolling.calls)
    left = _left(home, idle.descriptors if looks_for_leaks else None)
    health = home.health()
    return {
        "media": media.value,
        "calls": rolling.calls,
        "rate": rate,
        "hold_s": rolling.hold_s,
        "placed_per_s": round((rolling.calls - 1) / placed_s, 1),
        "most_at_a_time": polling.most_calls,
        "late_placed_s": round(late_placed_s, 3),
        "slowest_health_s": round(polling.slowest_s, 3),
        "health_unconfirmed": polling.unanswered,
        "ended": dict(rolling.done),
        "outcomes": outcomes,
        "failed_calls": rolling.calls - min(rolling.done["ok"], outcomes.get("recorded", 0)),
        "packets_sent": rolling.packets.sent,
        "packets_lost": rolling.packets.lost,
        "packets_damaged": rolling.packets.damaged + rolling.packets.strayed,
        "resident_kb": {"idle": idle.resident_kb, "when_warm": early.resident_kb, "at_the_end": late.resident_kb},
        "growth": round(late.resident_kb / early.resident_kb - 1, 4),
        "descriptors": {"before": idle.descriptors, "after": left},
        "minutes": minutes,
        "cpu_s": round((cpu_end - cpu_idle) / 1000, 1),
        "peers_cpu_s": round(own_s, 1),
        "took_s": round(took_s, 1),
        "call_thread": health["call_thread"],
        "alarms": health["alarms"],
        "tracebacks": home.said.count("Traceback"),
        "calls_left": health["calls"],
        "signalling": health["signalling"],
    }


def _check(media: PacketPath, home: RecorderHome) -> None:
    """Check that packets take this path, before hours of them do."""
    fault = media.fault(home.health()["media"])
    if fault is not None:
        raise HomeError(fault)


def _held(home: RecorderHome) -> dict[str, Any]:
    now = holdings(home.pid)
    return {"resident_kb": now.resident_kb, "descriptors": now.descriptors}


def _warmed(home: RecorderHome, rolling: _Rolling, sip: Address) -> Holdings:
    """Have one call come and go, which opens for good what the first call opens; return what is held then."""
    before = holdings(home.pid).descriptors
    rolling.place(0, sip)
    deadline = time.monotonic() + rolling.hold_s + _JOIN_S + 10
    while not rolling.done and time.monotonic() < deadline:
        time.sleep(0.1)
    _left(home, None if before is None else before + _OPENED_FOR_GOOD)
    return holdings(home.pid)


def _outcomes(home: RecorderHome, calls: int) -> dict[str, int]:
    """Return how many rows have which outcome, once all are there or nothing more comes."""
    deadline = time.monotonic() + _FILED_S
    while True:
        with closing(sqlite3.connect(f"file:{home.root / 'index.sqlite'}?mode=ro", uri=True)) as index:
            (filed,) = index.execute("select count(*) from recordings").fetchone()
            if filed >= calls or time.monotonic() > deadline:
                return outcomes_of([json.loads(row) for (row,) in index.execute("select document from recordings")])
        time.sleep(0.5)


def _left(home: RecorderHome, before: int | None) -> int | None:
    """Return the descriptors that stay: ports rest for a while before they are closed."""
    deadline = time.monotonic() + _LINGER_S
    while True:
        left = holdings(home.pid).descriptors
        if left is None or before is None or left <= before or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line:90}", end="", file=sys.stderr, flush=True)


def is_good(document: dict[str, Any]) -> bool:
    """Tell whether no call failed, memory stayed flat and nothing was left behind."""
    descriptors = document["descriptors"]
    is_none_left = descriptors["before"] is None or descriptors["after"] <= descriptors["before"]
    return (
        document["failed_calls"] == document["packets_damaged"] == document["tracebacks"] == document["calls_left"] == 0
        and document["growth"] < MAX_GROWTH
        and is_none_left
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 nothing wore out, 1 something did, or a sentence says why it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rate", type=float, default=30.0, help="calls set up a second")
    parser.add_argument("--seconds", type=float, default=600.0, help="for how long")
    parser.add_argument("--hold-s", type=float, default=10.0, help="how long a call is joined")
    parser.add_argument(
        "--media", type=PacketPath, choices=list(PacketPath), default=PacketPath.EPOLL, help="how packets pass"
    )
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.rate <= 0 or options.seconds <= 0 or options.hold_s <= 0 or options.rate * options.seconds < 1:
        parser.error("rate, seconds and hold-s must be above 0, and give a call at least")
    try:
        need_descriptors(round(4 * options.rate * (options.hold_s + _JOIN_S)) + _DESCRIPTORS_BESIDE)
        document = measure(rate=options.rate, seconds=options.seconds, hold_s=options.hold_s, media=options.media)
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, "is_good": is_good(document)}
    document = {**document, **measured_here()}
    print(json.dumps(document, indent=2 if options.json else None))
    return 0 if document["is_good"] else 1


if __name__ == "__main__":
    sys.exit(main())
