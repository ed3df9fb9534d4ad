"""Keys that are refused, a manager's PIN, and INFO bodies and floods that no phone sends."""

import time
from collections.abc import Iterator

import pytest

from audio import prompts
from recorder.access.pins import Costs, PinFile
from recorder.calls.key_acts import MOST_ACTS
from recorder.common.home import Home
from recorder.permissions import Person, Role
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from tests.helpers.exactness import heard_frames, is_gapless, times_heard
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.keying import Carrier, press
from tests.helpers.recorder_home import contents, eventually
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import EVENT
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp

PIN, WRONG = "274953", "385064"
EDITS = (
    ("look_back_s = 5.0", "look_back_s = 2.0"),
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('manager_keys = "off"', 'manager_keys = "*9"'),
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("keys"), edits=EDITS) as made:
        manager = Person(name="mary", display_name="Mary", roles=frozenset({Role.MANAGER}), teams=("Revenues",))
        PinFile(Home(made.home.root).pins, costs=Costs(passes=1, memory_kib=64)).set(manager, PIN)
        yield made


def key(talk: Talk, keys: str, carrier: Carrier = Carrier.EVENT) -> None:
    """Press keys on the officer's telephone."""
    second = talk.wait_second()
    for one in keys:
        press(talk.right, second, one, carrier)


def entries(talk: Talk, call: str) -> list[AuditEntry]:
    return [one for one in AuditLog(talk.home.root / "audit").entries() if one.subject == call]


def wait_entries(talk: Talk, call: str, count: int) -> list[AuditEntry]:
    def probe() -> list[AuditEntry] | None:
        found = entries(talk, call)
        return found if len(found) >= count else None

    return eventually(probe, "it is in the log")


def state(talk: Talk) -> tuple[str, list[str]]:
    live = talk.live
    assert live is not None
    return live["state"], live["reasons"]


def two_calls(lines: Exchange) -> tuple[Talk, Talk, str]:
    """Return a call that must not be affected, the call under test, and the id of its recording."""
    other, talk = lines.call("2002"), lines.call()
    other.join()
    call = talk.join()
    eventually(lambda: talk.left.sent and talk.right.sent, "both talk")
    return other, talk, call


# --- refusals


def test_a_resume_without_a_pause_is_refused_told_and_audited(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.2)
    key(talk, "*2")
    (entry,) = wait_entries(talk, call, 1)
    assert (entry.act, entry.actor) == ("call.resume.refused", "officer:alice")
    assert entry.details == {"why": "the call is not paused", "carrier": "keys"}
    eventually(lambda: times_heard(talk.right, prompts.refused_tone()) == 1, "the officer hears that it was refused")
    assert state(talk) == ("recording", [])
    talk.hang_up()


def test_somebody_elses_reason_stays_and_the_refusal_says_whose(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.2)
    for authority in ("manager", "token:shop"):
        lines.home.act(f"/api/calls/{call}/pause", **{"as": authority}).raise_for_status()
    key(talk, "*2")
    entry = wait_entries(talk, call, 3)[-1]
    assert entry.act == "call.resume.refused"
    assert "held by manager, payment_app:shop" in entry.details["why"]
    for authority in ("officer", "token:other"):
        refused = lines.home.act(f"/api/calls/{call}/resume", **{"as": authority})
        assert refused.status_code == 409
        assert "ask a manager" in refused.json()["detail"]
    assert [one.act for one in entries(talk, call)][-2:] == ["call.resume.refused"] * 2
    assert state(talk) == ("paused", ["manager", "payment_app:shop"])
    row = talk.hang_up()
    assert row["segments"][-1]["reason"] == "manager,payment_app:shop"


@pytest.mark.parametrize("word", ["pause", "resume"])
def test_a_call_that_is_over_or_never_was_is_refused_and_audited(lines: Exchange, word: str) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    talk.hang_up()
    for asked in (call, "20200101T000000Z-2001-000000"):
        before = len(entries(talk, asked))
        refused = lines.home.act(f"/api/calls/{asked}/{word}")
        assert refused.status_code == 404
        assert "is in progress" in refused.json()["detail"]
        assert [one.act for one in entries(talk, asked)[before:]] == [f"call.{word}.refused"]


# --- a manager's PIN


@pytest.mark.parametrize("carrier", Carrier)
def test_a_managers_pin_grants_an_opt_out_and_nobody_else_gets_its_keys(lines: Exchange, carrier: Carrier) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.8)
    key(talk, f"*9{PIN}#", carrier)
    eventually(lambda: state(talk)[0] == "opted_out", "the opt-out is granted")
    eventually(lambda: times_heard(talk.right, prompts.ended_tone()) == 1, "the officer hears that it is done")
    (entry,) = wait_entries(talk, call, 1)
    assert (entry.act, entry.actor) == ("opt_out.granted", "mary")
    stated = {word: entry.details[word] for word in ("carrier", "caller_asked", "distress_judged")}
    assert stated == {"carrier": "keys", "caller_asked": True, "distress_judged": True}
    assert talk.left.heard_keys() == ""
    assert talk.first.requests("INFO") == []
    row = talk.hang_up()
    assert (row["outcome"], row["opted_out"]) == ("partial", True)
    assert_nowhere(lines, PIN)


def assert_nowhere(lines: Exchange, digits: str) -> None:
    assert digits not in lines.home.said
    for path, content in contents(lines.home.root):
        assert digits.encode() not in content, path


def test_a_wrong_pin_changes_nothing_and_the_third_locks_the_phone(lines: Exchange) -> None:
    talk = lines.call("2002")
    call = talk.join()
    talk.talk_for(0.2)
    for tries in (1, 2, 3):
        key(talk, f"*9{WRONG}#")
        entry = wait_entries(talk, call, tries)[-1]
        assert (entry.act, entry.actor) == ("call.opt_out.refused", "officer:bob")
        assert entry.details["why"] == ("the PIN is wrong" if tries < 3 else "the keys are locked")
        assert state(talk) == ("recording", [])
    key(talk, f"*9{PIN}#")
    assert wait_entries(talk, call, 4)[-1].details["why"] == "the keys are locked"
    assert state(talk) == ("recording", [])
    key(talk, "*1")
    eventually(lambda: state(talk) == ("paused", ["agent"]), "the officer's own keys go on working")
    assert talk.left.heard_keys() == ""
    talk.hang_up()
    assert_nowhere(lines, WRONG)


@pytest.mark.parametrize("carrier", [Carrier.EVENT, Carrier.RELAY])
def test_an_entry_that_is_broken_off_is_no_try_and_a_pause_in_it_counts(lines: Exchange, carrier: Carrier) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.2)
    key(talk, "*927*1", carrier)
    eventually(lambda: state(talk) == ("paused", ["agent"]), "the pause wins")
    assert [one.act for one in wait_entries(talk, call, 1)] == ["call.pause"]
    assert talk.left.heard_keys() == ""
    assert talk.first.requests("INFO") == []
    talk.hang_up()


# --- what no telephone sends


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/dtmf-relay", b""),
        ("application/dtmf-relay", b"Signal=\r\nDuration=160\r\n"),
        ("application/dtmf-relay", b"Signal=41\r\nDuration=160\r\n"),
        ("application/dtmf-relay", b"Signal=4111111111111111\r\n"),
        ("application/dtmf-relay", b"\xff\xfe\x00Signal=5"),
        ("application/dtmf-relay", b"Signal=5\r\n" + b"x" * 5000),
        ("application/dtmf", b"4111111111111111"),
        ("application/dtmf", b"\x00"),
        ("APPLICATION/DTMF ; charset=x", b"*1"),
    ],
)
def test_a_malformed_body_does_nothing_and_goes_nowhere(lines: Exchange, content_type: str, body: bytes) -> None:
    talk = lines.call()
    call = talk.join()
    second = talk.wait_second()
    for leg, other in ((talk.first, second), (second, talk.first)):
        leg.request("INFO", body, content_type)
        leg.wait_for(lambda c: len(c.replies_to("INFO")) == 1)
        assert other.requests("INFO") == []
    assert state(talk) == ("recording", [])
    talk.talk_for(0.3)
    sides = ("caller", "officer:alice") if body else ()  # an INFO without a body announces no digit
    refused = wait_entries(talk, call, len(sides)) if sides else entries(talk, call)
    assert [(one.act, one.actor) for one in refused] == [("call.info.refused", side) for side in sides]
    assert all("a digit's body" in one.details["why"] or "holds no key" in one.details["why"] for one in refused)
    talk.hang_up()
    assert_nowhere(lines, "4111111111111111")


def test_a_flood_of_infos_is_bounded_and_other_calls_do_not_notice(lines: Exchange) -> None:
    other, talk, call = two_calls(lines)
    since_s = time.monotonic()
    for number in range(300):
        leg = talk.first if number % 2 else talk.wait_second()
        leg.request("INFO", b"5", "application/dtmf")
    eventually(lambda: state(talk) == ("paused", ["card_digits"]), "it is a card number, if anything")
    talk.talk_for(0.5)
    acts = [one.act for one in wait_entries(talk, call, 2)]
    assert acts.count("call.pause") == 1
    floods = lines.home.said.count(f"call {call}: too many INFO requests")
    assert floods in (1, 2), "once for each side"
    assert sorted(acts) == ["call.info.refused"] * floods + ["call.pause"]
    assert is_gapless(heard_frames(other.left, other.right, since_s=since_s))
    talk.hang_up()
    other.talk_for(0.2)
    assert other.hang_up()["outcome"] == "recorded"


def test_a_flood_of_events_pauses_once_and_other_calls_do_not_notice(lines: Exchange) -> None:
    other, talk, call = two_calls(lines)
    talk.talk_for(0.2)
    remote = talk.first.remote_media
    assert remote is not None
    since_s = time.monotonic()
    for number in range(3000):
        event = TelephoneEvent(event=number % 16, is_end=True, volume=10, duration=160)
        packet = RtpPacket(
            payload_type=EVENT, sequence=number % 65536, timestamp=number * 1000, ssrc=7, payload=build_event(event)
        )
        talk.left.socket.sendto(build_rtp(packet), remote)
    eventually(lambda: state(talk) == ("paused", ["card_digits"]), "it pauses")
    talk.talk_for(0.5)
    assert [one.act for one in wait_entries(talk, call, 1)] == ["call.pause"]
    assert is_gapless(heard_frames(other.left, other.right, since_s=since_s))
    talk.hang_up()
    other.talk_for(0.2)
    assert other.hang_up()["outcome"] == "recorded"


def test_keys_pressed_faster_than_anybody_can_mean_are_ignored_but_never_a_pause(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.2)
    second = talk.wait_second()
    for _ in range(12):
        for one in "*1*2":
            second.request("INFO", one.encode(), "application/dtmf")
    second.wait_for(lambda c: len(c.replies_to("INFO")) == 48)
    eventually(lambda: state(talk) == ("paused", ["agent"]), "the last resumes are ignored, the pause stays")
    acts = [one.act for one in wait_entries(talk, call, 10)]
    assert 1 <= len([one for one in acts if one.startswith("call.resume")]) <= MOST_ACTS // 2
    assert f"call {call}: too many key sequences in a short time" in lines.home.said
    talk.hang_up()


def test_without_manager_keys_they_are_keys_like_others(tmp_path_factory: pytest.TempPathFactory) -> None:
    with exchange(tmp_path_factory.mktemp("off")) as lines:
        talk = lines.call()
        talk.join()
        talk.talk_for(0.2)
        key(talk, "*9")
        eventually(lambda: talk.left.heard_keys() == "*9", "they are the officer's to send")
        talk.hang_up()


def test_keys_on_an_internal_call_pause_the_calls_of_whoever_pressed_them(lines: Exchange) -> None:
    talks = [lines.call("2001", from_number="2002"), lines.call("2002"), lines.call("2001")]
    internal, colleagues, own = (talk.join() for talk in talks)

    def states() -> list[str]:
        found = {call["id"]: str(call["state"]) for call in lines.home.calls()}
        return [found[one] for one in (internal, own, colleagues)]

    talks[0].right.press("*1")
    eventually(lambda: states()[:2] == ["paused", "paused"], "alice's calls are paused")
    talks[0].talk_for(0.3)
    assert states() == ["paused", "paused", "recording"], "bob did not ask for it"
    talks[0].right.press("*2")
    eventually(lambda: states() == ["recording"] * 3, "the same keys resume what they paused")
    for talk in talks:
        talk.first.hang_up()
    eventually(lambda: not lines.home.calls(), "every call is over")
    for talk in talks:
        talk.left.hush()
        talk.right.hush()
