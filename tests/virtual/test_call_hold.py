"""Changes during a call: SIP hold in its three forms, another codec, digits by INFO; a notice not heard in full."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from recorder.config.reading import read_config
from tests.helpers.exactness import PACKET_S, heard_frames, kept_of
from tests.helpers.exchange import Exchange, Talk, re_offer
from tests.helpers.recorder_home import NOTICE_S, eventually
from tests.helpers.sip_peer import Answer, Media, State
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import PCMU


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("hold"), edits=(("erase_s = 3.0", "erase_s = 0.3"),)) as made:
        yield made


@pytest.mark.parametrize("form", ["sendonly", "inactive", "0.0.0.0"])
def test_hold_is_passed_on_and_taken_back(lines: Exchange, form: str) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.4)
    second = talk.wait_second()
    held = talk.left.media(version=2, **({"ip": form} if form == "0.0.0.0" else {"direction": form}))
    answer = re_offer(talk.first, held)
    if form != "0.0.0.0":  # RFC 2543's hold says nothing of directions
        assert {"sendonly": b"a=recvonly", "inactive": b"a=inactive"}[form] in answer
    second.wait_for(lambda c: len(c.requests("INVITE")) == 2)
    offered = second.requests("INVITE")[1].body
    assert (b"a=inactive" if form == "inactive" else b"a=sendonly") in offered
    eventually(lambda: quiet_since(talk), "nothing goes to the side that holds", timeout_s=3)
    talk.talk_for(0.3)
    assert talk.wait_phase("joined")["id"] == recording, "a hold is no end"

    re_offer(talk.first, talk.left.media(version=3))
    second.wait_for(lambda c: len(c.requests("INVITE")) == 3)
    assert b"a=sendrecv" in second.requests("INVITE")[2].body
    resumed_s = time.monotonic()
    eventually(lambda: len(heard_frames(talk.left, talk.right, since_s=resumed_s)) > 10, "the caller hears again")
    eventually(lambda: len(heard_frames(talk.right, talk.left, since_s=resumed_s)) > 10, "the officer hears again")
    row = talk.hang_up()
    assert (row["id"], row["outcome"]) == (recording, "recorded")
    left, right, _ = lines.home.copy(recording)
    kept_of(left, talk.left)
    kept_of(right, talk.right)


def quiet_since(talk: Talk) -> bool:
    """Tell whether nothing came to the caller for 100 ms, all ports open."""
    return bool(talk.left.heard) and time.monotonic() - talk.left.heard[-1].at_s > 0.1


def test_a_hold_by_the_officer_is_passed_on_too(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    second = talk.wait_second()
    re_offer(second, replace(second.media, direction="sendonly", version=2))
    talk.first.wait_for(lambda c: len(c.requests("INVITE")) == 1)
    assert b"a=sendonly" in talk.first.requests("INVITE")[0].body
    talk.talk_for(0.3)
    re_offer(second, replace(second.media, direction="sendrecv", version=3))
    talk.first.wait_for(lambda c: len(c.requests("INVITE")) == 2)
    assert b"a=sendrecv" in talk.first.requests("INVITE")[1].body
    talk.talk_for(0.5)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")


class WithVideo(Media):
    """A description whose first m-line is video."""

    def __bytes__(self) -> bytes:
        head, audio, rest = super().__bytes__().partition(b"m=audio")
        return head + b"m=video 40998 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n" + audio + rest


def test_our_offer_in_a_call_has_the_lines_and_payload_types_that_were_settled(lines: Exchange) -> None:
    talk = lines.expect("01632960450")
    ours = talk.left.media(formats=((8, "PCMA/8000"), (96, "telephone-event/8000")))
    media = WithVideo(ip=ours.ip, port=ours.port, formats=ours.formats)
    talk.first = lines.caller.invite(lines.home.sip, "2001", from_number=talk.number, media=media)
    talk.join()
    second = talk.wait_second()
    re_offer(second, replace(second.media, direction="sendonly", version=2))
    talk.first.wait_for(lambda c: len(c.requests("INVITE")) == 1)
    body = talk.first.requests("INVITE")[0].body
    found = [line.split() for line in body.decode().split("\r\n") if line.startswith("m=")]
    assert [(line[0], line[1] != "0", line[3:]) for line in found] == [
        ("m=video", False, ["99"]), ("m=audio", True, ["8", "96"]),
    ]  # fmt: skip
    talk.hang_up()


def test_a_name_that_comes_with_the_end_of_a_hold_holds_nobody_again(lines: Exchange) -> None:
    """A PBX ends an attended transfer so: the end of the hold and a name, before the caller has answered."""
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    second = talk.wait_second()
    re_offer(second, replace(second.media, direction="sendonly", version=2))
    talk.first.wait_for(lambda c: len(c.requests("INVITE")) == 1)
    talk.talk_for(0.3)
    second.offer(replace(second.media, direction="sendrecv", version=3))
    second.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:2002@pbx>"),))
    second.wait_for(lambda c: c.replies_to("INVITE") == [200, 200] and c.replies_to("UPDATE") == [200])
    talk.talk_for(1.0)
    to_officer = [re_invite.body for re_invite in second.requests("INVITE")[1:]]
    assert not any(b"a=recvonly" in body for body in to_officer), "the officer's side is held by nobody"
    assert b"a=sendrecv" in talk.first.requests("INVITE")[-1].body
    assert len(talk.first.requests("INVITE")) == 2, "the end of the hold is told once"
    talk.hang_up()


def test_an_empty_re_invite_gets_our_offer(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    talk.first.offer(None)
    talk.first.wait_for(lambda c: len(c.replies_to("INVITE")) == 2)
    assert b"a=sendrecv" in talk.first.remote_body
    assert b"PCMA" in talk.first.remote_body
    again_s = time.monotonic()
    eventually(lambda: len(heard_frames(talk.left, talk.right, since_s=again_s)) > 10, "the call goes on")
    talk.hang_up()


@pytest.mark.parametrize("form", ["sendonly", "inactive", "0.0.0.0"])
@pytest.mark.parametrize("holder", ["caller", "officer"])
def test_a_hold_ends_by_an_empty_re_invite(lines: Exchange, holder: str, form: str) -> None:
    """Our offer is what we want, not the hold of whoever asks for it, nor that of the other side (RFC 6337 5.3)."""
    talk = lines.call()
    talk.join()
    talk.talk_for(0.3)
    second = talk.wait_second()
    ours, theirs = (talk.first, second) if holder == "caller" else (second, talk.first)
    voice = talk.left if holder == "caller" else talk.right
    count = len(theirs.requests("INVITE"))
    re_offer(ours, voice.media(version=2, **({"ip": form} if form == "0.0.0.0" else {"direction": form})))
    theirs.wait_for(lambda c: len(c.requests("INVITE")) == count + 1)
    eventually(lambda: voice.heard and time.monotonic() - voice.heard[-1].at_s > 0.1, "whoever holds hears nobody")
    ours.media = voice.media(version=3)
    offer = re_offer(ours, None)
    assert b"a=sendrecv" in offer
    theirs.wait_for(lambda c: len(c.requests("INVITE")) == count + 2)
    assert b"a=sendrecv" in theirs.requests("INVITE")[-1].body
    resumed_s = time.monotonic()
    eventually(lambda: len(heard_frames(talk.left, talk.right, since_s=resumed_s)) > 10, "the caller hears again")
    eventually(lambda: len(heard_frames(talk.right, talk.left, since_s=resumed_s)) > 10, "the officer hears again")
    assert talk.hang_up()["outcome"] == "recorded"


def test_a_change_to_mu_law_is_bridged_and_recorded_in_its_place(lines: Exchange) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.5)
    answer = re_offer(talk.first, talk.left.media(formats=((0, "PCMU/8000"), (101, "telephone-event/8000")), version=2))
    assert b"PCMU" in answer
    talk.left.law = PCMU
    changed_s = time.monotonic()
    talk.talk_for(0.5)
    assert talk.right.heard_audio(changed_s)[-1].packet.payload_type == 8, "the officer goes on with A-law"
    row = talk.hang_up()
    assert (row["outcome"], row["codecs"]) == ("recorded", ["PCMU+PCMA", "PCMA"])
    left, right, law = lines.home.copy(recording)
    assert law == "alaw"
    assert len(kept_of(right, talk.right).spans) == 1, "the other side does not notice"
    start = next(tick for tick, at_s in talk.left.sent if at_s > changed_s - 0.4)
    where = left.find(talk.left.stream[start : start + 160])
    assert where >= 0, "what was said in A-law is as it was said"
    silent = sum(value == 0xD5 for value in left[where : where + 6000])
    assert silent < 400, "what was said in mu-law follows without a gap"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), ("application/dtmf", b"5")],
)
def test_a_callers_digit_by_info_is_passed_on_and_silenced(lines: Exchange, content_type: str, body: bytes) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(1.2)
    talk.first.request("INFO", body, content_type)
    talk.first.wait_for(lambda c: c.replies_to("INFO") == [200])
    second = talk.wait_second()
    second.wait_for(lambda c: [m.body for m in c.requests("INFO")] == [body])
    info_s = time.monotonic()
    talk.talk_for(1.0)
    talk.hang_up()
    left, right, _ = lines.home.copy(recording)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert kept.bytes_between(info_s - 0.3, info_s + 0.2) == 0
        assert kept.bytes_between(info_s - 2, info_s - 1) > 0
        assert len(kept.spans) == 2


def wait_state(talk: Talk, state: str) -> None:
    """Wait until the recording is in a state."""
    eventually(lambda: (call := talk.live) and call["state"] == state, f"the recording is {state}")


def test_the_officers_keys_work_by_info(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    second = talk.wait_second()
    for key, state in (("1", "paused"), ("2", "recording")):
        for signal in ("*", key):
            second.request("INFO", f"Signal={signal}\r\nDuration=160\r\n".encode(), "application/dtmf-relay")
        wait_state(talk, state)
    assert talk.first.requests("INFO") == [], "the caller sees nothing of it"
    talk.hang_up()


@pytest.mark.parametrize("form", ["sendonly", "inactive", "0.0.0.0"])
def test_a_notice_interrupted_by_a_hold_is_played_again_before_the_officer_is_called(
    lines: Exchange, form: str
) -> None:
    talk = lines.call()
    talk.begin()
    assert talk.wait_phase("notice")["state"] == "not_begun"
    eventually(lambda: len(talk.left.heard) > 5, "the notice is heard")
    held = {"ip": form} if form == "0.0.0.0" else {"direction": form}
    re_offer(talk.first, talk.left.media(version=2, **held))
    eventually(lambda: quiet_since(talk), "nothing is sent to a caller on hold")
    talk.talk_for(2 * NOTICE_S)
    assert (talk.second, talk.wait_phase("notice")["is_recorded"]) == (None, False), "nobody waits for a caller on hold"
    heard = len(talk.left.heard)
    re_offer(talk.first, talk.left.media(version=3))
    talk.join()
    assert (len(talk.left.heard) - heard) * PACKET_S >= NOTICE_S, "the whole notice is heard after the hold"
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["notice"]["complete"]) == ("recorded", True)


def test_a_caller_who_begins_on_hold_hears_the_notice_when_they_can(lines: Exchange) -> None:
    talk = lines.call(media={"direction": "inactive"})
    talk.begin()
    talk.wait_phase("notice")
    time.sleep(2 * NOTICE_S)
    assert (talk.second, talk.wait_phase("notice")["is_recorded"]) == (None, False)
    re_offer(talk.first, talk.left.media(version=2))
    talk.join()
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["notice"]["complete"]) == ("recorded", True)


def test_a_caller_who_holds_the_notice_away_for_long_is_hung_up_on(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call uses ports and counts against the limit, and a caller who has left would not be noticed."""
    monkeypatch.setattr("recorder.calls.announcer.MOST_HELD_S", 4.0)
    talk, patient = (lines.call(media={"direction": "inactive"}) for _ in range(2))
    talk.begin()
    patient.begin()
    patient.wait_phase("notice")
    re_offer(patient.first, patient.left.media(version=2))
    patient.join()
    talk.first.wait_ended()
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"], row["path"]) == ("no_conversation", "no_media", None)
    patient.talk_for(4.0)
    assert patient.hang_up()["outcome"] == "recorded"


def test_an_announcement_service_that_is_called_and_only_sends_is_joined_and_not_recorded(lines: Exchange) -> None:
    talk = lines.expect("2001")
    talk.answer = replace(talk.answer, media=talk.right.media(direction="sendonly"))
    talk.first = lines.caller.invite(lines.home.sip, "01632960998", from_number="2001", media=talk.left.media())
    talk.first.wait_confirmed()
    found = talk.wait_phase("joined")
    assert (found["is_recorded"], found["state"]) == (False, "blocked")
    talk.first.hang_up()
    row = lines.home.row_of("01632960998")
    assert (row["outcome"], row["reason"], row["path"]) == ("blocked", "notice_not_heard", None)


@pytest.fixture(scope="module")
def silent_holds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    edits = (("record_hold = true ", "record_hold = false "), ("erase_s = 3.0", "erase_s = 0.3"))
    with exchange(tmp_path_factory.mktemp("silent"), edits=edits) as made:
        yield made


def test_a_hold_that_is_not_recorded_by_rule_erases_nothing_before_it(silent_holds: Exchange) -> None:
    talk = silent_holds.call()
    recording = talk.join()
    talk.talk_for(0.8)
    re_offer(talk.first, talk.left.media(version=2, direction="sendonly"))
    held = eventually(lambda: _reasons(talk) == ["hold"], "the hold is taken for one")
    assert held
    talk.talk_for(0.4)
    re_offer(talk.first, talk.left.media(version=3))
    eventually(lambda: _reasons(talk) == [], "recording goes on")
    talk.talk_for(0.4)
    row = talk.hang_up()
    assert [s["kind"] for s in row["segments"]] == ["recording", "hold", "recording"]
    assert row["outcome"] == "recorded"
    left, _, _ = silent_holds.home.copy(recording)
    before, hold, _ = row["segments"]
    edge = round(hold["start_s"] * 8000)
    assert left[edge - 1600 : edge - 400].count(0xD5) == 0, "what was said before the hold stays"
    assert set(left[edge + 400 : round(hold["end_s"] * 8000) - 400]) == {0xD5}
    assert before["end_s"] > 0.7


def test_a_pause_during_a_hold_erases_what_was_said_before_it(silent_holds: Exchange) -> None:
    talk = silent_holds.call()
    recording = talk.join()
    talk.talk_for(0.8)
    re_offer(talk.first, talk.left.media(version=2, direction="sendonly"))
    eventually(lambda: _reasons(talk) == ["hold"], "the hold is taken for one")
    assert _listed(talk, "paused_since") == [None], "nobody has paused"
    paused = silent_holds.home.act(f"/api/calls/{recording}/pause").json()
    done_s = time.monotonic()
    assert paused["reasons"] == ["agent", "hold"]
    since, held_since, discards = _listed(talk, "paused_since", "state_since", "pause_discards")
    assert (since >= held_since, discards) == (True, False)
    assert _listed(talk, "pause_erases_s") == [read_config(talk.home.config).pause.erase_s]
    row = talk.hang_up()
    kinds = [(s["kind"], s["reason"]) for s in row["segments"]]
    assert kinds == [("recording", ""), ("paused", "agent,hold")]
    assert row["segments"][1]["start_s"] == pytest.approx(paused["position_s"], abs=0.001)
    assert (row["outcome"], row["reason"]) == ("partial", "ended_while_paused")
    left, _, _ = silent_holds.home.copy(recording)
    # By when it was said: positions go by the first packet, which may have been late.
    assert kept_of(left, talk.left).bytes_between(done_s - 0.3 + PACKET_S, time.monotonic()) == 0


def _listed(talk: Talk, *keys: str) -> list[Any]:
    live = talk.live
    assert live is not None, "the call goes on"
    return [live[key] for key in keys]


def _reasons(talk: Talk) -> list[str]:
    live = talk.live
    return list(live["reasons"]) if live is not None else ["gone"]


def test_a_hold_from_before_the_officer_answered_is_passed_on(lines: Exchange) -> None:
    talk = lines.call(answer=Answer(after_s=2.0))
    talk.begin()
    talk.wait_phase("ringing after the notice")
    re_offer(talk.first, talk.left.media(version=2, direction="sendonly"))
    second = talk.wait_second()
    second.wait_for(lambda call: call.state is State.CONFIRMED, 8)
    told = [b"a=sendonly" in second.invite.body]
    eventually(
        lambda: told[0] or any(b"a=sendonly" in one.body for one in second.requests("INVITE")), "the officer is told"
    )
    re_offer(talk.first, talk.left.media(version=3))
    second.wait_for(lambda c: b"a=sendrecv" in c.requests("INVITE")[-1].body)
    talk.hang_up()
