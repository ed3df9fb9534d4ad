"""The console under connections that say half of something: whoever is signed in gets in, and pauses (issue 15)."""

import logging
import selectors
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx2
import pytest
import uvicorn

from recorder.config.settings import Console as ConsoleOptions
from recorder.control.http_connections import ConsoleConnections
from recorder.rules.limits import ConnectionLimits
from recorder.web.app import create_app
from recorder.web.rates import RateLimits
from recorder.web.server import TlsFiles, server_config
from tests.helpers.certificates import Authority
from tests.helpers.console_site import CALL, WITHOUT_SECOND_FACTOR, Browser, Console, console_site, serving, signed_in
from tests.helpers.recorder_home import HANGS_S, eventually

LONG_S = 3600.0
CROWDED = replace(
    WITHOUT_SECOND_FACTOR, max_connections=16, max_connections_per_address=8, max_requests_per_session=8,
    header_s=LONG_S, body_s=LONG_S,
)  # fmt: skip
"""Few places, and no deadline that could make room."""
BEHIND_PROXY = replace(CROWDED, behind_tls_proxy=True)
HURRIED = replace(WITHOUT_SECOND_FACTOR, header_s=0.2, body_s=0.2)
HALVES = {
    "nothing": b"",
    "half a header": b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Le",
    "half a body": b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 100\r\n\r\nname=",
    "half a chunk": b"POST /api/calls/x/pause HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nabc",
    "a second header": b"GET /static/console.css HTTP/1.1\r\nHost: x\r\n\r\nGET /stat",
}  # fmt: skip


@contextmanager
def crowd(console: Console, count: int, said: bytes) -> Iterator[list[socket.socket]]:
    """Open connections as strangers, each of which says half of something and waits."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(count):
            one = stack.enter_context(connected(console.url))
            if said:
                one.sendall(said)
            sockets.append(one)
        yield sockets


def connected(url: str) -> socket.socket:
    where = httpx2.URL(url)
    return socket.create_connection((where.host, where.port), timeout=HANGS_S)


def closed_among(sockets: list[socket.socket]) -> int:
    """Return how many the console has closed: those that end when what came before is read, which takes a call."""
    count = 0
    with selectors.DefaultSelector() as selector:
        for one in sockets:
            selector.register(one, selectors.EVENT_READ)
        for key, _ in selector.select(0):
            try:
                count += key.fileobj.recv(1 << 20) == b""  # type: ignore[union-attr]
            except ConnectionError:
                count += 1
    return count


def https_url(server: uvicorn.Server) -> str:
    return f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def wait_closed(one: socket.socket) -> bytes:
    """Read until the console closes; TimeoutError if it does not."""
    got = b""
    try:
        while piece := one.recv(1 << 16):
            got += piece
    except ConnectionError:
        pass
    return got


def pauses(browser: Browser, console: Console) -> bool:
    """Pause over a connection that is new."""
    with httpx2.Client(base_url=console.url, cookies=browser.cookies, timeout=HANGS_S) as fresh:
        fresh.headers["X-CSRF-Token"] = browser.csrf
        return fresh.post(f"/api/calls/{CALL}/pause").status_code == 200


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("hurried"), options=HURRIED) as console:
        yield console


@pytest.fixture(scope="module", params=[CROWDED, BEHIND_PROXY], ids=["direct", "behind a proxy"])
def crowded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[tuple[Console, int]]:
    """A console with few places, and how many of them strangers at one address may have."""
    with console_site(tmp_path_factory.mktemp("crowded"), options=request.param) as console:
        yield console, 16 if request.param is BEHIND_PROXY else 8


@pytest.mark.parametrize("said", HALVES.values(), ids=HALVES)
def test_what_is_never_finished_is_closed(hurried: Console, said: bytes) -> None:
    with connected(hurried.url) as stranger:
        stranger.sendall(said)
        wait_closed(stranger)


@pytest.mark.parametrize("start", ["half a header", "half a body"])
def test_bytes_that_trickle_in_make_no_deadline_longer(hurried: Console, start: str) -> None:
    with connected(hurried.url) as stranger:
        stranger.sendall(HALVES[start])

        def is_closed() -> bool:
            try:
                stranger.sendall(b"x")
            except ConnectionError:
                return True
            return False

        eventually(is_closed, "it is closed although something comes all the time")


@pytest.mark.parametrize("said", HALVES.values(), ids=HALVES)
def test_a_crowd_of_strangers_keeps_nobody_out(crowded: tuple[Console, int], said: bytes) -> None:
    console, most = crowded
    with signed_in(console, "lead") as lead, crowd(console, 60, said) as strangers:
        assert pauses(lead, console)
        eventually(lambda: 60 - closed_among(strangers) <= most, "those over the limit are closed")
        assert pauses(lead, console)
        with console.browser() as another:
            assert another.get("/sign-in").status_code == 200, "one who is not signed in yet gets in too"


def test_a_request_of_somebody_signed_in_is_not_closed_for_strangers(tmp_path: Path) -> None:
    """The stream of a page that is open all day is not the one that gives way."""
    with (
        console_site(tmp_path, options=BEHIND_PROXY) as console,
        signed_in(console, "lead") as lead,
        lead.stream("GET", "/api/events") as stream,
        crowd(console, 60, HALVES["half a header"]) as strangers,
    ):
        assert stream.status_code == 200
        eventually(lambda: closed_among(strangers) >= 40, "strangers give way")
        console.daemon.has_changed.set()
        next(stream.iter_raw())
        assert pauses(lead, console)


@pytest.mark.parametrize("options", [CROWDED, BEHIND_PROXY], ids=["direct", "behind a proxy"])
def test_acts_that_one_session_never_finishes_give_way(tmp_path: Path, options: ConsoleOptions) -> None:
    """An act is counted once its body is there, so half of one must not keep its place."""
    with console_site(tmp_path, options=options) as console, signed_in(console, "officer") as officer:
        officer.get("/live")
        cookies = "; ".join(f"{name}={value}" for name, value in officer.cookies.items())
        half = f"POST /api/calls/x/pause HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\nContent-Length: 100\r\n\r\n{{"
        with signed_in(console, "lead") as lead, crowd(console, 40, half.encode()) as halves:
            assert pauses(lead, console)
            eventually(lambda: closed_among(halves) >= 24, "those over the limit are closed")
            assert pauses(lead, console)


def test_what_a_stranger_sends_is_kept_in_memory_in_small_only(tmp_path: Path) -> None:
    """A body is read before it is known who sends it: of an upload nobody reads a megabyte for a stranger."""

    def sends(browser: Browser) -> int:
        data, files = {"csrf": "x", "recording": "x"}, {"file": ("a.txt", b"a" * 100_000)}
        return browser.post("/cases/x/transcript-file", data=data, files=files).status_code

    with console_site(tmp_path) as console, signed_in(console, "lead") as lead:
        with console.browser() as stranger:
            stranger.cookies.set("recorder", "made-up")
            assert sends(stranger) == 413
        assert sends(lead) != 413


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clock of the limits stand still: a busy machine must not let more through than an idle one."""
    monkeypatch.setattr("recorder.web.app.RateLimits", partial(RateLimits, clock=lambda: 0.0))


@pytest.mark.usefixtures("still")
def test_a_flood_from_the_proxys_address_stops_nobody_who_is_signed_in(tmp_path: Path) -> None:
    """The limit of an address is used up; a session has its own, however long ago it was last used."""
    options = replace(BEHIND_PROXY, requests_per_s=0.1, acts_per_s=0.1)
    with console_site(tmp_path, options=options) as console, signed_in(console, "lead") as lead:
        with console.browser() as stranger:
            stranger.cookies.set("recorder", "made-up")
            flood = [stranger.post(f"/api/calls/{CALL}/pause").status_code for _ in range(40)]
            assert flood[-1] == 429
        assert pauses(lead, console)


@pytest.mark.usefixtures("still")
def test_a_session_that_has_ended_is_a_stranger_again(tmp_path: Path) -> None:
    options = replace(WITHOUT_SECOND_FACTOR, requests_per_s=1.0, acts_per_s=1.0)
    with console_site(tmp_path, options=options) as console, signed_in(console, "lead") as lead:
        assert pauses(lead, console)
        console.deps.sessions.end_all("lead")
        flood = [lead.get("/api/calls").status_code for _ in range(150)]
        assert 401 in flood
        assert flood[-1] == 429


def test_one_session_takes_no_more_than_its_share(tmp_path: Path) -> None:
    options = replace(BEHIND_PROXY, max_connections=200, max_requests_per_session=8)
    with console_site(tmp_path, options=options) as console, signed_in(console, "lead") as lead:
        lead.get("/live")
        with ExitStack() as stack:
            codes = [stack.enter_context(lead.stream("GET", "/api/events")).status_code for _ in range(9)]
            assert codes == [200] * 8 + [429]
            assert pauses(lead, console), "an act on a call is never one too many"


@pytest.mark.parametrize("header", ["Cookie", "Authorization"])
def test_what_else_a_request_says_gives_a_session_no_second_share(tmp_path: Path, header: str) -> None:
    """Each other cookie, or token that a page does not look at, made a session look like another one."""
    options = replace(BEHIND_PROXY, max_connections=200, max_requests_per_session=8)
    with console_site(tmp_path, options=options) as console, signed_in(console, "lead") as lead, ExitStack() as stack:
        lead.get("/live")
        own = "; ".join(f"{name}={value}" for name, value in lead.cookies.items())
        path = "/api/events" if header == "Cookie" else "/live/changes"
        codes = [
            stack.enter_context(
                lead.stream("GET", path, headers={header: f"{own}; other={n}" if header == "Cookie" else f"Bearer {n}"})
            ).status_code
            for n in range(9)
        ]
        assert codes == [200] * 8 + [429]


def test_streams_leave_room_for_acts(tmp_path: Path) -> None:
    with console_site(tmp_path, options=BEHIND_PROXY) as console, ExitStack() as stack:
        people = [stack.enter_context(signed_in(console, name)) for name in ("lead", "dpo")]
        for person in people:
            person.get("/live")
        codes = [
            stack.enter_context(person.stream("GET", "/api/events")).status_code for person in people for _ in range(7)
        ]
        assert codes == [200] * 12 + [503] * 2, "three quarters of 16"
        assert pauses(people[0], console)


def test_half_a_handshake_is_closed_and_gives_way(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """asyncio's own listening waits a minute for a handshake, and counts none of them."""
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("console", ips=["127.0.0.1"])
    files = TlsFiles(certificate=Path(certificate), key=Path(key))
    trusted = ssl.create_default_context(cafile=str(authority.ca))
    caplog.set_level(logging.ERROR, "asyncio")
    with console_site(tmp_path / "site") as console:
        app = create_app(replace(console.deps, is_tls=True))
        limits = ConnectionLimits(most=8, most_per_address=4, header_s=LONG_S)
        with serving(
            server_config(app, host="127.0.0.1", port=0, tls=files, connections=ConsoleConnections(limits))
        ) as server:
            url = https_url(server)
            with ExitStack() as stack:
                strangers = [stack.enter_context(connected(url)) for _ in range(30)]
                for one in strangers[::2]:
                    one.sendall(b"\x16\x03\x01")
                assert httpx2.get(f"{url}/sign-in", verify=trusted, timeout=HANGS_S).status_code == 200
                eventually(lambda: closed_among(strangers) >= 26, "those over the limit are closed")
        hurried = ConnectionLimits(header_s=0.2)
        with serving(
            server_config(app, host="127.0.0.1", port=0, tls=files, connections=ConsoleConnections(hurried))
        ) as server:
            url = https_url(server)
            with connected(url) as stranger:
                wait_closed(stranger)
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []
