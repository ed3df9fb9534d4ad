"""How soon does the board of live calls show a change while 300 calls are recorded and several people watch?

Metric: milliseconds from the request to pause a call, by the daemon's socket, until each stage has it: an event out of
that socket, rows at a watcher by HTTP who does what the page's script does (p50 p99 max over all watchers and acts),
the table in a real browser, a frame drawn there. Beside it: how long all rows take to come to a page that begins, their
size, and that of a change.
Command: ``python -m benchmarks.board --calls 300 --watchers 10 --seconds 20 [--browser] [--busy 2] [--json]``.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from benchmarks.board_watching import Screen, Stream, Watcher, screen, spinning
from benchmarks.disk import quantiles
from benchmarks.home import HomeError, RecorderHome
from benchmarks.loaded_recorder import JOINED_S, loaded_recorder, need_descriptors_for
from benchmarks.machine import measured_here
from benchmarks.placed import PlacedCalls
from benchmarks.ports import PortsError, free_address
from benchmarks.pressing import SocketConnection
from benchmarks.streams import DescriptorsError
from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.control.headers import ACTOR_HEADER
from recorder.permissions import Role
from storage.audit import AuditLog

_PLACE_RATE, _SETTLE_S = 20.0, 3.0
_NAME, _PASSWORD = "watcher", "seven tall cranes over the harbour"
_TEAM = "Payments"
"""Whose officers the calls go to, as `recorder init` writes it: the board shows a manager the calls of their teams."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Lookers:
    """Who looks: at the daemon's socket, at the page by HTTP, at the page in a browser if there is one."""

    stream: Stream
    pages: Sequence[Watcher]
    screen: Screen | None = None

    def start(self) -> None:
        """Have those look who are no browser."""
        self.stream.start()
        for page in self.pages:
            page.start()

    def stop(self) -> None:
        """End that."""
        self.stream.stop()
        for page in self.pages:
            page.stop()


@dataclasses.dataclass
class Shown:
    """How long each stage took, ms, one value an act; of pages one an act and watcher."""

    event_ms: list[float] = dataclasses.field(default_factory=list)
    page_ms: list[float] = dataclasses.field(default_factory=list)
    table_ms: list[float] = dataclasses.field(default_factory=list)
    drawn_ms: list[float] = dataclasses.field(default_factory=list)
    unseen: int = 0

    def note(self, looking: Lookers, call: str, began_s: float, began_at_s: float) -> None:
        """Wait until everybody who looks knows that a call is paused, and note how long each took.

        Args:
            looking: Who looks.
            call: Its id.
            began_s: When it was asked for, monotonic seconds.
            began_at_s: The same by the wall clock, which is a browser's.
        """
        if looking.screen is not None:
            in_table_s, drawn_s = looking.screen.shown_s()
            self._add(self.table_ms, in_table_s, began_at_s)
            self._add(self.drawn_ms, drawn_s, began_at_s)
        self._add(self.event_ms, looking.stream.known.paused_s(call, began_s), began_s)
        for one in looking.pages:
            self._add(self.page_ms, one.known.paused_s(call, began_s), began_s)

    def _add(self, times_ms: list[float], known_s: float | None, began_s: float) -> None:
        if known_s is None:
            self.unseen += 1
        else:
            times_ms.append((known_s - began_s) * 1e3)


def measure(
    *, calls: int, watchers: int, seconds: float, rate: float, has_browser: bool = False, busy: int = 0
) -> dict[str, Any]:
    """Run the calls through a recorder with its console and return the document.

    Raises:
        HomeError: The recorder could not be run.
    """
    web = free_address()
    with loaded_recorder(PlacedCalls(calls), service="Payments", console=web) as loaded:
        home, placed = loaded.home, loaded.placed
        engine = open_people(home.root / "people.sqlite")
        note = People(engine, now=lambda: datetime.now(UTC)).add(
            _NAME, _PASSWORD, display_name="Watcher", roles={Role.MANAGER}, teams={_TEAM}
        )
        AuditLog(home.root / "audit").append(note.act, _NAME, note.subject, dict(note.details))
        engine.dispose()
        placed.place(loaded.sip, rate=_PLACE_RATE)
        joined = placed.wait_joined(JOINED_S)
        time.sleep(_SETTLE_S)
        ids = [str(call["id"]) for call in home.calls()]
        stream = Stream(home)
        watching = [Watcher(web, _NAME, _PASSWORD) for _ in range(watchers)]
        looking = Lookers(stream=stream, pages=watching)
        looking.start()
        with (
            screen(web, _NAME, _PASSWORD) if has_browser else contextlib.nullcontext(None) as seen,
            spinning(busy),
        ):
            time.sleep(_SETTLE_S)
            shown = _acts(
                home,
                ids,
                dataclasses.replace(looking, screen=seen),
                max(round(seconds * rate), 1),
                every_s=1 / rate,
            )
        looking.stop()
        standing = min(placed.standing(), home.live_calls())
        placed.cease()
        placed.hang_up()
    return {
        "calls": calls,
        "joined_calls": joined,
        "standing_calls": standing,
        "watchers": watchers,
        "rate": rate,
        "seconds": seconds,
        "busy": busy,
        "acts": len(shown.event_ms),
        "unseen": shown.unseen,
        "event_ms": quantiles(shown.event_ms),
        "shown_ms": quantiles(shown.page_ms),
        "table_ms": quantiles(shown.table_ms),
        "browser_ms": quantiles(shown.drawn_ms),
        "rows_ms": quantiles([took for one in watching for took in one.known.took_ms]),
        "rows_bytes": max((one.known.bytes for one in watching), default=0),
        "change_bytes": max((one.known.change_bytes for one in watching), default=0),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _acts(
    home: RecorderHome,
    ids: Sequence[str],
    looking: Lookers,
    count: int,
    *,
    every_s: float,
) -> Shown:
    """Pause calls one by one, and resume each once everybody knows of it."""
    connection = SocketConnection(home.root / "recorder.sock")
    shown = Shown()
    for number in range(count):
        call = ids[number % len(ids)]
        if looking.screen is not None:
            looking.screen.expect_pause(call)
        began_s, began_at_s = time.monotonic(), time.time()
        _act(connection, call, "pause")
        shown.note(looking, call, began_s, began_at_s)
        _act(connection, call, "resume")
        time.sleep(max(every_s - (time.monotonic() - began_s), 0) + random.uniform(0, 0.1))
    connection.close()
    return shown


def _act(connection: SocketConnection, call: str, word: str) -> None:
    body = json.dumps({"reason": "", "as": "token:benchmark"})
    headers = {"Content-Type": "application/json", ACTOR_HEADER: "token:benchmark"}
    connection.ask("POST", f"/api/calls/{call}/{word}", body, headers=headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise HomeError(f"the daemon did not {word}: {answer.status} {said[:200]!r}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason, or a change was not shown, or not within a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.board", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=300, help="calls at the same time")
    parser.add_argument("--watchers", type=int, default=10, help="people who look at the board")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long calls are paused")
    parser.add_argument("--rate", type=float, default=2.0, help="pauses a second")
    parser.add_argument("--browser", action="store_true", help="watch in Debian's Chromium too")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if min(options.calls, options.watchers) < 1 or options.busy < 0 or min(options.seconds, options.rate) <= 0:
        parser.error("calls, watchers, seconds and rate must be above 0")
    try:
        need_descriptors_for(options.calls, per_call=10)
        document = measure(
            calls=options.calls, watchers=options.watchers, seconds=options.seconds, rate=options.rate,
            has_browser=options.browser, busy=options.busy,
        )  # fmt: skip
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        for what in ("event_ms", "shown_ms", "table_ms", "browser_ms", "rows_ms"):
            values = document[what] or {}
            figures = " / ".join(f"{values.get(key, float('nan')):.0f}" for key in ("p50", "p99", "max"))
            print(f"{what.removesuffix('_ms'):8} p50 / p99 / max ms: {figures}")
        said = (
            "{acts} acts, {unseen} not seen; rows {rows_bytes} bytes, a change {change_bytes}; {standing_calls} calls"
        )
        print(said.format_map(document))
    worst = max((document["shown_ms"] or {"max": 1e9})["max"], (document["browser_ms"] or {"max": 0})["max"])
    return 0 if document["unseen"] == 0 and worst < 1000 and document["standing_calls"] == options.calls else 1


if __name__ == "__main__":
    sys.exit(main())
