"""`recorder selftest` against a running daemon: it passes, names each fault, and nobody else can use it.

One daemon for all, with faults that can be switched on: the shims of the crash tests and of the leak suite.
"""

import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from audio.codecs import decode, encode
from audio.types import Codec
from recorder.common.home import Home
from recorder.control.client import SelfTestClient
from recorder.control.errors import DaemonRefusedError
from recorder.demo.phones.builtin_device import BuiltinDevice
from recorder.demo.phones.builtin_media import RtpStream
from storage.audit import AuditLog
from storage.audit_reading import newest_first
from tests.crash.shim import build_shim
from tests.crash.test_daemon_clock import HOUR_S, Clock
from tests.crash.test_daemon_read_only import Fault
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import ROOT, eventually, must, run, tone_file
from tests.helpers.sip_peer import Answer, Caller, Officer
from tests.helpers.starvation import noting_starvation

pytestmark = pytest.mark.slow
STALL = Path(__file__).parents[1] / "leak" / "stall.c"
STARVED_S = 0.01
"""What daemon and phones may wait for a CPU at a time without missing the 20 ms within which a pause takes effect."""
TRIES = 4
EDITS = (
    ("look_back_s = 5.0", "look_back_s = 1.5"),
    ("erase_s = 3.0", "erase_s = 0.4"),
)


@dataclass
class Site:
    """A recorder whose faults can be switched on."""

    lines: Exchange
    disk: Fault
    clock: Clock
    stall: Path

    @property
    def home(self) -> Home:
        return Home(self.lines.home.root)

    def selftest(self) -> dict[str, Any]:
        """Run one; its exit code says what its result says."""
        done = run("selftest", "-C", str(self.home.root), "--json")
        assert done.stdout, done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if report["passed"] else 1)
        assert report["passed"] == (not report["failed"])
        return report

    def refusal(self) -> str:
        """Return why no self-test is possible now: exit code 1, one sentence, and nothing was changed."""
        rows, began_s = self.lines.home.rows(selftests=True), time.monotonic()
        done = run("selftest", "-C", str(self.home.root))
        assert (done.returncode, done.stdout) == (1, "")
        assert self.lines.home.rows(selftests=True) == rows
        assert time.monotonic() - began_s < 30
        return done.stderr

    def gone(self, recording: str) -> None:
        """Check that nothing is left of a self-test's recording but entries of the audit log."""
        assert not self.lines.home.rows(selftests=True, extension="selftest")
        assert not list(self.home.root.rglob(f"{recording}*"))

    @property
    def alarms(self) -> dict[str, int]:
        found: dict[str, int] = self.lines.home.health()["alarms"]
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("selftest")
    shim, disk, clock = build_shim(folder), Fault(folder / "fault"), Clock(folder)
    stall, waits = folder / "stalled", folder / "stall.so"
    stall.write_bytes(b"\0")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(waits), str(STALL)], check=True)
    before = [
        "env", f"LD_PRELOAD={shim}:{waits}:{clock.environment['LD_PRELOAD']}", f"SHIM_FAULT={disk.path}",
        f"LEAK_STALL={stall}", f"CLOCK_OFFSET={clock.environment['CLOCK_OFFSET']}",
    ]  # fmt: skip
    with exchange(folder / "site", edits=EDITS, is_started=False) as lines:
        lines.home.start(before=before)
        yield Site(lines, disk, clock, stall)


def test_a_recorder_that_works_passes_and_leaves_nothing(site: Site) -> None:
    counts = site.lines.home.health()["counts"]

    report = unstarved(site)
    assert report["passed"], [one for one in report["checks"] if not one["passed"]]
    names = {one["name"] for one in report["checks"]}
    assert names >= {
        "trunk", "call", "notice", "notice_proof", "caller_heard", "officer_heard", "caller_recorded",
        "officer_recorded", "codec", "pause", "resume", "digits", "writer", "clock", "index", "container", "outcome",
    }  # fmt: skip
    assert "-selftest-" in report["recording"]
    assert report["is_deleted"]
    site.gone(report["recording"])
    health = site.lines.home.health()
    assert health["counts"] == counts, "it is counted nowhere"
    assert health["selftest"]["last"]["passed"]
    assert "selftest_failed" not in health["alarms"]
    acts = [entry.act for entry in newest_first(AuditLog(site.home.audit).path)]
    assert [one for one in acts if one.startswith(("selftest", "recording"))][:3] == [
        "recording.deleted", "selftest.ended", "selftest.begun",
    ]  # fmt: skip


def unstarved(site: Site) -> dict[str, Any]:
    """Return the report of a self-test; of another one if the pause alone failed, and somebody waited for a CPU."""
    waits: list[float] = []

    def note(from_s: float, to_s: float) -> None:
        waits.append(to_s - from_s)

    for _ in range(TRIES):
        waits.clear()
        with (
            noting_starvation(lambda: site.lines.home.pid, note, longer_than_s=STARVED_S),
            noting_starvation(os.getpid, note, longer_than_s=STARVED_S),
        ):
            report = site.selftest()
        if report["failed"] not in (["pause"], ["busy"]) or not waits:
            break
    return report


# --- faults


def trunk_and_notice(site: Site, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    """The PBX does not answer, and the notice's file is another than was set."""
    played = site.lines.home.health()["notices"][0]["sha256"]
    (file,) = site.home.notices.glob(f"{played}*")
    content = file.read_bytes()
    tone_file(file, 900, 0.8)
    site.lines.officer.close()

    def mend() -> None:
        file.write_bytes(content)
        site.lines.officer = Officer(site.lines.officer.address, answer=site.lines._answer)

    return mend


def deaf_caller(_site: Site, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Nothing that the recorder sends arrives at the caller."""
    real, is_callers = RtpStream._write, _marked_callers(patch)

    def write(self: RtpStream, *given: Any) -> None:
        if not is_callers(self):
            real(self, *given)

    patch.setattr(RtpStream, "_write", write)
    return lambda: None


def one_direction(_site: Site, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    """What the caller says does not arrive."""
    real = RtpStream._send

    def send(self: RtpStream, payload_type: int, timestamp: int, payload: bytes, **more: Any) -> None:
        if payload_type != int(Codec.PCMA) or not is_callers(self):
            real(self, payload_type, timestamp, payload, **more)

    is_callers = _marked_callers(patch)
    patch.setattr(RtpStream, "_send", send)
    return lambda: None


def other_codec(_site: Site, patch: pytest.MonkeyPatch) -> Callable[[], object]:
    """The caller sends mu-law and says that it is A-law."""
    is_callers = _marked_callers(patch)

    def frame(self: RtpStream, payload: bytes) -> bytes:
        return encode(Codec.PCMU, decode(Codec.PCMA, payload)) if is_callers(self) else payload

    patch.setattr(RtpStream, "frame", frame)
    return lambda: None


def _marked_callers(patch: pytest.MonkeyPatch) -> Callable[[RtpStream], bool]:
    """Return what tells the stream of the phone that calls from that of the other."""
    real, callers = BuiltinDevice._open_media, set()

    def opened(self: BuiltinDevice) -> RtpStream:
        stream = real(self)
        if self._call is None:  # whoever is called has a call by now
            callers.add(stream)
        return stream

    patch.setattr(BuiltinDevice, "_open_media", opened)
    return callers.__contains__


def pause_keys(site: Site, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    """The keys in recorder.toml are not those that the daemon knows."""
    text = site.home.config.read_text()
    assert 'pause_keys = "*1"' in text
    site.home.config.write_text(text.replace('pause_keys = "*1"', 'pause_keys = "*9"'))
    return lambda: site.home.config.write_text(text)


def index_read_only(site: Site, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    site.disk.set(errno.EROFS, site.home.index)
    return site.disk.end


def writer_stalled(site: Site, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    def set_to(value: bytes) -> None:
        with site.stall.open("r+b") as file:
            file.write(value)

    set_to(b"\1")
    return lambda: set_to(b"\0")


def clock_stepped(site: Site, _patch: pytest.MonkeyPatch) -> Callable[[], object]:
    site.clock.step(HOUR_S)
    return lambda: site.clock.step(0)


@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (trunk_and_notice, {"trunk", "notice_file"}),
        pytest.param(deaf_caller, {"notice", "officer_heard"}, marks=pytest.mark.long),
        pytest.param(one_direction, {"caller_heard", "caller_recorded"}, marks=pytest.mark.long),
        pytest.param(other_codec, {"codec"}, marks=pytest.mark.long),
        pytest.param(pause_keys, {"pause"}, marks=pytest.mark.long),
        pytest.param(index_read_only, {"index"}, marks=pytest.mark.long),
        pytest.param(writer_stalled, {"writer"}, marks=pytest.mark.long),
        pytest.param(clock_stepped, {"clock"}, marks=pytest.mark.long),
    ],
)
def test_each_fault_is_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, break_it: Callable[..., Callable[[], object]], named: set[str]
) -> None:
    mend = break_it(site, monkeypatch)
    try:
        report = site.selftest()
    finally:
        mend()
        monkeypatch.undo()
    assert named <= set(report["failed"]), report["failed"]
    assert site.alarms["selftest_failed"] == len(set(report["failed"]) - {"deletion"}), report["failed"]
    assert len(report["failed"]) == len(set(report["failed"]))
    assert all(one["sentence"] for one in report["checks"])


# --- a busy machine

HELD_BACK_S = 0.15


def test_a_pause_is_judged_right_when_the_officers_first_packet_was_late(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What follows a first packet that was held back lies as much later in the recording as on the call's clock."""
    real, is_callers = RtpStream._write_out, _marked_callers(monkeypatch)
    waiting: dict[RtpStream, list[bytes]] = {}
    began_s: dict[RtpStream, float] = {}

    def write_out(self: RtpStream, packet: bytes) -> None:
        began = began_s.setdefault(self, time.monotonic())
        waiting.setdefault(self, []).append(packet)
        if is_callers(self) or time.monotonic() >= began + HELD_BACK_S:
            for one in waiting.pop(self):
                real(self, one)

    monkeypatch.setattr(RtpStream, "_write_out", write_out)
    report = unstarved(site)
    assert report["passed"], [one for one in report["checks"] if not one["passed"]]


# --- not now


@pytest.mark.long
def test_without_a_daemon_while_it_drains_and_while_all_ports_are_taken(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=EDITS, ports=8, is_started=False) as lines:
        site = Site(lines, None, None, None)  # type: ignore[arg-type]
        assert "No daemon is running here" in site.refusal()
        lines.home.start()
        talks = [lines.call() for _ in range(2)]
        for talk in talks:
            talk.join()
        assert "media ports are taken" in site.refusal()
        for talk in talks:
            assert talk.hang_up()["outcome"] == "recorded", "calls in progress went on"
        must("drain", "-C", str(site.home.root))
        assert "draining" in site.refusal()
        must("drain", "--cancel", "-C", str(site.home.root))
        assert "selftest_failed" not in site.alarms


def _move(config: Path) -> None:
    """Put the recorder behind NAT, where SDP names an address for others, at a trunk that never answers OPTIONS."""
    text = config.read_text()
    for before, after in (
        (r'advertised = "off"( +# IP in SDP)', r'advertised = "203.0.113.7"\1'),
        (r'\ntargets = \["[^"]+"\]', r'\ntargets = ["127.0.0.1:9"]'),
        ("targets_answer = true", "targets_answer = false"),
    ):
        text, count = re.subn(before, after, text)
        assert count == 1, before
    config.write_text(text)


@pytest.mark.long
def test_what_a_killed_daemon_left_is_deleted_at_the_next_start_and_the_daemon_tests_itself(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=EDITS) as lines, Caller() as phone, Officer(answer=Answer()) as other:
        site = Site(lines, None, None, None)  # type: ignore[arg-type]
        with SelfTestClient(site.home.socket) as client:
            begun = client.begin(phone.address[1], other.address[1], "07" * 32)
            phone.invite(lines.home.sip, begun["number"])
            eventually(lambda: client.state()["phase"] == "joined", "both are on the call")
            recording = client.state()["recording"]
        eventually(lambda: list(site.home.recordings.rglob(f"{recording}*")), "it is being recorded")
        talk = lines.call("2001")
        kept = talk.join()
        talk.talk_for(0.4)
        lines.home.kill()
        _move(site.home.config)
        lines.home.start()
        eventually(lambda: not list(site.home.root.rglob(f"{recording}*")), "it is deleted")
        site.gone(recording)
        assert [one["id"] for one in lines.home.rows()] == [kept], "the call of somebody else was recovered and stays"
        done = subprocess.run(
            [sys.executable, "-m", "recorder.selftest.process", str(site.home.root)],
            capture_output=True, text=True, timeout=100, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert lines.home.health()["selftest"]["last"]["passed"]


# --- attackers


@pytest.fixture
def armed(site: Site) -> Iterator[tuple[Site, dict[str, Any], Caller]]:
    """A self-test that has begun, and somebody at the port of its calling phone."""
    with SelfTestClient(site.home.socket) as client, Caller() as phone, Officer() as other:
        begun = client.begin(phone.address[1], other.address[1], "07" * 32)
        try:
            yield site, begun, phone
        finally:
            with suppress(DaemonRefusedError):  # a test may have ended it
                client.end(begun["run"], failed=[], duration_s=1.0)
            eventually(lambda: client.state()["deleted"] is not None, "it has ended")


def test_nobody_else_makes_a_call_of_a_self_test(armed: tuple[Site, dict[str, Any], Caller]) -> None:
    site, begun, phone = armed
    stranger = site.lines.caller.invite(site.lines.home.sip, begun["number"])
    stranger.wait_ended()
    assert stranger.status == 403, "from another address the number is worth nothing"
    beside = phone.invite(site.lines.home.sip, "2001")
    beside.wait_ended()
    assert beside.status == 403, "and the phone may call no other"
    assert site.alarms["selftest_misused"] >= 2
    with SelfTestClient(site.home.socket) as client, pytest.raises(DaemonRefusedError, match="running already"):
        client.begin(1025, 1026, "07" * 32)


def test_a_call_of_somebody_else_meanwhile_is_recorded_and_kept(armed: tuple[Site, dict[str, Any], Caller]) -> None:
    site, begun, phone = armed
    first = phone.invite(site.lines.home.sip, begun["number"])
    first.wait_confirmed()
    again = phone.invite(site.lines.home.sip, begun["number"])
    again.wait_ended()
    assert again.status == 403, "the number is dialled once"
    replaces = f"{first.call_id};to-tag={_tag(first.remote)};from-tag={_tag(first.local)}"
    joiner = site.lines.caller.invite(
        site.lines.home.sip, "2001", from_number="2001", headers=(("Replaces", replaces), ("Require", "replaces"))
    )
    joiner.wait_ended()
    assert joiner.status == 481, "nobody joins it"
    talk: Talk = site.lines.call("2001")
    kept = talk.join()
    assert [one["id"] for one in site.lines.home.calls()] == [kept], "people do not see the self-test"
    talk.talk_for(0.4)
    first.hang_up()
    first.wait_ended()
    row = talk.hang_up()
    with SelfTestClient(site.home.socket) as client:
        client.end(begun["run"], failed=[], duration_s=1.0)
        eventually(lambda: client.state()["deleted"] is not None, "it is deleted")
        state = client.state()
        assert state["deleted"], state["kept"]
    site.gone(state["recording"])
    assert (row["id"], row["outcome"], row["extension"]) == (kept, "recorded", "2001")
    assert [one["id"] for one in site.lines.home.rows(number=talk.number)] == [kept]
    assert Path(site.home.recordings / row["path"]).exists()


def _tag(address: str) -> str:
    return address.partition(";tag=")[2].partition(";")[0]


def test_after_its_end_the_number_is_one_of_many(site: Site) -> None:
    with SelfTestClient(site.home.socket) as client:
        begun = client.begin(20_001, 20_003, "07" * 32)
        client.end(begun["run"], failed=[], duration_s=1.0)
        eventually(lambda: client.state()["deleted"] is not None, "it has ended")
    late = site.lines.caller.invite(site.lines.home.sip, begun["number"])
    late.wait_ended()
    assert late.status == 404, "the PBX does not know it"
    assert not site.lines.home.rows(selftests=True, extension="selftest")
