"""What makes a call a self-test's, and what does not: ids, searches, guests, deletion, schedule."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from audio.blocks import ClockAnchor
from audio.types import Channel, Codec
from recorder.calls.call_services import CallServices
from recorder.calls.rules.call_events import CallState
from recorder.calls.selftest_calls import HOST, SelfTestCall, service_of, services_of
from recorder.common.home import Home
from recorder.common.problems import ProblemError
from recorder.common.system_user import os_user
from recorder.config.selftest_options import SelfTestOptions
from recorder.config.settings import Config
from recorder.control.bodies import SocketCaller
from recorder.control.selftests import BeginBody, EndBody, LiveSelfTests
from recorder.demo.phones.messages import RATE
from recorder.demo.phones.phone import Phone
from recorder.demo.phones.sip_messages import build_request
from recorder.rules.policy import CardPayment, Extension, NoticeWhen, Service, recording_id
from recorder.selftest.call import CallFailedError, CallSeen, CheckedCall
from recorder.selftest.checks import Material, _judge_pause
from recorder.selftest.recorded import Leads, Recorded, SenderClock
from recorder.selftest.report import Report
from recorder.selftest.signals import as_other_law, find, is_absent, is_in, pieces, score, voice
from recorder.selftest.targets import check_targets
from recorder.service.selftest_schedule import CANNOT_RUN, FIRST_S, SelfTestSchedule
from recorder.service.selftests import SelfTests
from recorder.service.selftests import _Run as Run
from sip.options import Address, SipOptions
from sip.trust import Trust
from storage import crypto
from storage.database import Database, sqlite_url
from storage.errors import KeyProblemError
from storage.index import Index
from storage.keys import OneTimeSeal
from storage.rows import row_from_json
from storage.types import SELFTEST, SELFTEST_MARK, RecordingId, RecordingRow, Search, Segment, SegmentKind
from tests.helpers.storage_home import row

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


def test_only_a_self_test_has_its_mark_in_its_id() -> None:
    mine = recording_id(NOW, SELFTEST, "0a1b2c", is_selftest=True)
    assert SELFTEST_MARK in mine
    for named in (SELFTEST, "self-test", "s.e.l.f.t.e.s.t", "selftest", " selftest "):
        assert SELFTEST_MARK not in recording_id(NOW, named, "0a1b2c"), "whatever a peer names its extension"


def selftest_row(number: int, **changes: Any) -> RecordingRow:
    fields = {
        "id": f"20261124T093000Z-{SELFTEST}-{number:06x}", "extension": SELFTEST, "operator": SELFTEST,
        "operators": [SELFTEST], "extensions": [SELFTEST], "caller": SELFTEST, "called": SELFTEST,
    }  # fmt: skip
    return row_from_json(row(**{**fields, **changes}))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    yield Index(database)
    database.close()


def test_people_neither_find_nor_count_a_self_test(index: Index) -> None:
    other = row_from_json(row())
    index.save_many([selftest_row(1), other])
    named = [
        selftest_row(0, id="20261124T093000Z-selftest0-0a1b2c"),
        selftest_row(2, operator="alice", operators=["alice"]),
    ]
    index.save_many(named)
    assert index.count(Search()) == 1 + len(named), "a call that somebody named so, or joined, is not hidden"
    index.remove_many([one.id for one in named])
    everything = (Search(), Search(outcomes=(other.outcome,)), Search(service=other.service))
    for search in everything:
        assert ([one.id for one in index.find(search)], index.count(search)) == ([other.id], 1)
        assert [one.id for one in index.each(search)] == [other.id]
    for search in (Search(extension=SELFTEST), Search(operator=SELFTEST), Search(number=SELFTEST)):
        assert index.count(search) == 0
    assert index.count(Search(selftests=True)) == 2
    assert [one.extension for one in index.find(Search(extension=SELFTEST, selftests=True))] == [SELFTEST]


def test_a_guest_is_an_address_and_a_port() -> None:
    trust = Trust(SipOptions(listen=Address(host="10.0.0.1"), trusted=("10.0.0.0/8",)))
    assert not trust.of("127.0.0.1").is_trusted
    assert ("127.0.0.1", 5062) not in trust.guests
    trust.guests = frozenset({("127.0.0.1", 5062)})
    assert ("127.0.0.1", 5063) not in trust.guests
    assert not trust.of("127.0.0.1").is_trusted, "no network is trusted for it"


def test_the_second_seal_opens_one_recording_with_one_key() -> None:
    private = crypto.new_key()
    seal, mine, key = OneTimeSeal(public=crypto.public_of(private)), RecordingId("a"), crypto.new_key()
    seal.take(mine, key)
    first = seal.sealed
    seal.take(RecordingId("b"), crypto.new_key())
    assert seal.sealed == first is not None, "a second recording is not sealed to it"
    assert first is not None
    assert OneTimeSeal.open(first, seal.public, private, mine) == key
    with pytest.raises(KeyProblemError):
        OneTimeSeal.open(first, seal.public, private, RecordingId("b"))
    other = crypto.new_key()
    with pytest.raises(KeyProblemError):
        OneTimeSeal.open(first, crypto.public_of(other), other, mine)


def test_a_voice_is_found_to_the_sample_and_in_no_other() -> None:
    one, other = voice(3.0), voice(3.0)
    channel = np.concatenate([np.zeros(777), one])
    (first, *_) = pieces(one, 0.5, 2.5)
    found, at = find(first, channel)
    assert (round(found, 3), at) == (1.0, 777 + 4000)
    assert is_in(pieces(one, 0.5, 2.5), channel)
    assert is_absent(pieces(other, 0.5, 2.5), channel)
    assert not is_in([], channel)
    as_heard = as_other_law(one)
    assert score(pieces(one, 0.5, 2.5), as_other_law(as_heard)) < 1.0
    assert not is_in(pieces(one, 0.0, 2.0), np.zeros(100))


# --- the pause

OFFICER_LATE = 1200
"""Ticks by which the first packet of the officer was read late: 150 ms."""


def anchors(channel: Channel, *leads: int) -> list[ClockAnchor]:
    """Return anchors of one stream, one a second from 1 s on, with leads in ticks."""
    found = []
    for at_s, lead in enumerate(leads, 1):
        position = at_s * RATE + lead
        found.append(ClockAnchor(
            channel=channel, codec=Codec.PCMA, timestamp=position, position=position, arrival_ns=at_s * 10**9,
        ))  # fmt: skip
    return found


def judged(*leads: int, late: int = OFFICER_LATE, pauses: Sequence[tuple[float, float]] = ((5.0, 7.0),),
           starved_s: float = 0.0, key_s: float = 5.0, noise_s: float | None = None) -> Report:  # fmt: skip
    """Return the report on a pause of a call of 10 s whose officer's positions lie late by some ticks."""
    said, clock = voice(10.0), SenderClock(anchors(Channel.RIGHT, *leads))
    right = np.concatenate([np.zeros(late), said])
    for begin_s, end_s in pauses:
        right[round(begin_s * RATE) + late : round(end_s * RATE) + late] = 0
    if noise_s is not None:
        right[round(noise_s * RATE) + late] = 1.0
    segments = [
        SimpleNamespace(start_s=begin_s, end_s=end_s, kind=SegmentKind.PAUSED, reason="") for begin_s, end_s in pauses
    ]
    seen = CallSeen(
        caller=said, officer=said, heard_by_caller=Path(), heard_by_officer=Path(), digits="", lead_s=5.0,
        paused_at=round(key_s * RATE), starved_s=starved_s,
    )  # fmt: skip
    recorded = Recorded(
        left=np.zeros(len(right)), right=right, clocks=(SenderClock(()), clock), plain=b"",
    )  # fmt: skip
    report = Report()
    material = Material(
        seen=seen, row=cast("RecordingRow", SimpleNamespace(segments=segments)), recorded=recorded, erase_s=0.0,
        notice=np.zeros(0),
    )  # fmt: skip
    _judge_pause(report, material, recorded, cast("list[Segment]", segments))
    return report


def test_a_pause_lies_where_the_channels_own_clock_has_it() -> None:
    steady = [0, *[OFFICER_LATE] * 9]  # the first anchor is the packet that was read late
    assert judged(*steady).passed
    assert judged(*[0] * 10, late=0).passed
    assert judged(*steady, noise_s=5.03).failed == ["pause"], "20 ms are no more for a stream that began late"
    assert judged(*steady, noise_s=6.97).failed == ["pause"]
    assert judged(*steady, noise_s=5.01).passed
    assert judged(*steady, key_s=4.9).failed == ["pause"], "100 ms after the key"


def test_each_pause_is_checked_on_its_own() -> None:
    steady, twice = [OFFICER_LATE] * 10, ((5.0, 6.0), (7.0, 8.0))
    assert judged(*steady, pauses=twice).passed, "between the two is nothing to be silent"
    assert judged(*steady, pauses=twice, noise_s=7.5).failed == ["pause"]


def test_a_machine_that_is_too_busy_to_judge_is_named_with_the_figure() -> None:
    unsure = [0] * 5 + [OFFICER_LATE] * 5
    for report in (judged(*unsure), judged(*[OFFICER_LATE] * 10, key_s=4.85, starved_s=0.14)):
        (check,) = report.checks
        assert report.failed == ["busy"]
        assert re.search(r"for up to 1[45]0 ms", check.sentence), check.sentence
    assert judged(*[OFFICER_LATE] * 10, key_s=4.8, starved_s=0.14).failed == ["pause"], "the wait does not explain it"
    assert judged(*unsure, noise_s=6.0).failed == ["pause"], "what is certain is said on a busy machine too"


def test_a_stream_that_begins_anew_counts_with_both_clocks() -> None:
    first, second = anchors(Channel.RIGHT, 0, 800), anchors(Channel.RIGHT, 0, 0, 160)[2:]
    clock = SenderClock([*first, *(replace(one, timestamp=one.timestamp + 77) for one in second)])
    assert clock.leads(0.5) == Leads(smallest=0, largest=0)
    assert clock.leads(2.5) == Leads(smallest=160, largest=800)
    assert clock.leads(3.5) == Leads(smallest=158, largest=160)


class Daemon:
    """A daemon that notes in which order it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.problem: ProblemError | None = None

    def ready(self, run: str | None = None) -> None:
        self.asked.append("ready" if run is None else f"ready {run}")
        if self.problem is not None:
            raise self.problem

    def begin(self, _by: str, *, run: str, ports: tuple[int, int], public_key: bytes) -> dict[str, Any]:
        assert (ports, public_key) == ((5062, 5064), bytes(32))
        self.asked.append("begin")
        return {"run": run}

    def as_json(self) -> dict[str, Any]:
        return {"recording": "r"}

    def end(self, run: str, *, failed: Sequence[str], duration_s: float) -> "Future[None]":
        assert (list(failed), duration_s) == ([], 1.0)
        self.asked.append(f"end {run}")
        return Future()

    async def on_call_thread(self, fn: Callable[[], Any]) -> Any:
        return fn()

    async def audit(self, act: str, _who: object, subject: str, details: dict[str, Any], _reason: str) -> None:
        self.asked.append(f"{act} {subject} {details['run']}")


def test_a_self_test_is_in_the_audit_log_before_it_begins_and_before_it_ends() -> None:
    daemon = Daemon()
    routes = LiveSelfTests(daemon, daemon)  # type: ignore[arg-type]
    who = SocketCaller(os_user=os_user(), name="")
    begin = BeginBody(caller_port=5062, callee_port=5064, public_key="00" * 32)
    run = asyncio.run(routes.begin(begin, who))["run"]
    assert daemon.asked == ["ready", f"selftest.begun  {run}", "begin"]
    daemon.asked.clear()
    asyncio.run(routes.end(EndBody(run=run, failed=[], duration_s=1.0), who))
    assert daemon.asked == [f"ready {run}", f"selftest.ended r {run}", f"end {run}"]
    daemon.asked.clear()
    daemon.problem = ProblemError(409, "Not now.")
    with pytest.raises(ProblemError):
        asyncio.run(routes.begin(begin, who))
    with pytest.raises(ProblemError):
        asyncio.run(routes.end(EndBody(run="other", failed=[], duration_s=1.0), who))
    assert daemon.asked == ["ready", "ready other"], "what is refused did not begin, and did not end"


def test_one_that_takes_too_long_is_in_the_audit_log_before_its_recording_is_deleted(tmp_path: Path) -> None:
    done: list[Any] = []

    def enter(**entry: Any) -> None:
        done.append((entry["act"], entry["actor"], entry["subject"], entry["details"]["failed"]))

    def delete(by: str, *, is_open: Callable[[str], bool]) -> dict[str, str]:
        assert not is_open("20261124T093000Z-selftest-000001")
        done.append(by)
        return {}

    address = Address(host="127.0.0.1", port=5062)
    call = SelfTestCall(number="n", caller=address, callee=address, seal=OneTimeSeal(public=bytes(32)))
    call.recording, call.ended = RecordingId("20261124T093000Z-selftest-000001"), ("recorded", "")
    tests = SelfTests(
        SimpleNamespace(late=SimpleNamespace(enter=enter), open_recordings=set()),  # type: ignore[arg-type]
        SimpleNamespace(selftests=SimpleNamespace(expected=call)),  # type: ignore[arg-type]
        SimpleNamespace(admit_guests=lambda _guests: None),  # type: ignore[arg-type]
        is_draining=lambda: False, deletion=SimpleNamespace(delete=delete),  # type: ignore[arg-type]
        state=tmp_path, now=lambda: NOW,
    )  # fmt: skip
    run = Run("ab", call, "os:root")
    tests._run, tests._is_running = run, True
    tests._expire(run)
    tests.close()
    assert done == [("selftest.ended", "recorder", call.recording, ["not_run"]), "os:root"]
    with pytest.raises(ProblemError):
        tests.ready("ab")


class Children:
    """Self-tests that are started, and how they end."""

    def __init__(self) -> None:
        self.codes: list[int | None] = []
        self.started = 0
        self.results = 0
        self.noted: list[list[str]] = []

    def start(self, _home: Home) -> "Children":
        self.started += 1
        return self

    def wait(self, timeout: float | None = None) -> int:
        code = self.codes.pop(0)
        if code is None:
            raise subprocess.TimeoutExpired("selftest", timeout or 0)
        return code

    def poll(self) -> int | None:
        return None

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def note(self, failed: list[str], _duration_s: float) -> None:
        self.noted.append(failed)


def test_the_daemon_tests_itself_as_often_as_is_configured() -> None:
    now, every, children = [0.0], [SelfTestOptions()], Children()
    schedule = SelfTestSchedule(
        Home(Path("/nowhere")), lambda: Config(selftest=every[0]), children,  # type: ignore[arg-type]
        clock=lambda: now[0], start=children.start,
    )  # fmt: skip
    now[0] = FIRST_S + 1
    schedule.look()
    assert children.started == 0, "off by default"
    every[0] = SelfTestOptions(every_minutes=10.0)
    children.codes = [None, 0]
    schedule.look()
    schedule.look()
    assert (children.started, children.noted) == (1, [])
    now[0] += 600
    children.codes = [CANNOT_RUN]
    schedule.look()
    assert children.noted == [], "in a drain nothing is wrong"
    now[0] += 600
    children.codes = [-11]
    schedule.look()
    assert children.noted == [["not_run"]], "one that dies is a fault"
    assert children.started == 3


def test_its_call_has_services_apart_and_the_rules_of_a_service_but_that_a_payment_pauses(tmp_path: Path) -> None:
    config = Config(
        extension=(
            Extension(number="2001", operator="alice", service="Revenues"),
            Extension(number="2002", operator="bob", service="Benefits"),
        ),
        service=(
            Service(name="Revenues"),
            Service(name="Benefits", notice_when=NoticeWhen.AFTER_ANSWER, card_payment=CardPayment.DISCARD),
        ),
        selftest=SelfTestOptions(extension="2002"),
    )
    given: dict[str, Any] = {
        one.name: SimpleNamespace(home=tmp_path, node=None, elsewhere=None)
        for one in fields(CallServices)
        if one.default is MISSING and one.default_factory is MISSING
    }
    services = CallServices(**{**given, "config": config})
    call = SelfTestCall(
        number="secret", caller=Address(host=HOST, port=5070), callee=Address(host=HOST, port=5072),
        seal=OneTimeSeal(public=bytes(32)),
    )  # fmt: skip
    apart = services_of(services, call)
    assert apart.publish == call.note, "no event leaves"
    assert apart.tallies is not services.tallies, "it is counted nowhere"
    assert apart.open_recordings is services.open_recordings
    assert apart.alarms is services.alarms
    (service,), (extension,), (route,) = apart.config.service, apart.config.extension, apart.config.route
    assert (service.name, service.notice_when) == ("Benefits", NoticeWhen.AFTER_ANSWER)
    assert service.card_payment is CardPayment.PAUSE, "a discard would leave nothing to check"
    assert (extension.number, extension.operator, extension.team) == (SELFTEST, SELFTEST, "")
    assert (route.targets, route.transfers) == ((call.callee,), False)
    assert services.config == config
    assert service_of(replace(config, selftest=SelfTestOptions())).name == "Revenues"


def test_no_target_need_answer_where_none_is_asked_and_the_answer_comes_back_through_nat() -> None:
    report = Report()
    check_targets(report, (), [{"name": "pbx", "is_registered": False}], "127.0.0.1")
    assert [(one.name, one.passed) for one in report.checks] == [("registration", False)]
    options = build_request("10.0.0.1:5060", "OPTIONS", "sip:x", local="a", remote="b", call_id="c", cseq=1)
    assert ";rport;" in options.value("Via"), "RFC 3581: to the port from which it came, not the one that it names"


# --- the call


class Ticking:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


class Willing:
    """A phone that does what it is asked; it has begun to talk once the sides are joined."""

    talks = False
    pid = os.getpid()

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_named: SimpleNamespace(name="confirmed", code=200, text="OK")

    def play(self, _path: Path) -> None:
        self.talks = True


@pytest.mark.parametrize(("phase", "lasts_s", "is_joined"), [
    (CallState.NOTICE_HELD, 100.0, True), (CallState.SECOND_HELD, 100.0, True), (CallState.RINGING, 100.0, False),
])  # fmt: skip
def test_a_notice_after_the_answer_may_take_long_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: CallState, lasts_s: float, is_joined: bool
) -> None:
    clock, caller, officer = Ticking(), Willing(), Willing()
    monkeypatch.setattr("recorder.selftest.call.time", clock)

    def look(_seen: CallSeen) -> dict[str, Any]:
        return {"phase": (phase if clock.now_s < lasts_s else CallState.JOINED).value, "refused": None, "state": ""}

    begun = {"number": "x", "sip": "127.0.0.1:5060", "erase_s": 0.0, "pid": os.getpid()}
    call = CheckedCall(tmp_path, begun, look, keys=("*1", "*2"), tell=lambda _sentence: None)
    with pytest.raises(CallFailedError) as error:
        call.hold(cast("Phone", caller), cast("Phone", officer))
    assert (caller.talks, officer.talks) == (is_joined, is_joined)
    assert error.value.name == ("pause" if is_joined else "call"), "this daemon never pauses"
