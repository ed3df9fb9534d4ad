"""A console on a real port, with real files, and a daemon's socket that answers as a test says."""

import asyncio
import atexit
import functools
import inspect
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx2
import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import update
from starlette.types import ASGIApp, Receive, Scope, Send

from recorder.access.accounts import People
from recorder.access.database import AuditNote, open_accounts, open_people
from recorder.access.sessions import Sessions
from recorder.access.tables import accounts, metadata
from recorder.common.home import Home
from recorder.common.problem_answers import install
from recorder.common.problems import ProblemError
from recorder.config.openid_options import OpenIdOptions
from recorder.config.settings import Config
from recorder.config.settings import Console as ConsoleOptions
from recorder.config.settings import Storage as StorageOptions
from recorder.control.http_connections import ConsoleConnections
from recorder.control.peercred import PeerCredProtocol, user_name
from recorder.permissions import Person, Role
from recorder.rules.policy import Service
from recorder.rules.requesting import AccessRequest
from recorder.rules.signing_in import SecondFactor
from recorder.web.app import create_app
from recorder.web.auth import Gatekeeper
from recorder.web.deps import ConsoleDeps
from recorder.web.rates import session_cookie
from recorder.web.server import server_config
from recorder.web.wiring import open_console
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.database import Database, sqlite_url
from storage.database_copy import copy_from_file
from storage.index import Index
from storage.reader import open_recording
from storage.rows import row_from_json
from tests.helpers.accounts import CHEAP, MAKER, PASSWORD, appoint_deputy
from tests.helpers.grants import give_leave
from tests.helpers.recorder_home import HANGS_S
from tests.helpers.storage_home import ID, Site, row

CALL = "20261125T090000Z-2001-aaaaaa"
SAID = f'event: call\ndata: {{"call": "{CALL}"}}\n\n'.encode()
WITHOUT_SECOND_FACTOR = ConsoleOptions(second_factor=SecondFactor.OFF)


_DAEMON = "recorder.tests.daemon"
"""In the scope of a request: the `Daemon` that was asked."""
NO_TLS = False
"""For ``verify`` of httpx2 where a console speaks HTTP: to read the system's certificates takes 8 ms."""


class Daemon:
    """The other end of the daemon's socket: keeps what it was sent."""

    def __init__(self) -> None:
        self.state = "recording"
        self.second_message = "ready"
        self.heard: list[tuple[str, str | None, str | None, dict[str, Any]]] = []
        self.release = threading.Event()
        self.is_stalled = False
        self.agents_rows: list[dict[str, Any]] = [
            {
                "extension": "2001",
                "operator": "<b>Ann</b>",
                "service": "Revenues",
                "team": "Revenues",
                "is_signed_on": False,
            }
        ]
        self.takeovers: list[dict[str, Any]] = []
        self.said: dict[str, Any] = {
            "status": "ok", "alarms": {}, "sip": "udp:127.0.0.1:5060", "calls": 1, "counts": {"recorded": 7},
            "retention": {"last_success": "2026-11-24T02:30:00Z", "problem": "", "stopped": "", "unconfirmed": [],
                          "next": None},
            "audit": {"late_entries": 0}, "names_not_resolved": [], "carriage": {}, "notices": [],
            "disk": {"free_bytes": 750 * 10**9, "size_bytes": 1000 * 10**9, "left_s": 86400 * 41.0},
            "writer": {"lag_s": 0.0, "late_periods": 0},
            "call_thread": {"longest_stall_ms": 140.0, "longest_stall_lately_ms": 20.0, "stalls_over_100_ms": 3},
        }  # fmt: skip
        self.drain: dict[str, Any] = {"state": "running", "since": None, "calls": 1, "refused": 0, "left_s": None}
        self.has_changed = threading.Event()
        self.requests: list[dict[str, Any]] = []

    @property
    def app(self) -> ASGIApp:
        """What answers at its socket."""

        async def asked(scope: Scope, receive: Receive, send: Send) -> None:
            await _daemons_app()({**scope, _DAEMON: self}, receive, send)

        return asked

    def health(self) -> dict[str, Any]:
        return self.said

    def draining(self) -> dict[str, Any]:
        return self.drain

    def calls(self) -> dict[str, Any]:
        if self.is_stalled:
            self.release.wait(30)
        return {"calls": self.calls_rows()}

    def calls_rows(self) -> list[dict[str, Any]]:
        return [self._call()]

    def _call(self) -> dict[str, Any]:
        return {
            "call": CALL, "id": CALL, "state": self.state, "reasons": [], "position_s": 1.5, "extension": "2001",
            "operator": "<b>Ann</b>", "phase": "joined", "second_message": self.second_message,
            "extensions": ["2001"], "operators": ["<b>Ann</b>"], "teams_now": ["Revenues"],
            "extensions_now": ["2001"], "operators_now": ["<b>Ann</b>"], "configured_now": ["2001"],
            "caller": "02079460000", "called": "2001",
            "started_at": "2026-07-01T09:00:00Z",
            "team": "Revenues", "state_since": "2026-07-01T09:00:05Z", "pause_max_s": 600.0,
            "paused_s": 1.0 if self.state == "paused" else None,
            "opt_out": {"id": self.requests[-1]["id"], "state": self.requests[-1]["state"]} if self.requests else None,
        }  # fmt: skip

    def agents(self) -> dict[str, Any]:
        if self.is_stalled:
            self.release.wait(30)
        return {"agents": self.agents_rows, "takeovers": self.takeovers}

    def seat(self, request: Request, number: str, act: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        self._hear(request, f"{act} {number}", body or {})
        if number == "2010" and act == "sign-on":
            return {
                "extension": number, "code": "271828", "keys": "*7271828#", "instead_of": "Bob",
                "good_until": "2026-07-01T09:15:00Z",
            }  # fmt: skip
        return {"extension": number}

    def opt_outs(self) -> dict[str, Any]:
        return {"opt_outs": self.requests}

    def ask(self, request: Request, call: str, body: dict[str, Any]) -> dict[str, Any]:
        self._hear(request, f"opt-out-request {call}", body)
        asked = {
            "id": f"{len(self.requests):08x}", "call": call, "state": "raised", "team": "Revenues",
            "extensions": ["2001"], "operators": ["<b>Ann</b>"], "teams_now": ["Revenues"],
            "extensions_now": ["2001"], "operators_now": ["<b>Ann</b>"], "configured_now": ["2001"],
            "raised_by": request.headers["x-recorder-actor"],
            "raised_at": "2026-07-01T09:01:00Z", "reason": body["reason"], "decided_by": None, "decided_at": None,
            "erase_on_opt_out": False,
        }  # fmt: skip
        self.requests.append(asked)
        return asked

    def decide(self, request: Request, request_id: str, act: str, body: dict[str, Any]) -> dict[str, Any]:
        self._hear(request, f"{act} {request_id}", body)
        asked = next((one for one in self.requests if one["id"] == request_id), None)
        if asked is None:
            raise ProblemError(404, "no such request.")
        if asked["state"] != "raised":
            raise ProblemError(409, "decided already.")
        asked["state"] = {"grant": "granted", "decline": "declined"}[act]
        if act == "grant":
            self.state = "opted_out"
            return {"call": CALL, "state": self.state, "reasons": [], "position_s": 2.0, "id": request_id}
        return asked

    async def events(self) -> StreamingResponse:
        async def flow() -> Any:
            yield b": listening\n\n"
            yield SAID
            while not self.release.is_set():
                if self.has_changed.is_set():
                    self.has_changed.clear()
                    yield SAID
                if not self.is_stalled:
                    yield b": still here\n\n"
                await asyncio.sleep(0.1)

        return StreamingResponse(flow(), media_type="text/event-stream")

    def act(self, request: Request, call: str, act: str, body: dict[str, Any]) -> dict[str, Any]:
        if call != CALL:
            raise ProblemError(404, "no such call.")
        if body.get("extensions") and "2001" not in body["extensions"]:
            raise ProblemError(403, "not of these extensions.")
        self._hear(request, f"{act} {call}", body)
        return self._acted(act)

    def _acted(self, act: str) -> dict[str, Any]:
        if self.is_stalled:
            self.release.wait(30)
        if act == "second-message":
            if self.second_message == "playing":
                raise ProblemError(409, "The caller is hearing the second message already.")
            self.second_message = "playing"
            return {"call": CALL, "state": self.state, "reasons": [], "position_s": 2.0}
        self.state = {"pause": "paused", "resume": "recording", "opt-out": "opted_out", "forgot": "paused"}[act]
        return {"call": CALL, "state": self.state, "reasons": [], "position_s": 2.0}

    def act_on_extension(self, request: Request, number: str, act: str, body: dict[str, Any]) -> dict[str, Any]:
        self._hear(request, f"{act} {number}", body)
        return {"calls": [self._acted(act)] if number == "2001" else []}

    def _hear(self, request: Request, what: str, body: dict[str, Any]) -> None:
        client = (request.client.host, request.client.port) if request.client else None
        self.heard.append((what, request.headers.get("x-recorder-actor"), user_name(client), body))


def _daemon_of(request: Request) -> Daemon:
    found = request.scope[_DAEMON]
    assert isinstance(found, Daemon)
    return found


@functools.cache
def _daemons_app() -> FastAPI:
    """Return the routes of every `Daemon`, made once a process: that takes 8 ms."""
    app = FastAPI()
    install(app)
    for method, path, answer in (
        ("GET", "/api/calls", Daemon.calls), ("GET", "/api/agents", Daemon.agents),
        ("POST", "/api/agents/{number}/{act}", Daemon.seat), ("GET", "/api/events", Daemon.events),
        ("GET", "/api/health", Daemon.health), ("GET", "/api/drain", Daemon.draining),
        ("GET", "/api/opt-outs", Daemon.opt_outs), ("POST", "/api/opt-outs/{request_id}/{act}", Daemon.decide),
        ("POST", "/api/calls/{call}/opt-out-request", Daemon.ask), ("POST", "/api/calls/{call}/{act}", Daemon.act),
        ("POST", "/api/extensions/{number}/{act}", Daemon.act_on_extension),
    ):  # fmt: skip
        app.add_api_route(path, _route(answer), methods=[method])
    return app


def _route(answer: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method of `Daemon` as a route, whose ``self`` is the daemon that was asked."""
    signature = inspect.signature(answer)
    itself, *others = signature.parameters.values()
    itself = itself.replace(annotation=Annotated[Any, Depends(_daemon_of)])
    answer.__signature__ = signature.replace(parameters=[itself, *others])  # type: ignore[attr-defined]
    return answer


@contextmanager
def serving(config: uvicorn.Config, release: threading.Event | None = None) -> Iterator[uvicorn.Server]:
    """Run a server on a thread until the block ends."""
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="uvicorn")
    thread.start()
    try:
        deadline = time.monotonic() + HANGS_S
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            assert time.monotonic() < deadline, "the server did not start in time"
            time.sleep(0.01)
        yield server
    finally:
        if release is not None:
            release.set()
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


class Console:
    """A running console and its parts."""

    def __init__(self, url: str, deps: ConsoleDeps, home: Home, daemon: Daemon, gate: Gatekeeper) -> None:
        self.url = url
        self.gate = gate
        self.deps = deps
        self.home = home
        self.daemon = daemon
        self.people = deps.people

    def browser(self) -> "Browser":
        return Browser(self.url, self.deps.sessions)

    def person(self, name: str) -> Person:
        """Return whose account it is."""
        found = self.people.find(name)
        assert found is not None, f"{name} has no account"
        return found

    def give_leave(self, account: str = "dpo", recording: str = ID, **how: Any) -> AccessRequest:
        """Have somebody ask to hear a recording and take copies, and have it granted."""
        if account == "dpo":
            appoint_deputy(self.deps.hearing.appointments, "lead")
        return give_leave(self.deps.hearing, account, recording, **how)

    def set_password(self, account: str, password: str) -> None:
        """Give somebody another password, as the administrator does."""
        hashed = self.people.hash_of(account, password)
        self.deps.proposals.set_password("admin", account, hashed, reason="forgotten", enter=lambda _: None)

    def enter(self, note: AuditNote) -> None:
        """Write down what a test changes past console and shell, as they do."""
        AuditLog(self.home.audit).append(note.act, MAKER, note.subject, dict(note.details))

    def entries(self, act: str = "") -> list[AuditEntry]:
        """Return what the site wrote into its audit log; not the accounts that its makers wrote there."""
        found = AuditLog(self.home.audit).entries()
        return [entry for entry in found if act in ("", entry.act) and entry.actor != MAKER]


class Browser(httpx2.Client):
    """Follows forms as a browser does, by the fields that the page has.

    With the sessions of the console it reads there, and not on a page, which secret its forms have.
    """

    def __init__(self, url: str, sessions: Sessions | None = None) -> None:
        super().__init__(base_url=url, timeout=HANGS_S, verify=NO_TLS)
        self.csrf = ""
        self._sessions = sessions

    def sign_in(self, name: str = "dpo", password: str = PASSWORD) -> httpx2.Response:
        form = self.get("/sign-in")
        answer = self.post("/sign-in", data={"name": name, "password": password, "csrf": csrf_of(form)})
        if answer.status_code == 303 and not self._has_begun():
            self.csrf = csrf_of(self.get("/recordings"), or_else="")
            self.csrf = self.csrf or csrf_of(self.get("/accessibility"))
        return answer

    def _has_begun(self) -> bool:
        secret = self.cookies.get(session_cookie(is_tls=False)) or ""
        session = self._sessions.find(secret) if self._sessions is not None else None
        if session is None:
            return False
        self.csrf = session.csrf
        self.get("/api/session")  # so that the console knows the session, and takes more of it than of strangers
        return True

    def submit(self, path: str, **fields: str) -> httpx2.Response:
        return self.post(path, data={"csrf": self.csrf, **fields})


@contextmanager
def signed_in(console: Console, name: str) -> Iterator[Browser]:
    """Somebody's browser, for pages and API alike.

    Its session is begun here, and the console is asked once, so that it knows the session from then on: the three pages
    that `Browser.sign_in` asks for take 25 ms.
    """
    sessions = console.deps.sessions
    with console.browser() as browser:
        secret = sessions.start(name)
        found = sessions.find(secret)
        assert found is not None
        browser.cookies.set(console.gate.cookies.session, secret, domain="127.0.0.1")
        browser.csrf = browser.headers["X-CSRF-Token"] = found.csrf
        assert browser.get("/api/session").status_code == httpx2.codes.OK
        yield browser


def refused(answer: httpx2.Response, status: int) -> str:
    """Return the sentence of an answer that must have this status."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def csrf_of(page: httpx2.Response, or_else: str | None = None) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    if found is None:
        assert or_else is not None, f"no form in {page.status_code}: {page.text[:300]}"
        return or_else
    return found[1]


@functools.cache
def _template() -> Path:
    """Make a home with one recording and people's accounts; made once a process, copied by every site.

    Copies share the keys.
    """
    folder = Path(tempfile.mkdtemp(prefix="recorder-site-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    site = Site(folder)
    home = Home(site.home)
    _path, finished = site.record()
    index = Index(sqlite_url(home.index))
    segments = [{"start_s": 0.0, "end_s": 3.0, "kind": "recording", "reason": "", "by": ""}]
    fields = row(
        path=finished.path, bytes=finished.bytes, sha256=finished.sha256, duration_s=3.0, recorded_s=3.0,
        segments=segments,
    )  # fmt: skip
    index.save(row_from_json({**fields, "operator": "Olive Officer", "caller": "<i>02079460000</i>"}))
    index.close()
    engine = open_people(home.people)
    people = People(engine, now=lambda: datetime.now(UTC), hasher=CHEAP)
    people.add("dpo", PASSWORD, display_name="Dora Dpo", roles={Role.DPO})
    people.add("officer", PASSWORD, display_name="Olive Officer", roles={Role.OFFICER})
    people.add("other", PASSWORD, display_name="Otto Other", roles={Role.OFFICER})
    people.add("admin", PASSWORD, roles={Role.ADMIN})
    people.add("ict", PASSWORD, roles={Role.ICT})
    people.add("lead", PASSWORD, roles={Role.TEAM_LEADER}, teams=["Revenues"])
    people.add("revenues", PASSWORD, display_name="Rhea Revenues", roles={Role.MANAGER}, teams=["Revenues"])
    people.add("housing", PASSWORD, display_name="Hugo Housing", roles={Role.MANAGER}, teams=["Housing"])
    engine.dispose()
    return folder


@contextmanager
def console_deps(
    folder: Path, *, now: Any = None, options: ConsoleOptions = WITHOUT_SECOND_FACTOR,
    openid: OpenIdOptions | None = None, database_url: str | None = None,
    clock_s: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[Home, ConsoleDeps]]:  # fmt: skip
    """What a console is built on: a home with one recording and the people dpo, officer, admin, ict.

    With ``database_url`` accounts and index are on a server, and no file of them is in the home.
    """
    shutil.copytree(_template(), folder, dirs_exist_ok=True)
    site = Site(folder)
    home = Home(site.home)
    clock = now or (lambda: datetime.now(UTC))
    if database_url is not None:
        _move_databases(home, database_url)
    config = Config(
        console=options,
        openid=openid or OpenIdOptions(),
        service=(Service(name="Revenues"),),
        storage=StorageOptions(index_url=database_url, accounts_url=database_url),
    )
    with open_console(home, config, now=clock, clock=clock_s) as real:
        # private keys lie apart from the home, and hashing is cheap: the rest is as in production
        yield home, _with(real, site, clock, database_url)


@contextmanager
def console_site(
    folder: Path, *, is_daemon_up: bool = True, now: Any = None, options: ConsoleOptions = WITHOUT_SECOND_FACTOR,
    openid: OpenIdOptions | None = None, port: int = 0, database_url: str | None = None, name: str = "",
) -> Iterator[Console]:  # fmt: skip
    """A site with one recording and the people dpo, officer, admin, ict; passwords are PASSWORD."""
    daemon = Daemon()
    with console_deps(folder, now=now, options=options, openid=openid, database_url=database_url) as (home, real):
        deps = replace(real, site=name or real.site)
        daemon_server = uvicorn.Config(
            daemon.app, uds=str(home.socket), http=PeerCredProtocol, lifespan="off", log_config=None, ws="none",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        app = create_app(deps)
        gate = app.state.parts.gate
        connections = ConsoleConnections(deps.connection_limits)
        config = server_config(app, host="127.0.0.1", port=port, connections=connections)
        if is_daemon_up:
            with serving(daemon_server, daemon.release), serving(config, daemon.release) as server:
                yield Console(url_of(server), deps, home, daemon, gate)
        else:
            with serving(config) as server:
                yield Console(url_of(server), deps, home, daemon, gate)


def _move_databases(home: Home, url: str) -> None:
    before, after = open_people(home.people), open_accounts(home, url)
    with before.begin() as old, after.begin() as new:
        for table in metadata.sorted_tables:
            if rows := [dict(row) for row in old.execute(table.select()).mappings()]:
                new.execute(table.insert(), rows)
    before.dispose()
    home.people.unlink()
    with closing(Database(url)) as index:
        copy_from_file(home.index, index)
    home.index.unlink()


def _with(real: ConsoleDeps, site: Site, clock: Any, database_url: str | None) -> ConsoleDeps:
    engine = open_accounts(Home(site.home), database_url)
    with engine.begin() as connection:
        connection.execute(update(accounts).values(created_s=clock().timestamp()))
    people = People(engine, now=clock, hasher=CHEAP, seals=real.people.seals)
    eraser = replace(real.eraser, keys=site.epochs)
    repos = replace(
        real.copy_repositories,
        open=lambda row: open_recording(site.vault.locate(row.path or ""), site.home, site.epochs),
    )
    hearing = replace(real.hearing, people=people)
    cases = replace(real.cases, hearing=hearing)
    return replace(real, people=people, copy_repositories=repos, eraser=eraser, hearing=hearing, cases=cases)


def url_of(server: uvicorn.Server) -> str:
    """Return the address of a server that runs."""
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    return f"http://{host}:{port}"
