"""Attended transfers, transfers inside the PBX, refused transfers; and who hears the notice after them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.exactness import heard_frames, kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import NOTICE_S, eventually
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.transfers import expect_newcomer, refer, replaces, speakers, wait_told
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import Voice

TRUNK = "127.0.0.5"
PEER = '[[peer]]\nname = "carrier"\nnetworks = ["127.0.0.5/32"]\nis_inside = false\n\n[[peer]]\n'


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    edits = (("erase_s = 3.0", "erase_s = 0.3"),)
    with exchange(tmp_path_factory.mktemp("attended"), edits=edits, is_started=False) as made:
        text = made.home.config.read_text()
        made.home.config.write_text(text.replace("[[peer]]\n", PEER, 1))
        made.home.start()
        yield made


def joined(lines: Exchange, number: str = "2001", from_number: str = "") -> tuple[Talk, str, Call]:
    """Return a joined call, its recording, and the leg of the called party."""
    talk = lines.call(number, from_number=from_number)
    recording = talk.join()
    talk.talk_for(0.4)
    return talk, recording, talk.wait_second()


def ended(talk: Talk, recording: str) -> dict[str, Any]:
    """End a call whose number other calls have had too; return its row."""
    talk.first.hang_up()
    talk.first.wait_ended()
    talk.left.hush()
    rows = eventually(
        lambda: [row for row in talk.home.rows(number=talk.number) if row["id"] == recording], "the call is filed"
    )
    return rows[0]


def hears(listener: Voice, speaker: Voice) -> None:
    since_s = time.monotonic()
    eventually(lambda: len(heard_frames(listener, speaker, since_s=since_s)) > 5, "they hear one another")


def _origin(body: bytes) -> list[str]:
    """Return the fields of o=."""
    return next(line.split() for line in body.decode().splitlines() if line.startswith("o="))


def spans(row: dict[str, object]) -> list[tuple[str, str]]:
    segments = row["segments"]
    assert isinstance(segments, list)
    return [(segment["kind"], segment["operator"]) for segment in segments]


def test_an_officer_joins_the_caller_with_whom_she_has_asked(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    asked, consultation, bob = joined(lines, "2002", from_number="2001")
    refer(alice, f"sip:2002@pbx.invalid?Replaces={replaces(asked.first)}")
    wait_told(alice, 200)
    alice.wait_ended()
    asked.first.wait_ended()
    assert bob.state is State.CONFIRMED
    before, after = (_origin(one.body) for one in (bob.invite, bob.requests("INVITE")[-1]))
    assert (after[:2], int(after[2])) == (before[:2], int(before[2]) + 1), "his session goes on, with the next version"
    talk.right.hush()
    asked.left.hush()
    asked.right.talk(bob.remote_media)
    hears(talk.left, asked.right)
    hears(asked.right, talk.left)
    talk.talk_for(0.4)
    row = talk.hang_up()
    bob.wait_ended()
    asked.right.hush()
    other = lines.home.json("show", consultation)
    assert (row["id"], spans(row)) == (recording, [("recording", "alice"), ("recording", "bob")])
    assert (row["related"], other["related"], other["reason"]) == ([consultation], [recording], "transferred")
    assert other["operators"] == ["bob", "alice"]
    assert row["numbers"] == ["2002"], "it is found by the number of the one who was lent to it"
    left, right, _ = lines.home.copy(recording)
    assert len(kept_of(left, talk.left).spans) == 1, "not a byte of the caller is missing"
    assert speakers(right, (talk.right, asked.right)) == [talk.right, asked.right]
    left, right, _ = lines.home.copy(consultation)
    assert speakers(left, (asked.left, talk.left)) == [asked.left], "the consultation holds nothing of the caller"
    assert speakers(right, (asked.right,)) == [asked.right]


def test_a_dialog_that_is_not_ours_is_named_in_our_invite(lines: Exchange) -> None:
    talk, _, alice = joined(lines)
    bob = expect_newcomer(talk, "2002")
    name = "x7@pbx;to-tag=a;from-tag=b"
    quoted = name.replace(";", "%3B").replace("=", "%3D")
    refer(alice, f"sip:2002@pbx.invalid?Replaces={quoted}&X-Evil=1%0D%0AX-More:2")
    leg = bob.join()
    wait_told(alice, 200)
    assert leg.invite.values("Replaces") == (name,)
    assert not leg.invite.values("X-Evil") + leg.invite.values("X-More")
    assert leg.invite.values("X-Recorder-Via"), "a call that comes back to us is known for a loop"
    talk.right.hush()
    assert talk.hang_up()["operators"] == ["alice", "bob"]
    leg.wait_ended()
    bob.voice.hush()


def test_the_pbx_puts_somebody_else_in_the_place_of_a_leg(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    voice = lines.studio.voice()
    name = replaces(alice).replace("%3B", ";").replace("%3D", "=")
    headers = (("Replaces", name), ("Require", "replaces"))
    with lines.caller_at((TRUNK, 0)) as outside:
        stranger = outside.invite(lines.home.sip, "2001", from_number="2002", media=voice.media(), headers=headers)
        stranger.wait_ended()
        assert stranger.status == 603, "only our side may do that"
    bob = lines.caller.invite(lines.home.sip, "2001", from_number="2002", media=voice.media(), headers=headers)
    bob.wait_confirmed()
    voice.talk(bob.remote_media)
    alice.wait_ended()
    talk.right.hush()
    hears(talk.left, voice)
    talk.talk_for(0.3)
    row = talk.hang_up()
    bob.wait_ended()
    voice.hush()
    assert (row["id"], spans(row)) == (recording, [("recording", "alice"), ("recording", "bob")])
    _, right, _ = lines.home.copy(recording)
    assert speakers(right, (talk.right, voice)) == [talk.right, voice]


def test_another_name_on_a_leg_is_another_party(lines: Exchange) -> None:
    talk, recording, leg = joined(lines)

    def is_now(user: str, state: str) -> None:
        leg.request("UPDATE", headers=(("P-Asserted-Identity", f"<sip:{user}@pbx>"),))
        eventually(lambda: (talk.live or {})["state"] == state, f"{user} makes it {state}")

    is_now("+441632962001", "recording")  # she, by her full number
    is_now("4000", "out_of_scope")
    away_s = time.monotonic()
    talk.talk_for(0.4)
    back_s = time.monotonic()
    is_now("2002", "recording")
    talk.talk_for(0.4)
    row = talk.hang_up()
    assert spans(row) == [("recording", "alice"), ("out_of_scope", ""), ("recording", "bob")]
    left, right, _ = lines.home.copy(recording)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert kept.bytes_between(away_s + 0.05, back_s - 0.05) == 0
        assert len(kept.spans) == 2


def test_a_newcomer_from_outside_hears_the_notice_before_an_officer_is_recorded_with_them(lines: Exchange) -> None:
    talk, recording, alice = joined(lines, "2001", from_number="2002")  # bob calls alice
    outside = expect_newcomer(talk, "01632960123")
    refer(alice, "01632960123")
    leg = outside.join()
    wait_told(alice, 200)
    talk.right.hush()
    talk.wait_phase("notice, answered side held")
    talk.wait_phase("joined", timeout_s=NOTICE_S + 3)
    hears(talk.left, outside.voice)
    talk.talk_for(0.6)
    talk.left.press("*1")
    eventually(lambda: (talk.live or {})["state"] == "paused", "bob has the keys now")
    row = ended(talk, recording)
    leg.wait_ended()
    outside.voice.hush()
    kinds = [(s["kind"], s["reason"], s["operator"]) for s in row["segments"]]
    assert kinds[:3] == [("recording", "", "alice"), ("out_of_scope", "notice", ""), ("recording", "", "bob")]
    left, right, _ = lines.home.copy(recording)
    assert speakers(left, (talk.left, outside.voice)) == [talk.left, outside.voice], "the outside party is on the left"
    assert speakers(right, (talk.right, talk.left)) == [talk.right, talk.left], "and the officer on the right"


def test_emergency_services_are_reached_and_never_recorded(lines: Exchange) -> None:
    talk, recording, alice = joined(lines, "2001", from_number="3001")  # two officers
    help_ = expect_newcomer(talk, "999")
    refer(alice, "999")
    leg = help_.join()
    wait_told(alice, 200)
    talk.right.hush()
    hears(talk.left, help_.voice)
    row = ended(talk, recording)
    leg.wait_ended()
    help_.voice.hush()
    assert spans(row) == [("recording", "alice"), ("out_of_scope", "")]
    _, right, _ = lines.home.copy(recording)
    assert speakers(right, (talk.right, help_.voice)) == [talk.right]


def test_what_is_refused_changes_nothing(lines: Exchange) -> None:
    voice = lines.studio.voice()
    talk = lines.expect("01632960555")
    with lines.caller_at((TRUNK, 0)) as outside:
        talk.first = outside.invite(lines.home.sip, "2001", from_number=talk.number, media=talk.left.media())
        talk.wait_phase("notice")
        talk.begin()
        recording = talk.join()
        alice = talk.wait_second()
        refer(talk.first, "2002")
        talk.first.wait_for(lambda c: c.replies_to("REFER") == [603])
        slow = expect_newcomer(talk, "2002", answer=Answer(after_s=None, media=voice.media()))
        refer(alice, "2002")
        slow.wait()
        for number in ("2003", "2002"):
            refer(alice, number)
        alice.wait_for(lambda c: c.replies_to("REFER") == [202, 491, 491])
        slow.wait().hang_up()
        wait_told(alice, 603)
        refer(alice, "sip:2001@pbx?Replaces=" + replaces(alice))  # her own leg
        alice.wait_for(lambda c: c.replies_to("REFER")[3:] == [603])
        hears(talk.left, talk.right)
        row = talk.hang_up()
    assert (row["id"], spans(row)) == (recording, [("recording", "alice")])


def test_during_the_notice_nobody_is_transferred(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    talk.wait_phase("notice")
    refer(talk.first, "2002")
    talk.first.wait_for(lambda c: c.replies_to("REFER") == [491])
    talk.join()
    talk.talk_for(0.3)  # somebody who hangs up before the other was heard leaves a recording of one way
    ended = talk.hang_up()
    assert (ended["outcome"], ended["reason"]) == ("recorded", "caller_hung_up")


def test_another_number_to_be_shown_is_another_party(lines: Exchange) -> None:
    """FreeSWITCH names its party by INFO, if it takes the recorder for another FreeSWITCH."""
    talk = lines.call(headers=(("X-FS-Support", "update_display,send_info"), ("X-Case", "17")))
    recording = talk.join()
    talk.talk_for(0.6)
    leg = talk.wait_second()
    assert (leg.invite.values("X-FS-Support"), leg.invite.values("X-Case")) == ((), ("17",))
    named = (("Content-Type", "message/update_display"), ("X-FS-Display-Number", "4000"))
    leg.request("INFO", headers=named)
    eventually(lambda: (talk.live or {})["state"] == "out_of_scope", "they are not recorded")
    away_s = time.monotonic()
    talk.talk_for(0.5)
    left = kept_of(lines.home.copy(talk.hang_up()["id"])[0], talk.left)
    assert left.bytes_between(away_s + 0.1, time.monotonic()) == 0
    (row,) = lines.home.rows(number=talk.number)
    assert (row["id"], spans(row)) == (recording, [("recording", "alice"), ("out_of_scope", "")])


def test_a_call_is_found_by_every_number_that_somebody_on_it_had(lines: Exchange) -> None:
    """A search for a subject access request must find calls that were transferred to the data subject."""
    headers = (
        ("Diversion", '"Desk" <sip:+441632960555@pbx>;reason=unconditional'),
        ("History-Info", "<sip:01632960556@pbx>;index=1"),
    )
    named = (("P-Asserted-Identity", "<sip:+441632962001@pbx>"),)
    talk = lines.expect("01632960440", answer=Answer(after_s=0.3, headers=named))
    talk.first = lines.caller.invite(
        lines.home.sip, "2001", from_number=talk.number, media=talk.left.media(), headers=headers
    )
    recording = talk.join()
    leg = talk.wait_second()
    leg.request("INVITE", bytes(leg.media), "application/sdp", (("P-Asserted-Identity", "<sip:07700900321@pbx>"),))
    eventually(lambda: (talk.live or {})["state"] == "out_of_scope", "the call went to somebody else")
    talk.first.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:07700900322@pbx>"),))
    talk.first.wait_for(lambda call: call.replies_to("UPDATE") == [200])
    bob = expect_newcomer(talk, "2002", calling="07700900322", answer=Answer(
        after_s=0.05, headers=(("P-Asserted-Identity", "<sip:2009@pbx>"),),
    ))  # fmt: skip
    refer(leg, "2002")
    joined_leg = bob.join()
    wait_told(leg, 200)
    row = talk.hang_up()
    joined_leg.wait_ended()
    bob.voice.hush()
    assert row["id"] == recording
    for number in (
        talk.number, "2001", "+441632960555", "01632960556", "+441632962001", "07700 900321", "+447700900322", "2002",
        "2009",
    ):  # fmt: skip
        assert [one["id"] for one in lines.home.rows(number=number) if one["id"] == recording], number


def test_a_call_is_found_by_both_numbers_of_its_caller(lines: Exchange) -> None:
    talk = lines.expect("01632960441")
    asserted = (("P-Asserted-Identity", "<sip:01632960443@pbx>"),)
    talk.first = lines.caller.invite(
        lines.home.sip, "2001", from_number=talk.number, media=talk.left.media(), headers=asserted
    )
    talk.first.wait_confirmed(8)
    talk.first.hang_up()
    talk.first.wait_ended()
    (row,) = eventually(lambda: lines.home.rows(number=talk.number), "it is filed")
    assert (row["caller"], row["numbers"]) == ("01632960443", [talk.number])


def test_a_call_is_found_by_what_a_caller_from_outside_calls_themselves_later(lines: Exchange) -> None:
    talk = lines.expect("01632960442")
    with lines.caller_at((TRUNK, 0)) as outside:
        talk.first = outside.invite(lines.home.sip, "2001", from_number=talk.number, media=talk.left.media())
        talk.join()
        talk.first.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:07700900323@carrier>"),))
        talk.first.wait_for(lambda call: call.replies_to("UPDATE") == [200])
        assert "07700900323" in talk.hang_up()["numbers"]


@pytest.mark.parametrize("is_inside", [True, False])
def test_only_our_side_may_name_by_info_who_the_officers_telephone_shows(lines: Exchange, is_inside: bool) -> None:
    allow = Answer(headers=(("Allow", "INVITE, ACK, BYE, UPDATE, INFO"),))
    talk = lines.expect(f"0163296077{is_inside:d}", answer=allow)
    with lines.caller_at((TRUNK, 0)) as outside:
        caller = lines.caller if is_inside else outside
        talk.first = caller.invite(lines.home.sip, "2001", from_number=talk.number, media=talk.left.media())
        talk.join()
        alice = talk.wait_second()
        for number in ("2002", "07700900999"):
            named = (("Content-Type", "message/update_display"), ("X-FS-Display-Number", number))
            talk.first.request("INFO", headers=named)
            talk.talk_for(0.3)
        assert talk.first.replies_to("INFO") == [200, 200]
        shown = [update.value("P-Asserted-Identity") for update in alice.requests("UPDATE")]
        assert shown == (["<sip:2002@127.0.0.1>", "<sip:07700900999@127.0.0.1>"] if is_inside else [])
        talk.first.hang_up()
        talk.first.wait_ended()
        talk.left.hush()
        row = eventually(lambda: lines.home.rows(number=talk.number), "it is filed")[0]
        assert ("2002" in row["numbers"]) is is_inside


def test_a_caller_who_names_many_numbers_hides_nobody_who_is_on_the_call(lines: Exchange) -> None:
    headers = tuple(("History-Info", f"<sip:0113496{at:04d}@pbx>;index={at}") for at in range(1, 41))
    talk = lines.expect("01632960788")
    talk.first = lines.caller.invite(
        lines.home.sip, "2001", from_number=talk.number, media=talk.left.media(), headers=headers
    )
    talk.join()
    leg = talk.wait_second()
    leg.request("UPDATE", headers=(("P-Asserted-Identity", "<sip:2002@pbx>"),))
    eventually(lambda: (talk.live or {})["extensions_now"] == ["2002"], "the call is bob's")
    talk.talk_for(0.3)
    numbers = talk.hang_up()["numbers"]
    assert "2002" in numbers
    assert "01134960001" in numbers
