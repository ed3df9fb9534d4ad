"""A recorder as its users have it: a home made by `recorder init`, a daemon that is a process of its own.

Notices are a second of tone, so that a test need not listen to a speech. Everything goes through the command line and
the daemon's socket.
"""

import atexit
import contextlib
import functools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import numpy as np
import soundfile
from typer.testing import CliRunner

from benchmarks.ports import free_port, free_range
from recorder.__main__ import LASTING
from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.requests import Requests
from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings.home_stores import open_index, open_reader
from storage.encoding import CopyFormat
from storage.epochs import month_of
from storage.export import export
from storage.index import Index
from storage.rows import row_to_json
from storage.types import Search
from tests.helpers import preloaded, report
from tests.helpers.accounts import CHEAP, appoint_deputy, as_of_before
from tests.helpers.grants import keep_leave
from tests.helpers.networks import Network
from tests.helpers.signed_in import environment_for, signing
from tests.helpers.starvation import stopwatch, waited_s
from tests.helpers.unix_transport import UnixTransport
from tests.helpers.wave_file import wave_channels

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
NOTICE_S, SECOND_S = 1.0, 0.6
NOTICE_HZ, SECOND_HZ = 700, 500
ADMIN, PASSWORD = "founder", "seven tall cranes over the harbour"
HEARER = "hilda"
"""A manager, who hears and takes copies once they have leave; whoever changes accounts does neither."""
_SIP_PORT, _HOP_PORT, _MEDIA_PORTS = 5001, 5002, (30_000, 30_098)
"""Of the template; every home has its own."""
HANGS_S = 60.0
"""How long is waited for what has no time of its own: no expectation, only the end of a test that hangs."""
_ASKED_ANYHOW_S = 1.0
"""How long the index is not asked again while its file stays as it is: clocks of files are coarse."""
_REPEATABLE = ("pause", "drain", "reload")
"""Acts that may be asked for again when the daemon got no CPU to confirm them."""
CONFIRM_S = 1.5
"""How long the daemon waits for an act before it answers 504."""
STARVED_S = 0.5
"""How long the daemon waits for a CPU meanwhile, at least, if that is the reason."""
PERSONAL = ("opt-out", "opt-out-request", "grant", "decline", "forgot", "second-message")
EXTENSIONS = ("2001:alice:Revenues", "2002:bob:Revenues", "3001:carol:Queue")
Edits = Sequence[tuple[str, str]]


def eventually(
    probe: Callable[[], T | None],
    what: str,
    *,
    timeout_s: float = HANGS_S,
    besides: Callable[[], float] = lambda: 0.0,
) -> T:
    """Poll until ``probe`` gives something true and return it; fails naming ``what``.

    ``timeout_s`` is given where how long it takes is what is tested; the default only ends a test that hangs.
    ``besides``: seconds that do not count, as those in which the kernel ran others in the place of who is waited for.
    """
    began = asked_s = time.monotonic()
    while not (value := probe()):
        passed, uncounted = time.monotonic() - began, besides()
        assert passed - uncounted < timeout_s, f"{what}: not within {timeout_s:g} s, and {uncounted:.1f} s without CPU"
        # A probe that costs CPU, such as opening an index, must not take it from who is waited for.
        time.sleep(min(max(0.04, 2 * (time.monotonic() - asked_s)), 0.25))
        asked_s = time.monotonic()
    return value


def starving(*pids: int) -> Callable[[], bool]:
    """Return what tells whether programs have got so little CPU since now that they could not confirm an act in time.

    What is not confirmed before `CONFIRM_S` has passed, or by programs that ran, has another cause.
    """
    began_s, took_s = time.monotonic(), stopwatch(*pids)

    def has_starved() -> bool:
        passed_s = time.monotonic() - began_s
        return passed_s >= CONFIRM_S and passed_s - took_s() >= STARVED_S

    return has_starved


def contents(root: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of a home in which a daemon runs; one that it renames or removes meanwhile is passed over."""
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()


def tone_file(path: Path, hz: float, seconds: float) -> Path:
    """Write a sine as WAV."""
    ticks = np.arange(int(8000 * seconds))
    soundfile.write(path, 0.3 * np.sin(2 * math.pi * hz * ticks / 8000), 8000)
    return path


@functools.cache
def _template(host: str, hop: str, extensions: tuple[str, ...], month: str) -> Path:
    """Make a folder with a home by the command line, as anybody would; made once, copied by every test.

    Copies share the keys and differ in their ports. A new home has keys for this ``month`` and the next two, so one
    that was made before the end of a month is not copied after it.
    """
    folder = Path(tempfile.mkdtemp(prefix="recorder-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    root, password = folder / "home", folder / "password"
    password.write_text(PASSWORD + "\n")
    nominated = [word for extension in extensions for word in ("--extension", extension)]
    must(
        "init", str(root), "--sip", f"{host}:{_SIP_PORT}", "--next-hop", f"{hop}:{_HOP_PORT}", *nominated,
        "--media-ports", "{}-{}".format(*_MEDIA_PORTS), "--console", "off",
        "--admin", ADMIN, "--password-file", str(password),
    )  # fmt: skip
    # The administrator is the data protection officer too, as before these roles excluded each other: one account
    # signs in for most commands.
    as_of_before(root / "people.sqlite", ADMIN, "admin,dpo")
    engine = open_people(root / "people.sqlite")
    People(engine, now=utc_now, hasher=CHEAP).add(HEARER, PASSWORD, roles={Role.MANAGER}, teams=("Revenues", "Queue"))
    engine.dispose()
    assert (root / "index.sqlite").exists()  # else the first process of each home would load Alembic to make one
    config_file = root / "recorder.toml"
    text = config_file.read_text()
    required = 'second_factor = "required"'
    assert required in text
    text = text.replace(required, 'second_factor = "off"')  # its tests have homes of their own
    assert "limit_s = 600.0" in text
    text = text.replace("limit_s = 600.0", "limit_s = 0.0")  # tests end with calls in progress
    # Sites of before `init` wrote a team: everybody's. Tests of teams give theirs.
    text = re.sub(r'^team = ".*"$', 'team = ""', text, flags=re.MULTILINE)
    # The tests press the keys of sites whose file names none.
    config_file.write_text(text.replace('keys = "*5"', 'keys = "*1"').replace('keys = "*6"', 'keys = "*2"'))
    for name, hz, seconds in (("first", NOTICE_HZ, NOTICE_S), ("second", SECOND_HZ, SECOND_S)):
        sound = str(tone_file(folder / f"{name}.wav", hz, seconds))
        must("notice", "set", name, sound, "-C", str(root), "--as", ADMIN, "--password-file", str(password))
    return folder


def run_apart(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `recorder` as a process to its end, whatever that is."""
    return preloaded.run(words, stdin=stdin, timeout_s=60)


def run(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command of `recorder` in this process to its end; what a program would end with a traceback is raised.

    A command that only reads, and names nobody, is the administrator's; one of agents is the manager's.
    """
    assert words[0] not in (*LASTING, "up", "demo"), f"`recorder {words[0]}` wants a process of its own: run_apart"
    environment = environment_for(words, reader=ADMIN, at_phones=HEARER)
    result = CliRunner().invoke(app, words, input=stdin, prog_name="recorder", env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return subprocess.CompletedProcess(words, result.exit_code, result.stdout, result.stderr)


def must(*words: str) -> str:
    """Run a command that must succeed; returns its output."""
    done = run(*words)
    assert done.returncode == 0, f"recorder {words[0]}: exit {done.returncode}: {done.stderr[-2000:]}"
    return done.stdout


class RecorderHome:
    """One home, and at most one daemon in it; `recorder_home` makes it and ends the daemon."""

    def __init__(
        self,
        folder: Path,
        *,
        next_hop: str,
        host: str = "127.0.0.1",
        extensions: Sequence[str] = EXTENSIONS,
        ports: int = 400,
        edits: Edits = (),
        is_started_anew: bool = False,
        network: Network | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.root = folder / "home"
        self.user: preloaded.User | None = None
        """As whom the daemon runs; None is as the tests do."""
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        first, last = free_range(ports + 2)
        self.sip, self.media_ports = (host, first), (first + 2, last)
        self.log = folder / "daemon.log"
        report.watch(self)
        self.daemon: subprocess.Popen[bytes] | preloaded.Daemon | None = None
        self.unconfirmed: list[str] = []
        """Acts that were not confirmed because the daemon got no CPU: a test looked at the state, or asked again."""
        self._is_started_anew = is_started_anew
        self._network = None if network is None else network.path
        self._asking = threading.Lock()
        self._known_index: tuple[tuple[bytes, Path, int], Index] | None = None
        self.live = httpx2.Client(
            transport=UnixTransport(self.root / "recorder.sock"), base_url="http://recorder", timeout=HANGS_S,
            event_hooks=signing(self.root),
        )  # fmt: skip
        hop, _, port = next_hop.rpartition(":")
        shutil.copytree(_template(host, hop, tuple(extensions), month_of(utc_now())) / "home", self.root)
        self.edit(f"{host}:{_SIP_PORT}", f"{host}:{first}")
        self.edit(f"{hop}:{_HOP_PORT}", f"{hop}:{port}")
        self.edit("[{}, {}]".format(*_MEDIA_PORTS), "[{}, {}]".format(*self.media_ports))
        for old, new in edits:
            self.edit(old, new)

    # --- configuration

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.root / "recorder.toml"

    def edit(self, old: str, new: str) -> None:
        """Replace text of the configuration; fails if it is not there."""
        text = self.config.read_text()
        assert old in text, f"{old!r} is not in the configuration"
        self.config.write_text(text.replace(old, new))

    # --- the daemon

    def start(
        self, *, timeout_s: float = HANGS_S, before: Sequence[str] = (), words: Sequence[str] = (), tries: int = 3,
        script: tuple[Path, *tuple[str, ...]] | None = None,
    ) -> None:  # fmt: skip
        """Start the daemon and wait until it answers; ``before`` wraps the command, as `prlimit` does.

        It is forked from a process that has loaded it, except with ``before`` or ``is_started_anew``. A ``script``, a
        Python program and its first words, is forked so too: it runs the command that follows them.
        """
        said = len(self.said) if self.log.exists() else 0
        command = ["run", "-C", str(self.root), *words]
        if self.user is not None:
            self.daemon = preloaded.start_as(self.user, command, self.log)
        elif script is not None:
            self.daemon = preloaded.start_within(script[0], [*script[1:], "recorder", *command], self.log)
        elif before or self._is_started_anew:
            there = () if self._network is None else ("nsenter", f"--net={self._network}")
            self.daemon = preloaded.start_anew(command, self.log, before=(*there, *before), sources=ROOT)
        else:
            self.daemon = preloaded.start(command, self.log, self._network)
        daemon = self.daemon

        def is_ready() -> bool:
            if daemon.poll() is not None and "cannot listen" in self.said[said:] and tries > 0:
                return True
            assert daemon.poll() is None, f"the daemon ended at its start: {self.log.read_text()[-2000:]}"
            try:
                return self.live.get("/api/health").status_code == httpx2.codes.OK
            except httpx2.ConnectError:
                return False

        # A start is three seconds of CPU: where ten programs share a core, they are half a minute.
        eventually(
            is_ready, "the daemon answers on its socket", timeout_s=timeout_s,
            besides=lambda: waited_s(daemon.pid).get(daemon.pid, 0.0),
        )  # fmt: skip
        if daemon.poll() is not None:  # another program was faster: the port was free when it was chosen
            self._move()
            self.start(timeout_s=timeout_s, before=before, words=words, tries=tries - 1, script=script)

    def _move(self) -> None:
        host, port = self.sip
        self.sip = (host, free_port())
        self.edit(f"{host}:{port}", f"{host}:{self.sip[1]}")

    @property
    def pid(self) -> int:
        """The daemon's process."""
        assert self.daemon is not None
        return self.daemon.pid

    def stop(self, *, timeout_s: float = 25.0) -> int:
        """End the daemon with SIGTERM and return its exit code."""
        assert self.daemon is not None
        self.daemon.terminate()
        return self.daemon.wait(timeout_s)

    def ask_for_reload(self) -> None:
        """Send SIGHUP; what came of it is in the log."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGHUP)

    def kill(self) -> float:
        """End the daemon with SIGKILL; returns the moment (monotonic)."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGKILL)
        moment = time.monotonic()
        self.daemon.wait(10)
        return moment

    def close(self) -> None:
        """End what runs. Idempotent."""
        report.forget(self)
        self.live.close()
        if self.daemon is not None and self.daemon.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait(10)

    @property
    def said(self) -> str:
        """What the daemon wrote to its log."""
        return self.log.read_text()

    # --- the command line

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of `recorder` in this process to its end; what ends with a traceback is raised."""
        return run(*words, stdin=stdin)

    def run_apart(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of `recorder` as a process to its end, whatever that is."""
        return run_apart(*words, stdin=stdin)

    def recorder(self, *words: str) -> str:
        """Run a command that must succeed; returns its output."""
        return must(*words)

    def json(self, *words: str) -> Any:
        """Run a command in this home with ``--json`` and return its document."""
        return json.loads(self.recorder(*words, "-C", str(self.root), "--json"))

    def as_admin(self) -> tuple[str, ...]:
        """Return the options that say who acts."""
        return ("--as", ADMIN, "--password-file", str(self.password_file))

    def as_hearer(self) -> tuple[str, ...]:
        """Return the options that say that somebody acts who may hear, with leave."""
        return ("--as", HEARER, "--password-file", str(self.password_file))

    def as_officer(self, name: str) -> tuple[str, ...]:
        """Return the options of an officer who is named as calls name their operator; makes their account."""
        return self._as(name, Role.OFFICER)

    def as_manager(self, name: str, team: str) -> tuple[str, ...]:
        """Return the options of a manager of a team; makes their account."""
        return self._as(name, Role.MANAGER, team)

    def as_leader(self, name: str) -> tuple[str, ...]:
        """Return the options of a team leader; makes their account."""
        return self._as(name, Role.TEAM_LEADER)

    def _as(self, name: str, role: Role, *teams: str) -> tuple[str, ...]:
        self.add_person(name, role, display_name=name, teams=teams)
        return ("--as", name, "--password-file", str(self.password_file))

    # --- calls and recordings

    def calls(self) -> list[dict[str, Any]]:
        """Return the recorded calls in progress."""
        answer = self.live.get("/api/calls", headers={"X-Recorder-Actor": "tests"})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["calls"]
        return found

    def health(self) -> dict[str, Any]:
        """Return what the daemon says of itself."""
        found: dict[str, Any] = self.live.get("/api/health").raise_for_status().json()
        return found

    def act(self, path: str, *, by: str = "", **body: Any) -> httpx2.Response:
        """Post an act as `act_once`; again, if it may be, as often as the daemon got no CPU to confirm it."""
        if path.rpartition("/")[2] not in _REPEATABLE or self.daemon is None:  # virtual time starves nobody
            return self.act_once(path, by=by, **body)
        deadline_s = time.monotonic() + HANGS_S
        while True:
            has_starved = starving(self.pid)
            answer = self.act_once(path, by=by, **body)
            is_confirmed = answer.status_code != httpx2.codes.GATEWAY_TIMEOUT
            if is_confirmed or not has_starved() or time.monotonic() > deadline_s:
                return answer
            self.unconfirmed.append(path)

    def act_once(self, path: str, *, by: str = "", **body: Any) -> httpx2.Response:
        """Post an act to the daemon's socket, as a person when ``by`` is given.

        What only a person may do is said by a manager of no team who is on no call, unless ``person`` says otherwise;
        an opt-out comes with both statements. A pause and a resume are the officer's of the call or extension, with
        ``as="manager"`` a manager's of their team.
        """
        word = path.rpartition("/")[2]
        if by and word in PERSONAL:
            body = {"person": {"display_name": by, "roles": ["manager"]}, **body}
        if word in ("pause", "resume") and not str(body.get("as", "")).startswith("token:"):
            body = {"person": self._part(path.split("/")[-2], body.get("as", "officer")), **body}
            by = by or body["as"] if "as" in body else by or "officer"
        if by and word in ("opt-out", "grant"):
            body = {"caller_asked": True, "distress_judged": True, **body}
        token = str(body.get("as", ""))
        by = by or (token if token.startswith("token:") else "")
        return self.live.post(path, json=body, headers={"X-Recorder-Actor": by} if by else {})

    def _part(self, call: str, role: str) -> dict[str, Any]:
        """Return the officer of a call or extension, or a manager of its team, as the socket is told of them."""
        found = next((one for one in self.calls() if call in (one["id"], *one["extensions_now"])), None)
        if role == "manager":
            return {"display_name": "a manager", "roles": ["manager"], "teams": found["teams_now"] if found else []}
        number = call if found is None or call != found["id"] else next(iter(found["extensions_now"]), None)
        is_known = found is not None and (call == found["id"] or len(found["extensions_now"]) == 1)
        operators = found["operators_now"] if found is not None and is_known else []
        return {"display_name": next(iter(operators), ""), "roles": ["officer"], "extension": number}

    def rows(self, **search: Any) -> list[dict[str, Any]]:
        """Return rows of the index, newest first, as `recorder recordings list --json` would."""
        with self._asking:  # who closes the index would leave another's connection to nobody
            index = self._index()
            try:
                return [row_to_json(row) for row in index.find(Search(**{"limit": 1000, **search}))]
            finally:
                index.close()  # its connections, not what was worked out for its statements

    def _index(self) -> Index:
        """Return the index that the configuration names: the one of before while both are, for tests ask often."""
        home = Home(self.root)
        key = (self.config.read_bytes(), home.index, home.index.stat().st_ino if home.index.exists() else 0)
        if self._known_index is None or self._known_index[0] != key:
            self._known_index = key, open_index(home, read_config(self.config))
        return self._known_index[1]

    def row_of(
        self, caller: str, *, timeout_s: float = HANGS_S, before: Sequence[tuple[int, int]] = ()
    ) -> dict[str, Any]:
        """Wait until the call from a number is filed; returns its one row.

        ``before``: what `index_state` was while the call went on, so that the index is not asked in vain.
        """
        seen: tuple[list[tuple[int, int]], float] = (list(before), time.monotonic())

        def filed() -> list[dict[str, Any]]:
            nonlocal seen
            written, now = self.index_state(), time.monotonic()
            if written and written == seen[0] and now < seen[1] + _ASKED_ANYHOW_S:
                return []
            seen = (written, now)
            return self.rows(number=caller)

        rows = eventually(filed, f"the call from {caller} is filed", timeout_s=timeout_s)
        assert len(rows) == 1, f"{len(rows)} rows of one call"
        return rows[0]

    def index_state(self) -> list[tuple[int, int]]:
        """Return what differs once the index, if it is a file, was written: to open and ask it takes milliseconds."""
        path = Home(self.root).index
        states = [one.stat() for one in (path, path.with_name(f"{path.name}-wal")) if one.exists()]
        return [(one.st_mtime_ns, one.st_size) for one in states]

    def add_person(self, name: str, *roles: Role, **values: Any) -> None:
        """Make an account by no command, unless it is there; its password is PASSWORD."""
        engine = open_people(Home(self.root).people)
        people = People(engine, now=utc_now, hasher=CHEAP)
        if people.find(name) is None:
            people.add(name, PASSWORD, roles=roles, **values)
        engine.dispose()

    def appoint_deputy(self, name: str) -> None:
        """Have somebody stand in for the data protection officer, by no command."""
        engine = open_people(Home(self.root).people)
        appoint_deputy(Appointments(engine, now=utc_now), name)
        engine.dispose()

    def give_leave(self, *recordings: str, account: str = HEARER) -> None:
        """Keep that somebody was granted to hear recordings and to take copies, for a week."""
        engine = open_people(Home(self.root).people)
        keep_leave(Requests(engine, now=utc_now), account, *recordings, until=utc_now() + timedelta(days=7))
        engine.dispose()

    def exported(self, recording: str) -> tuple[bytes, bytes, dict[str, Any]]:
        """Export a recording with `recorder recordings export`; returns left and right channel and what it said."""
        path = self.root.parent / f"{recording}.exported.wav"
        self.give_leave(recording)
        said = self.json(
            "export", recording, "--format", "g711", "-o", str(path), *self.as_hearer(), "--reason", "checking accuracy"
        )
        left, right, law = wave_channels(path.read_bytes())
        return left, right, {**said, "law": law}

    def copy(self, recording: str) -> tuple[bytes, bytes, str]:
        """Copy a recording byte-exact, as `recorder recordings export` does; returns channels and law."""
        settings, path = read_config(self.config), self.root.parent / f"{recording}.wav"
        index = open_index(Home(self.root), settings)
        try:
            reader = open_reader(Home(self.root), settings, index.get(recording))
        finally:
            index.close()
        export(reader, path, CopyFormat.G711)
        return wave_channels(path.read_bytes())


@contextmanager
def recorder_home(folder: Path, *, is_started: bool = True, **options: Any) -> Iterator[RecorderHome]:
    """Make a home and, unless told otherwise, start its daemon; ends it whatever happens."""
    home = RecorderHome(folder, **options)
    try:
        if is_started:
            home.start()
        yield home
    finally:
        home.close()
