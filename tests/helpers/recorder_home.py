"""A recorder as its users have it: a home made by `recorder init`, a daemon that is a process of its own.

Notices are a second of tone, so that a test need not listen to a speech. Everything goes through the command line and
the daemon's socket.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2

from benchmarks.ports import free_port, free_range
from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.requests import Requests
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings.home_stores import open_index, open_reader
from recorder.rules.requesting import Category
from storage.encoding import CopyFormat
from storage.epochs import month_of
from storage.export import export
from storage.index import Index
from storage.rows import row_to_json
from storage.types import Search
from tests.helpers import preloaded, report
from tests.helpers.accounts import CHEAP, appoint_deputy
from tests.helpers.grants import keep_leave
from tests.helpers.home_acts import HomeActs
from tests.helpers.home_template import (
    HOP_PORT,
    MEDIA_PORTS,
    NOTICE_HZ,
    NOTICE_S,
    SECOND_HZ,
    SECOND_S,
    SIP_PORT,
    home_template,
    tone_file,
)
from tests.helpers.networks import Network
from tests.helpers.recorder_commands import ADMIN, HEARER, PASSWORD, must, run, run_apart
from tests.helpers.starvation import waited_s
from tests.helpers.waiting import HANGS_S, eventually
from tests.helpers.wave_file import wave_channels

__all__ = [
    "ADMIN",
    "EXTENSIONS",
    "HANGS_S",
    "HEARER",
    "NOTICE_HZ",
    "NOTICE_S",
    "PASSWORD",
    "ROOT",
    "SECOND_HZ",
    "SECOND_S",
    "Edits",
    "RecorderHome",
    "contents",
    "eventually",
    "must",
    "recorder_home",
    "run",
    "run_apart",
    "tone_file",
]
ROOT = Path(__file__).parents[2]
_ASKED_ANYHOW_S = 1.0
"""How long the index is not asked again while its file stays as it is: clocks of files are coarse."""
EXTENSIONS = ("2001:alice:Revenues", "2002:bob:Revenues", "3001:carol:Queue")
Edits = Sequence[tuple[str, str]]


def contents(root: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of a home in which a daemon runs; one that it renames or removes meanwhile is passed over."""
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            with contextlib.suppress(FileNotFoundError):
                if path.is_file():
                    yield path, path.read_bytes()


class RecorderHome(HomeActs):
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
        super().__init__(self.root)
        self.user: preloaded.User | None = None
        """As whom the daemon runs; None is as the tests do."""
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        first, last = free_range(ports + 2)
        self.sip, self.media_ports = (host, first), (first + 2, last)
        self.log = folder / "daemon.log"
        report.watch(self)
        self._is_started_anew = is_started_anew
        self._network = None if network is None else network.path
        self._asking = threading.Lock()
        self._known_index: tuple[tuple[bytes, Path, int], Index] | None = None
        hop, _, port = next_hop.rpartition(":")
        shutil.copytree(home_template(host, hop, tuple(extensions), month_of(utc_now())) / "home", self.root)
        self.edit(f"{host}:{SIP_PORT}", f"{host}:{first}")
        self.edit(f"{hop}:{HOP_PORT}", f"{hop}:{port}")
        self.edit("[{}, {}]".format(*MEDIA_PORTS), "[{}, {}]".format(*self.media_ports))
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

    # --- recordings, and who may hear them

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
        category = Category.AUTHORISED if account == HEARER else Category.COMPLAINT
        until = utc_now() + timedelta(days=7)
        keep_leave(Requests(engine, now=utc_now), account, *recordings, until=until, category=category)
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
