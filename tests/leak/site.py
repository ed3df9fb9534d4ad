"""A recorder for the leak suite: daemon and console as processes, people, a token, and what is heard of calls."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from benchmarks.ports import free_port
from storage.errors import KeyProblemError
from tests.helpers import preloaded, recorder_home
from tests.helpers.console_site import Browser
from tests.helpers.recorder_home import HANGS_S, PASSWORD, RecorderHome, eventually
from tests.helpers.signed_in import signing
from tests.helpers.siprec_client import ATTESTED, HOSTS
from tests.helpers.unix_transport import UnixTransport
from tests.leak.database_server import DatabaseServer
from tests.leak.object_gateway import ObjectGateway
from tests.leak.receivers import Receivers

if TYPE_CHECKING:
    from tests.leak.front import Front

ERASE_S, LOOK_BACK_S = 1.0, 2.5
SERVICES = {"Desk": "2", "Quiet": "3", "Discard": "4", "Masked": "5"}
"""Service and the first digit of its extensions: plain; hold is not recorded; card calls are dropped; digits masked."""
TEAM = "Contact centre"
SESSIONS_FROM = f'\n[[peer]]\nname = "sbc"\nnetworks = ["{HOSTS["sbc"]}/32"]\n{ATTESTED}\n# Where calls go.'
"""The client of recording sessions."""
MANAGER, OFFICER = "mary", "oliver"
TOKEN = "payments"
UNCOMPILED = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Of a process that is started anew: what it compiles would be written beside the sources."""
_UNASKED_S = 0.5
"""How often it is looked whether the daemon is still the same while nobody waits for the listing."""


def extension(service: str, slot: int) -> str:
    """Return the extension that a slot has in a service."""
    return f"{SERVICES[service]}{slot:03d}"


def deputy(service: str, slot: int) -> str:
    """Return the extension of the colleague to whom the officer of a slot hands a call."""
    return extension(service, 500 + slot)


def service_of(number: str) -> str:
    """Return the service of an extension."""
    return next(service for service, digit in SERVICES.items() if number.startswith(digit))


@dataclass(frozen=True, slots=True)
class State:
    """What the daemon said of a call, and when that was heard (monotonic seconds)."""

    at_s: float
    state: str
    reasons: tuple[str, ...]


class Site:
    """One recorder. `site` makes it and ends its processes.

    Attributes:
        folder: Holds the home, and the files that standard output and error of the processes go to.
        pids: Every process of the recorder that was ever started here.
        receivers: The systems that the recorder sends its audit log and events to; None for none.
        database: The PostgreSQL server with the index; None for SQLite in the home.
        objects: The object store of finished recordings; None for none.
        front: Kamailio, which calls run through; None for none.
    """

    def __init__(
        self,
        folder: Path,
        *,
        next_hop: str,
        slots: int,
        edits: Sequence[tuple[str, str]] = (),
        has_receivers: bool = True,
        has_database_server: bool = False,
        has_object_store: bool = False,
        cluster: Path | None = None,
        front: "Front | None" = None,
    ) -> None:
        self.folder = folder
        self.front = front
        self.receivers = Receivers() if has_receivers else None
        self.database = DatabaseServer(cluster) if has_database_server else None
        self.objects = ObjectGateway() if has_object_store else None
        self.numbers = [number(s, slot) for number in (extension, deputy) for s in SERVICES for slot in range(slots)]
        numbers = [f"{number}:{OFFICER}:{service_of(number)}" for number in self.numbers]
        self.home = RecorderHome(
            folder,
            next_hop=next_hop,
            extensions=numbers,
            ports=slots * 8 + 40,
            is_started_anew=True,
            edits=(
                ("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"),
                ("erase_s = 3.0", f"erase_s = {ERASE_S}"),
                ('team = ""', f'team = "{TEAM}"'),
                ("\n# Where calls go.", SESSIONS_FROM),
                *(self.receivers.edits if self.receivers else ()),
                *(self.database.edits if self.database else ()),
                *(self.objects.edits if self.objects else ()),
                *edits,
            ),
        )
        self._set_service("Quiet", "record_hold = true ", "record_hold = false ")
        self._set_service("Masked", "mask_card_digits = false", "mask_card_digits = true")
        self._set_service("Discard", 'card_payment = "pause"', 'card_payment = "discard"')
        self.url = self._give_console()
        self.metrics = [self._give_metrics(words) for words in ("# IP:PORT, 127.0.0.1:9760", "# the console's")]
        """Addresses of the metrics of daemon and console."""
        self.console: subprocess.Popen[bytes] | None = None
        self.unwatched: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
        """While this process uses a database of the recorder: see `tests.leak.watch`."""
        self.http = httpx2.Client(base_url=self.url, timeout=HANGS_S)
        self.officer, self.manager = Browser(self.url), Browser(self.url)
        self.secret = ""
        self.pids: set[int] = set()
        self.states: dict[str, list[State]] = defaultdict(list)
        self.live: list[dict[str, Any]] = []
        """Calls in progress, as last listed for somebody who waits."""
        self._waiting = 0
        """How many wait for a call to be listed in some way; the calls are listed for them only."""
        self.ids: dict[str, str] = {}
        self._heard = threading.Condition()
        self._must_end = threading.Event()
        self._threads: list[threading.Thread] = []
        self.said: list[str] = []
        """What commands wrote."""
        self.is_killed = False

    def _set_service(self, name: str, old: str, new: str) -> None:
        blocks = self.home.config.read_text().split("[[service]]")
        for i, block in enumerate(blocks):
            if f'name = "{name}"' in block:
                assert old in block
                blocks[i] = block.replace(old, new, 1)
        self.home.config.write_text("[[service]]".join(blocks))

    def _give_console(self) -> str:
        port = free_port()
        self.home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "127.0.0.1:{port}"')
        return f"http://127.0.0.1:{port}"

    def _give_metrics(self, words: str) -> str:
        port = free_port()
        self.home.edit(f'listen = "off"                  {words}', f'listen = "127.0.0.1:{port}"  {words}')
        return f"http://127.0.0.1:{port}"

    @property
    def entrance(self) -> tuple[str, int]:
        """Where callers send their calls."""
        return self.home.sip if self.front is None else self.front.address

    # --- processes

    def start(self, *, before: Sequence[str] = (), has_console: bool = True) -> None:
        """Start daemon and console, make people and a token, and listen to what happens."""
        self._start_daemon(before)
        if has_console:
            self._start_console()
        # Here and not in calls: to look whether an account is there takes the lock for which all commands wait.
        with self.unwatched():
            self.as_officer = self.home.as_officer(OFFICER)
            self.as_manager = self.home.as_manager(MANAGER, TEAM)
        self._watch()

    def kill(self) -> None:
        """End the daemon with SIGKILL; whoever waits for it is told."""
        self.home.kill()
        with self._heard:
            self.is_killed = True
            self._heard.notify_all()

    def restart(self, *, before: Sequence[str] = ()) -> None:
        """Start the daemon again after a kill."""
        self.is_killed = False
        self.live = []
        self._start_daemon(before)
        self._watch()

    def _start_daemon(self, before: Sequence[str]) -> None:
        self.home.start(before=("env", *(f"{name}={value}" for name, value in UNCOMPILED.items()), *before))
        self._note_processes()
        if self.front is not None:
            self.front.wait_welcoming(self.home.sip)

    @property
    def serving(self) -> list[int]:
        """The processes that acts pass through."""
        return [self.home.pid, *([self.console.pid] if self.console is not None else [])]

    def _note_processes(self) -> None:
        """Note the daemon, and the process that sends to other systems."""
        children = Path(f"/proc/{self.home.pid}/task/{self.home.pid}/children")
        self.pids.add(self.home.pid)
        self.pids.update(map(int, children.read_text().split()))

    def _start_console(self) -> None:
        root = str(self.home.root)
        own = ("--new-password-file", str(self.home.password_file), *self.home.as_admin(), "-C", root)
        self.command("users", "add", MANAGER, "--role", "manager", "--team", TEAM, *own)
        self.command("users", "add", OFFICER, "--role", "officer", *own)
        made = self.command(
            "tokens", "add", TOKEN, "--scope", "pause", "--scope", "calls:read", *self.home.as_admin(), "-C", root,
            "--json",
        )  # fmt: skip
        self.secret = json.loads(made)["token"]
        with (self.folder / "console.log").open("ab") as log:
            self.console = subprocess.Popen(
                [sys.executable, "-m", "recorder", "console", "-C", root],
                stdout=log, stderr=log, cwd=recorder_home.ROOT, env={**os.environ, **UNCOMPILED},
            )  # fmt: skip
        self.pids.add(self.console.pid)
        eventually(self._console_answers, "the console answers")
        for browser, name in ((self.officer, OFFICER), (self.manager, MANAGER)):
            assert browser.sign_in(name, PASSWORD).status_code == 303

    def _console_answers(self) -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            return self.http.get("/sign-in").status_code == 200
        return False

    def command(self, *words: str) -> str:
        """Run a command of `recorder` that must succeed; returns its output."""
        done = self._run(words)
        self.said += [done.stdout, done.stderr]
        if done.returncode:
            kind = UnconfirmedError if "Not confirmed" in done.stderr else RefusedError
            raise kind(f"recorder {words[0]}: exit {done.returncode}: {done.stderr[-500:]}")
        return done.stdout

    def bypassed(self) -> list[str]:
        """Return what the recorder reports of the calls that went round it, to its data protection officer."""
        assert self.front is not None
        words = ("report", "bypassed", str(self.front.listing), *self.home.as_admin(), "-C", str(self.home.root))
        return [self.command(*words), self.command(*words, "--json")]

    def _run(self, words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        if recorder_home.ROOT == preloaded.ROOT:
            return preloaded.run(words, timeout_s=60, began=self.pids.add)
        started = subprocess.Popen(  # the sources are broken on purpose
            [sys.executable, "-m", "recorder", *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=recorder_home.ROOT,
            env={**os.environ, **UNCOMPILED},
        )  # fmt: skip
        self.pids.add(started.pid)
        out, err = started.communicate(timeout=60)
        return subprocess.CompletedProcess(list(words), started.returncode, out, err)

    def close(self) -> None:
        """End what runs. Idempotent."""
        self._must_end.set()
        if self.console is not None and self.console.poll() is None:
            self.console.terminate()
            try:
                self.console.wait(10)
            except subprocess.TimeoutExpired:
                self.console.kill()
                self.console.wait()
        self.home.close()
        for server in (self.receivers, self.database, self.objects):
            if server is not None:
                server.close()
        for thread in self._threads:
            thread.join(5)
        for client in (self.http, self.officer, self.manager):
            client.close()

    # --- what is heard of calls

    def _watch(self) -> None:
        daemon = self.home.daemon
        for target, name in ((self._listen, "events"), (self._list, "listing")):
            thread = threading.Thread(target=target, args=(daemon,), name=f"leak-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _is_up(self, daemon: "subprocess.Popen[bytes]") -> bool:
        return not self._must_end.is_set() and self.home.daemon is daemon and daemon.poll() is None

    def _client(self) -> httpx2.Client:
        transport = UnixTransport(self.home.root / "recorder.sock")
        named = {"X-Recorder-Actor": "tests"}
        hooks = signing(self.home.root)
        return httpx2.Client(
            transport=transport, base_url="http://recorder", timeout=HANGS_S, headers=named, event_hooks=hooks
        )

    def _listen(self, daemon: "subprocess.Popen[bytes]") -> None:
        with self._client() as client:
            while self._is_up(daemon):
                with (
                    contextlib.suppress(httpx2.HTTPError, KeyProblemError),
                    client.stream("GET", "/api/events") as stream,
                ):
                    for line in stream.iter_lines():
                        if not self._is_up(daemon):
                            return
                        if line.startswith("data: "):
                            self._take(json.loads(line[6:]))
                time.sleep(0.05)

    def _take(self, event: dict[str, Any]) -> None:
        if event.get("event") != "call":
            return
        with self._heard:
            self.ids.setdefault(event["caller"], event["id"])
            state = State(time.monotonic(), event["state"], tuple(event["reasons"]))
            self.states[event["id"]].append(state)
            self._heard.notify_all()

    def _list(self, daemon: "subprocess.Popen[bytes]") -> None:
        with self._client() as client:
            while self._is_up(daemon):
                with self._heard:
                    if not self._heard.wait_for(lambda: self._waiting, _UNASKED_S):
                        continue
                with contextlib.suppress(
                    httpx2.HTTPError, ValueError, KeyProblemError
                ):  # it may be stopped, or too busy
                    calls = client.get("/api/calls").raise_for_status().json()["calls"]
                    with self._heard:
                        self.live = calls
                        self._heard.notify_all()
                time.sleep(0.05)

    def wait_state(
        self, call: str, fits: Callable[[State], bool], what: str, *, since_s: float, timeout_s: float = HANGS_S
    ) -> State:
        """Wait until the daemon has said something of a call since a moment; returns the first that fits."""

        def probe() -> State | None:
            return next((s for s in list(self.states[call]) if s.at_s >= since_s and fits(s)), None)

        with self._heard:
            is_there = self._heard.wait_for(lambda: probe() is not None or self.is_killed, timeout_s)
            if not is_there or probe() is None:
                raise TimeoutError(f"{what}: not within {timeout_s:g} s; heard {self.states[call][-3:]}")
        found = probe()
        assert found is not None
        return found

    def wait_live(
        self, caller: str, fits: Callable[[dict[str, Any]], bool], what: str, *, timeout_s: float = HANGS_S
    ) -> dict[str, Any]:
        """Wait until the listing has a call of a caller in some way."""

        def probe() -> dict[str, Any] | None:
            return next((call for call in self.live if call["caller"] == caller and fits(call)), None)

        with self._heard:
            if not self._waiting:
                self.live = []  # nobody has had it listed since
            self._waiting += 1
            self._heard.notify_all()
            is_there = self._heard.wait_for(lambda: probe() is not None or self.is_killed, timeout_s)
            self._waiting -= 1
            found = probe()
            if not is_there or found is None:
                listed = [call for call in self.live if call["caller"] == caller]
                raise TimeoutError(f"{what}: not within {timeout_s:g} s; listed {listed}")
        return found

    # --- acts

    def by_socket(self, path: str, *, by: str = "", **body: Any) -> dict[str, Any]:
        """Post to the daemon's socket."""
        return _checked(self.home.act_once(path, by=by, **body))

    def by_token(self, path: str) -> dict[str, Any]:
        """Post to the console with the payment application's token."""
        return _checked(self.http.post(path, headers={"Authorization": f"Bearer {self.secret}"}))

    def by_person(self, path: str, *, is_manager: bool = False, **body: Any) -> dict[str, Any]:
        """Post to the console as somebody who is signed in."""
        browser = self.manager if is_manager else self.officer
        return _checked(browser.post(path, json=body, headers={"X-CSRF-Token": browser.csrf}))


class RefusedError(AssertionError):
    """The recorder refused what must work."""


class UnconfirmedError(RefusedError):
    """The recorder did not say in time whether it has done something: it may be done all the same."""


def _checked(answer: httpx2.Response) -> dict[str, Any]:
    if answer.is_error:
        kind = UnconfirmedError if answer.status_code == httpx2.codes.GATEWAY_TIMEOUT else RefusedError
        raise kind(f"{answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    found: dict[str, Any] = answer.json()
    return found


@contextlib.contextmanager
def site(folder: Path, **options: Any) -> Iterator[Site]:
    """Make a recorder that is not started yet; end its processes and delete its folder whatever happens."""
    made: Site | None = None
    try:
        made = Site(folder, **options)
        yield made
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)
