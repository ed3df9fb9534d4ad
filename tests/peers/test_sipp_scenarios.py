"""The scenarios of `scenarios/*.txt`: sipp on either side of a daemon, and what the recorder says of each call.

All are started together, a few at a time, when the first test wants its result; each test is one scenario. Whoever
runs the tests in several processes keeps this file in one of them: each process would play them all.
"""

import itertools
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio.codecs import encode
from audio.types import Codec
from benchmarks.ports import free_range, wait_until_bound
from tests.helpers.processors import PROCESSORS
from tests.helpers.recorder_home import HANGS_S, NOTICE_HZ, RecorderHome, recorder_home, tone_file
from tests.peers import sipp_scripts
from tests.peers.sipp_scripts import Scenario, compile_script

pytestmark = pytest.mark.peer
SCENARIOS = sipp_scripts.read_all()
AT_ONCE = 6 * PROCESSORS
LONGEST_S = 60
NOTICE_S = 0.3
NUMBERS = {"before": "21", "after": "22", "none": "51"}
"""First digits of the extensions of each service; `none` is not nominated."""

SETTINGS: dict[str, list[tuple[str, str]]] = {
    "plain": [],
    "six": [],
    "timers": [("session_expires_s = 1800", "session_expires_s = 8"), ("min_session_s = 90", "min_session_s = 4")],
}
"""What each daemon's configuration has in another way."""

HOSTS = {"six": "[::1]"}
"""Where a daemon and its neighbours are, when not on `HOST`."""

HOST = f"127.{1 + os.getpid() % 250}.{1 + os.getpid() // 250 % 250}.1"
"""An address of this run's own: a script must not be played to the sipp of another run."""


@dataclass(frozen=True)
class Result:
    """How a scenario went, as the two sides and the recorder have it."""

    codes: dict[str, int]
    stories: dict[str, str]
    rows: list[dict[str, Any]]


class Ports:
    """UDP ports for sipp, each given out once.

    On `HOST`: below those of daemons, the ephemeral ones, and 8888, from which on a sipp without ``-cp`` takes a port
    of all addresses. On another address, which other runs of these tests use too: from `free_range`.
    """

    def __init__(self) -> None:
        self._next = itertools.count(8_880, -6)

    def take(self, host: str) -> int:
        """Return the first of six neighbouring ports that are free now."""
        if host != HOST:
            return free_range(6)[0]
        for first in self._next:
            try:
                for offset in range(6):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                        probe.bind((HOST, first + offset))
            except OSError:
                continue
            return first
        raise AssertionError


class Stage:
    """The daemons, and sipp on both sides of them."""

    def __init__(self, folder: Path, stack: ExitStack, wanted: list[Scenario]) -> None:
        self._folder, self._ports = folder, Ports()
        self._talk = folder / "talk.al"
        self._talk.write_bytes(_tone())
        self._officers = {s.name: self._ports.take(_host(s.home)) for s in wanted}
        self._called = {s.name: f"{NUMBERS[s.service]}{i:03d}" for i, s in enumerate(SCENARIOS)}
        self._callers = {s.name: f"01632{960000 + i}" for i, s in enumerate(SCENARIOS)}
        self._seconds = {s.name: f"24{i:03d}" for i, s in enumerate(SCENARIOS) if s.is_twice}
        self._colleagues = {s.name: self._ports.take(_host(s.home)) for s in wanted if s.is_twice}
        used = sorted({scenario.home for scenario in wanted})
        self.homes = {name: stack.enter_context(self._home(name, wanted)) for name in used}
        self._pool = ThreadPoolExecutor(AT_ONCE)
        # Without `cancel_futures`, a run that ends early waits for all scenarios that nobody asks for any more.
        stack.callback(self._pool.shutdown, cancel_futures=True)
        list(self._pool.map(RecorderHome.start, self.homes.values()))
        longest_first = sorted(wanted, key=sipp_scripts.least_s, reverse=True)
        self._results = {s.name: self._pool.submit(self._play, s) for s in longest_first}

    def result(self, scenario: Scenario) -> Result:
        """Wait for a scenario's end."""
        future: Future[Result] = self._results[scenario.name]
        return future.result(240)

    # -- daemons

    @contextmanager
    def _home(self, name: str, wanted: list[Scenario]) -> Iterator[RecorderHome]:
        nominated = [f"{self._called[s.name]}:alice:{s.service}" for s in SCENARIOS if s.service != "none"]
        nominated.append("2299:zoe:after")
        nominated += [f"{number}:bob:before" for number in self._seconds.values()]
        routes = "".join(
            f'[[route]]\nname = "{name_of}"\nnumber = "{number}"\ntargets = ["{_host(name)}:{port}"]\n'
            f"follow_redirects = {str('redirects' in s.fields).lower()}\n\n"
            for s in wanted
            if s.home == name
            for name_of, number, port in self._ways(s)
        )
        for_anybody = [
            (self._entry(s, "nominated"), self._entry(s, "anybody")) for s in SCENARIOS if "anybody" in s.fields
        ]
        edits = [*for_anybody, ('[[route]]\nname = "default"', f'{routes}[[route]]\nname = "default"'), *SETTINGS[name]]
        if any(s.service == "after" for s in SCENARIOS):
            edits.append(
                ('name = "after"\nnotice_when = "before_ring"', 'name = "after"\nnotice_when = "after_answer"')
            )
        folder = self._folder / f"home-{name}"
        edits += [
            ('auth_user = "off"', 'auth_user = "council"'),
            ('auth_password_file = "off"', f'auth_password_file = "{folder}/account"'),
        ]
        options: dict[str, Any] = {
            "host": _host(name),
            "next_hop": f"{_host(name)}:9",
            "extensions": nominated,
            "edits": edits,
            "is_started": False,
        }
        with recorder_home(folder, **options) as home:
            short = tone_file(folder / "first.wav", NOTICE_HZ, NOTICE_S)
            (folder / "account").touch(0o600)
            (folder / "account").write_text("s3cret\n")
            home.recorder("notice", "set", "first", str(short), *home.as_admin(), "-C", str(home.root))
            yield home

    def _ways(self, scenario: Scenario) -> Iterator[tuple[str, str, int]]:
        """Yield name, number and the officer's port of each route of a scenario."""
        name = scenario.name
        yield name, self._called[name], self._officers[name]
        if scenario.is_twice:
            yield f"{name}_second", self._seconds[name], self._colleagues[name]

    def _entry(self, scenario: Scenario, answered_by: str) -> str:
        """Return what the configuration says of a scenario's extension."""
        number, service = self._called[scenario.name], scenario.service
        lines = (f'number = "{number}"', 'operator = "alice"', f'service = "{service}"', 'team = ""')
        return "\n".join((*lines, f'answered_by = "{answered_by}"'))

    # -- one scenario

    def _play(self, scenario: Scenario) -> Result:
        name = scenario.name
        folder = self._folder / name
        folder.mkdir()
        (folder / "talk.al").symlink_to(self._talk)
        home = self.homes[scenario.home]
        running: dict[str, subprocess.Popen[bytes]] = {}
        try:
            numbers = ("-key", "number", self._callers[name], "-key", "second", self._seconds.get(name, ""))
            for side, ports in (("officer", self._officers), ("second officer", self._colleagues)):
                if side in scenario.scripts:
                    running[side] = self._sipp(folder, scenario, side, ports[name], "-rtp_echo", *numbers)
                    wait_until_bound(ports[name], "udp", host=HOST if scenario.home not in HOSTS else "")
            target = "{}:{}".format(*home.sip)
            for side, called in (("caller", self._called), ("second caller", self._seconds)):
                if side in scenario.scripts:
                    port = self._ports.take(_host(scenario.home))
                    running[side] = self._sipp(folder, scenario, side, port, target, "-s", called[name], *numbers)
            codes = {side: process.wait(LONGEST_S + 5) for side, process in running.items()}
        finally:
            for process in running.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()
        return Result(codes, {side: _story(folder, side) for side in running}, self._rows(home, scenario))

    def _sipp(self, folder: Path, scenario: Scenario, side: str, port: int, *more: str) -> "subprocess.Popen[bytes]":
        is_caller = side.endswith("caller")
        script = compile_script(
            scenario.name, scenario.scripts[side], is_caller=is_caller, is_silent=scenario.is_silent
        )
        (folder / f"{side}.xml").write_text(script)
        address = _host(scenario.home).strip("[]")
        command = [
            "sipp",
            "-sf",
            f"{side}.xml",
            "-i",
            address,
            "-p",
            str(port),
            "-m",
            "1",
            "-nostdin",
        ]
        # -mp is the one name of the media port that sipp 3.6 (Debian 12) and 3.7 (Debian 13) share.
        command += ["-mp", str(port + 2), "-timeout", str(LONGEST_S)]
        command += ["-timeout_error", "-trace_err", "-error_file", f"{side}.err", "-trace_msg", "-message_file"]
        command += [f"{side}.msg", "-max_retrans", "5", "-default_behaviors", "none", *more]
        # Without -ci, sipp takes the control port of all addresses, and so from a sipp of another run.
        command += ["-ci", HOST, "-cp", str(port + 5)]
        if is_caller and "call-id" in scenario.fields:
            command += ["-cid_str", f"{scenario.fields['call-id']}%u-%p@%s"]
        with (folder / f"{side}.out").open("wb") as screen:
            return subprocess.Popen(command, stdout=screen, stderr=subprocess.STDOUT, cwd=folder)

    def _rows(self, home: RecorderHome, scenario: Scenario) -> list[dict[str, Any]]:
        if scenario.service == "none" or scenario.ends == ("none",):
            return []
        caller, expected = self._callers[scenario.name], 2 if scenario.is_twice else 1
        found: Callable[[], list[dict[str, Any]]] = lambda: home.rows(number=caller)  # noqa: E731
        deadline = time.monotonic() + HANGS_S
        while len(rows := found()) < expected and time.monotonic() < deadline:
            time.sleep(0.1)
        return rows


def _tone() -> bytes:
    ticks = np.arange(8000)
    return bytes(encode(Codec.PCMA, (8000 * np.sin(2 * np.pi * 440 * ticks / 8000)).astype(np.int16)))


def _host(home: str) -> str:
    return HOSTS.get(home, HOST)


def _story(folder: Path, side: str) -> str:
    """Return what a side complained of, and the start line and CSeq of each message with its time."""
    error, messages = folder / f"{side}.err", folder / f"{side}.msg"
    said = error.read_text(errors="replace")[:1500] if error.exists() else ""
    lines = messages.read_text(errors="replace").splitlines() if messages.exists() else []
    kept = [line for line in lines if re.match(r"-----|UDP message|[A-Z]+ sip:|SIP/2.0|CSeq|Reason", line)]
    return "\n".join([said, *(line.replace("-" * 47, "") for line in kept)])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stage]:
    asked = {re.sub(r".*\[(.*)\]", r"\1", item.name) for item in request.session.items if item.path == Path(__file__)}
    with ExitStack() as stack:
        yield Stage(tmp_path_factory.mktemp("scenarios"), stack, [s for s in SCENARIOS if s.name in asked])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_scenario(stage: Stage, scenario: Scenario) -> None:
    result = stage.result(scenario)
    stories = "\n".join(f"the {side} ({result.codes[side]}): {story}" for side, story in result.stories.items())
    assert not any(result.codes.values()), stories
    if scenario.ends == ("none",) or scenario.service == "none":
        return
    assert len(result.rows) == (2 if scenario.is_twice else 1), f"{len(result.rows)} calls were filed"
    for row in result.rows:
        assert (row["outcome"], row["reason"]) == scenario.ends, stories
        if "operator" in scenario.fields:
            assert row["operators"][-1] == scenario.fields["operator"]
        assert set(scenario.fields.get("numbers", "").split()) <= set(row["numbers"])
        if "segments" in scenario.fields:
            assert [segment["kind"] for segment in row["segments"]] == scenario.fields["segments"].split()
        assert row["related"] == [other["id"] for other in result.rows if other is not row]


def test_the_table_of_the_readme_is_true() -> None:
    readme = (Path(__file__).parent / "README.md").read_text()
    assert readme.endswith(sipp_scripts.table()), "write it again: python tests/peers/sipp_scripts.py > README.md's end"
