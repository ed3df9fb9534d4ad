"""Who watches the board in a benchmark, and notes when they knew of a pause: the daemon's stream, pages, a browser."""

import contextlib
import dataclasses
import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import httpx2

from benchmarks.browser import signed_in
from benchmarks.home import RecorderHome
from benchmarks.pressing import SocketConnection

if TYPE_CHECKING:
    from playwright.sync_api import Page

LATEST_S = 5.0
_EVENTS = "/api/events?beat_s=0.5"
"""An act that a watcher has not seen after so long counts as never shown to them."""
_PAUSED = re.compile(r'/live/([^/"]+)/resume"')
"""A row offers to resume what is paused, and nothing else."""


@dataclasses.dataclass
class Known:
    """What one watcher knows: when each call was last said to be paused, how long all rows took, and their size."""

    paused_at_s: dict[str, float] = dataclasses.field(default_factory=dict)
    took_ms: list[float] = dataclasses.field(default_factory=list)
    bytes: int = 0
    change_bytes: int = 0

    def paused_s(self, call: str, began_s: float) -> float | None:
        """Return when a call was known to be paused, monotonic seconds; waits for it, and None is never."""
        while time.monotonic() - began_s < LATEST_S:
            known_s = self.paused_at_s.get(call)
            if known_s is not None and known_s >= began_s:
                return known_s
            time.sleep(0.002)
        return None


class Stream(threading.Thread):
    """Somebody at the daemon's socket: when an event comes out of it, before the console has seen it."""

    def __init__(self, home: RecorderHome) -> None:
        super().__init__(daemon=True)
        self.known = Known()
        self._headers = home.signed(_EVENTS)
        self._connection = SocketConnection(home.root / "recorder.sock")
        self._is_over = threading.Event()

    def run(self) -> None:
        """Read events until told to stop."""
        self._connection.request("GET", _EVENTS, headers=self._headers)
        with contextlib.suppress(OSError, http.client.HTTPException):
            for line in self._connection.getresponse():
                if self._is_over.is_set():
                    return
                if not line.startswith(b"data:"):
                    continue
                event = json.loads(line.removeprefix(b"data:"))
                if event.get("event") == "call" and event["state"] == "paused":
                    self.known.paused_at_s[event["call"]] = time.monotonic()

    def stop(self) -> None:
        """End it."""
        self._is_over.set()
        self.join(LATEST_S)
        self._connection.close()


class Watcher(threading.Thread):
    """Somebody who looks at the page, by HTTP: takes the rows that the console sends, as the page's script does."""

    def __init__(self, web: tuple[str, int], name: str, password: str) -> None:
        super().__init__(daemon=True)
        self.known = Known()
        self._client = signed_in(web, name, password, timeout_s=LATEST_S)
        self._is_over = threading.Event()

    def run(self) -> None:
        """Take rows until told to stop."""
        asked_s = time.monotonic()
        with (
            contextlib.suppress(httpx2.HTTPError),
            self._client.stream("GET", "/live/changes", timeout=LATEST_S) as stream,
        ):
            event = ""
            for line in stream.iter_lines():
                if self._is_over.is_set():
                    return
                kind, _, said = line.partition(": ")
                if kind == "event":
                    event = said
                elif kind == "data" and event == "rows":
                    self._take(json.loads(said)["html"], len(line), asked_s)

    def stop(self) -> None:
        """End it."""
        self._is_over.set()
        self.join(LATEST_S)  # a beat comes twice a second
        self._client.close()

    def _take(self, html: str, size: int, asked_s: float) -> None:
        held_s = time.monotonic()
        if not self.known.bytes:
            self.known.took_ms.append((held_s - asked_s) * 1e3)
        self.known.bytes = max(self.known.bytes, size)
        self.known.change_bytes = size
        for call in _PAUSED.findall(html):
            self.known.paused_at_s[call] = held_s


class Screen:
    """The page in a real browser: when its table has the change, and when a frame with it has been drawn.

    Args:
        page: At /live.
    """

    def __init__(self, page: "Page") -> None:
        self._page = page

    def expect_pause(self, call: str) -> None:
        """Have the page note when it shows that a call is paused; before it is."""
        self._page.evaluate(_EXPECT, [call, LATEST_S * 1e3])

    def shown_s(self) -> tuple[float | None, float | None]:
        """Wait for it; return when the table had it and when it was drawn, wall clock seconds; None is never."""
        seen: dict[str, float] | None = self._page.evaluate("window.noted")
        return (seen["inTable"] / 1e3, seen["drawn"] / 1e3) if seen else (None, None)


_EXPECT = """([call, latestMs]) => {
  const now = () => performance.timeOrigin + performance.now();
  window.noted = new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (!document.getElementById(`resume-${call}`)) return;
      observer.disconnect();
      const inTable = now();
      requestAnimationFrame(() => {  // before the frame; what is posted in it runs after
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => resolve({ inTable, drawn: now() });
        port2.postMessage(0);
      });
    });
    setTimeout(() => resolve(null), latestMs);
    observer.observe(document.getElementById("live-rows"), { subtree: true, childList: true, attributes: true });
  });
}"""


@contextlib.contextmanager
def screen(web: tuple[str, int], name: str, password: str) -> Iterator[Screen]:
    """Open the page in Debian's Chromium."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only where it is asked for

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium-headless-shell", args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(LATEST_S * 1e3)
        page.goto(f"http://{web[0]}:{web[1]}/sign-in")
        page.fill("#name", name)
        page.fill("#password", password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/live")
        try:
            yield Screen(page)
        finally:
            browser.close()


@contextlib.contextmanager
def spinning(count: int) -> Iterator[None]:
    """Keep so many processes computing beside: a machine that does other things too, the same each time."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        _end(running)


def _end(running: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in running:
        process.kill()
        process.wait()
