"""How soon does the board of live calls show a change while 300 calls are recorded and several people watch?

Metric: milliseconds from the request to pause a call, by the daemon's socket, until a watcher holds rows that say so:
p50 p99 max over all watchers and acts. A watcher does what the page's script does: it hears that something changed,
asks for the rows, and asks again if more changed meanwhile. Optionally one of them is a real browser, whose table is
looked at. Beside it: how long one answer with the rows takes, and its size.
Command: ``python -m benchmarks.board --calls 300 --watchers 10 --seconds 20 [--rate 2] [--browser] [--json]``.
"""

import argparse
import contextlib
import dataclasses
import http.client
import json
import os
import random
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx

from benchmarks.browser import signed_in
from benchmarks.disk import quantiles
from benchmarks.home import HomeError, RecorderHome, free_address, media_ports
from benchmarks.machine import this_commit, this_machine
from benchmarks.placed import FIRST_EXTENSION, PlacedCalls
from benchmarks.pressing import SocketConnection
from benchmarks.streams import DescriptorsError, need_descriptors
from recorder.domain.access import Role
from recorder.people.accounts import People
from recorder.people.database import open_people

if TYPE_CHECKING:
    from playwright.sync_api import Page

_NOTICE_S, _PLACE_RATE, _JOINED_S, _SETTLE_S = 1.0, 20.0, 90.0, 3.0
_LATEST_S = 5.0
"""An act that a watcher has not seen after so long counts as never shown to them."""
_DESCRIPTORS_PER_CALL, _DESCRIPTORS = 10, 256
_NAME, _PASSWORD = "watcher", "seven tall cranes over the harbour"
_PAUSED = re.compile(r'/live/([^/"]+)/resume"')
"""A row offers to resume what is paused, and nothing else."""


@dataclasses.dataclass
class Board:
    """What one watcher knows: when they first held rows in which a call is paused."""

    paused_at_s: dict[str, float] = dataclasses.field(default_factory=dict)
    took_ms: list[float] = dataclasses.field(default_factory=list)
    bytes: int = 0


class Watcher(threading.Thread):
    """Somebody who looks at the page, by HTTP."""

    def __init__(self, web: tuple[str, int]) -> None:
        super().__init__(daemon=True)
        self.board = Board()
        self._client = signed_in(web, _NAME, _PASSWORD, timeout_s=_LATEST_S)
        self._has_changed = threading.Event()
        self._is_over = threading.Event()
        self._listening = threading.Thread(target=self._listen, daemon=True)

    def run(self) -> None:
        """Ask for the rows whenever something changed."""
        self._listening.start()
        while not self._is_over.is_set():
            if not self._has_changed.wait(0.1):
                continue
            self._has_changed.clear()
            asked_s = time.monotonic()
            rows = self._client.get("/live/rows").raise_for_status().text
            held_s = time.monotonic()
            self.board.took_ms.append((held_s - asked_s) * 1e3)
            self.board.bytes = len(rows)
            paused = set(_PAUSED.findall(rows))
            self.board.paused_at_s = {call: self.board.paused_at_s.get(call, held_s) for call in paused}

    def stop(self) -> None:
        """End it."""
        self._is_over.set()
        self.join(_LATEST_S)
        self._listening.join(_LATEST_S)  # a beat comes twice a second
        self._client.close()

    def _listen(self) -> None:
        with (
            contextlib.suppress(httpx.HTTPError),
            self._client.stream("GET", "/live/changes", timeout=_LATEST_S) as stream,
        ):
            for line in stream.iter_lines():
                if self._is_over.is_set():
                    return
                if line == "data: changed":
                    self._has_changed.set()


def measure(*, calls: int, watchers: int, seconds: float, rate: float, has_browser: bool = False) -> dict[str, Any]:
    """Run the calls through a recorder with its console and return the document.

    Raises:
        HomeError: The recorder could not be run.
    """
    sip, web = free_address(), free_address()
    extensions = [f"{FIRST_EXTENSION + index}:officer{index + 1}:Payments" for index in range(calls)]
    with PlacedCalls(calls) as placed:
        host, port = placed.officer.address
        with RecorderHome(
            sip=f"{sip[0]}:{sip[1]}", next_hop=f"{host}:{port}", extensions=extensions,
            media_ports=media_ports(calls), notice_s=_NOTICE_S, console=f"{web[0]}:{web[1]}",
        ) as home:  # fmt: skip
            engine = open_people(home.root / "people.sqlite")
            People(engine, now=lambda: datetime.now(UTC)).add(
                _NAME, _PASSWORD, display_name="Watcher", roles={Role.OFFICER}
            )
            engine.dispose()
            placed.place(sip, rate=_PLACE_RATE)
            joined = placed.wait_joined(_JOINED_S)
            time.sleep(_SETTLE_S)
            ids = [str(call["id"]) for call in home.calls()]
            watching = [Watcher(web) for _ in range(watchers)]
            for one in watching:
                one.start()
            with _browser(web) if has_browser else contextlib.nullcontext(None) as page:
                time.sleep(_SETTLE_S)
                shown_ms, unseen, in_browser_ms = _acts(
                    home, ids, watching, page, max(round(seconds * rate), 1), every_s=1 / rate
                )
            for one in watching:
                one.stop()
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
        "acts": len(shown_ms) // max(watchers, 1),
        "unseen": unseen,
        "shown_ms": quantiles(shown_ms),
        "browser_ms": quantiles(in_browser_ms),
        "rows_ms": quantiles([took for one in watching for took in one.board.took_ms]),
        "rows_bytes": max((one.board.bytes for one in watching), default=0),
        "load_average": round(os.getloadavg()[0], 2),
    }


def _acts(
    home: RecorderHome,
    ids: Sequence[str],
    watching: Sequence[Watcher],
    page: "Page | None",
    count: int,
    *,
    every_s: float,
) -> tuple[list[float], int, list[float]]:
    """Pause calls one by one; return how long each watcher took to know, how many never did, and the browser."""
    connection = SocketConnection(home.root / "recorder.sock")
    shown_ms: list[float] = []
    in_browser_ms: list[float] = []
    unseen = 0
    for number in range(count):
        call = ids[number % len(ids)]
        began_s = time.monotonic()
        _act(connection, call, "pause")
        if page is not None:
            page.wait_for_selector(f"[id='resume-{call}']", timeout=_LATEST_S * 1e3, state="attached")
            in_browser_ms.append((time.monotonic() - began_s) * 1e3)
        for one in watching:
            known_s = _known_s(one.board, call, began_s)
            unseen += known_s is None
            shown_ms += [] if known_s is None else [(known_s - began_s) * 1e3]
        _act(connection, call, "resume")
        time.sleep(max(every_s - (time.monotonic() - began_s), 0) + random.uniform(0, 0.1))
    connection.close()
    return shown_ms, unseen, in_browser_ms


def _known_s(board: Board, call: str, began_s: float) -> float | None:
    while time.monotonic() - began_s < _LATEST_S:
        known_s = board.paused_at_s.get(call)
        if known_s is not None and known_s >= began_s:
            return known_s
        time.sleep(0.002)
    return None


def _act(connection: http.client.HTTPConnection, call: str, word: str) -> None:
    body = json.dumps({"reason": ""})
    connection.request("POST", f"/api/calls/{call}/{word}", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise HomeError(f"the daemon did not {word}: {answer.status} {said[:200]!r}")


@contextlib.contextmanager
def _browser(web: tuple[str, int]) -> "Iterator[Page]":
    """Open the page in Debian's Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where it is asked for

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://{web[0]}:{web[1]}/sign-in")
        page.fill("#name", _NAME)
        page.fill("#password", _PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/live")
        try:
            yield page
        finally:
            browser.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason, or a change was not shown, or not within a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.board", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=300, help="calls at the same time")
    parser.add_argument("--watchers", type=int, default=10, help="people who look at the board")
    parser.add_argument("--seconds", type=float, default=20.0, help="for how long calls are paused")
    parser.add_argument("--rate", type=float, default=2.0, help="pauses a second")
    parser.add_argument("--browser", action="store_true", help="watch in Debian's Chromium too")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if min(options.calls, options.watchers) < 1 or min(options.seconds, options.rate) <= 0:
        parser.error("calls, watchers, seconds and rate must be above 0")
    try:
        need_descriptors(_DESCRIPTORS_PER_CALL * options.calls + _DESCRIPTORS)
        document = measure(
            calls=options.calls, watchers=options.watchers, seconds=options.seconds, rate=options.rate,
            has_browser=options.browser,
        )  # fmt: skip
    except (DescriptorsError, HomeError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, "machine": dataclasses.asdict(this_machine()), "commit": this_commit()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        for what in ("shown_ms", "browser_ms", "rows_ms"):
            values = document[what] or {}
            figures = " / ".join(f"{values.get(key, float('nan')):.0f}" for key in ("p50", "p99", "max"))
            print(f"{what.removesuffix('_ms'):8} p50 / p99 / max ms: {figures}")
        print("{acts} acts, {unseen} not seen; {rows_bytes} bytes of rows; {standing_calls} calls".format_map(document))
    worst = max((document["shown_ms"] or {"max": 1e9})["max"], (document["browser_ms"] or {"max": 0})["max"])
    return 0 if document["unseen"] == 0 and worst < 1000 and document["standing_calls"] == options.calls else 1


if __name__ == "__main__":
    sys.exit(main())
