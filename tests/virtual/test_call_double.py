"""Two recordings of one conversation: a transfer inside the PBX passes the recorder a second time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from storage.audit import AuditLog
from tests.helpers.exactness import PACKET_S, kept_of
from tests.helpers.exchange import Exchange, Talk, user_of
from tests.helpers.recorder_home import RecorderHome, eventually
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.transfers import Newcomer, expect_newcomer
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import Voice

ERASE_S, LOOK_BACK_S = 1.0, 2.5
EDITS = (("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"), ("erase_s = 3.0", f"erase_s = {ERASE_S}"))
TRUNK = '[[peer]]\nname = "carrier"\nnetworks = ["127.0.0.5/32"]\nis_inside = false\n\n'
MANAGER = {"display_name": "Mary", "roles": ["dpo"]}
GRANT: dict[str, Any] = {
    "by": "mary",
    "person": MANAGER,
    "reason": "in distress",
    "caller_asked": True,
    "distress_judged": True,
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("double"), edits=EDITS) as made:
        yield made


@pytest.fixture(autouse=True)
def alone(lines: Exchange) -> Iterator[None]:
    """Keep calls of one test from another."""
    yield
    for call in list(lines.caller.calls.values()):
        if call.state is State.CONFIRMED:
            call.hang_up()
    eventually(lambda: not lines.home.calls(), "every call is over")


@dataclass
class Passage:
    """A call of one caller to 2001 that the PBX has put through to 2002 by way of the recorder.

    Attributes:
        talk: The call from outside; the PBX is its called party.
        outer: Its recording.
        leg: The leg of it at the PBX.
        relayed: The caller, as the PBX sends them on.
        placed: The leg that the PBX placed to 2002.
        inner: The recording of that call.
        bob: The officer at 2002.
    """

    talk: Talk
    outer: str
    leg: Call
    relayed: Voice
    placed: Call
    inner: str
    bob: Newcomer

    @property
    def both(self) -> tuple[str, str]:
        return self.outer, self.inner

    def live(self, recording: str) -> dict[str, Any]:
        return next(call for call in self.talk.home.calls() if call["id"] == recording)

    def states(self) -> tuple[str, str]:
        outer, inner = (str(self.live(one)["state"]) for one in self.both)
        return outer, inner

    def wait(self, state: str) -> None:
        eventually(lambda: self.states() == (state, state), f"both recordings are {state}")

    def named(self, number: str = "2002") -> None:
        """Have the PBX name the party on its leg of the outer call."""
        self.leg.request("UPDATE", headers=(("P-Asserted-Identity", f"<sip:{number}@pbx>"),))
        eventually(lambda: self.live(self.outer)["extensions_now"] == [number], f"the call is {number}'s")

    def end(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """End both and return their rows, the outer first."""
        self.placed.hang_up()
        self.placed.wait_ended()
        self.talk.first.hang_up()
        self.talk.first.wait_ended()
        for voice in (self.talk.left, self.talk.right, self.relayed, self.bob.voice):
            voice.hush()
        home = self.talk.home
        rows = [eventually(lambda one=one: filed(home, one), f"{one} is filed") for one in self.both]  # type: ignore[misc]
        return rows[0], rows[1]


def filed(home: RecorderHome, recording: str) -> dict[str, Any] | None:
    return next((row for row in home.rows() if row["id"] == recording), None)


def put_through(lines: Exchange, talk: Talk | None = None, *, is_named: bool = True, number: str = "") -> Passage:
    """Have the PBX transfer a call that alice has to bob, by a call of its own through the recorder."""
    if talk is None:
        talk = lines.call(from_number=number)
        talk.join()
    outer = talk.wait_phase("joined")["id"]
    talk.right.hush()
    relayed, bob = lines.studio.voice(), expect_newcomer(talk, "2002")
    placed = lines.caller.invite(lines.home.sip, "2002", from_number=talk.number, media=relayed.media())
    placed.wait_confirmed(8)
    relayed.talk(placed.remote_media)
    bob.join()
    inner = eventually(
        lambda: next((c for c in lines.home.calls() if c["phase"] == "joined" and c["called"] == "2002"
                      and c["caller"] == talk.number), None),
        "bob is joined",
    )  # fmt: skip
    leg = next(one for one in lines.offered() if one is talk.second)
    passage = Passage(talk, outer, leg, relayed, placed, str(inner["id"]), bob)
    if is_named:
        passage.named()
    return passage


def by_key(passage: Passage, word: str) -> None:
    passage.bob.voice.press({"pause": "*1", "resume": "*2"}[word])


def by_extension(passage: Passage, word: str) -> None:
    passage.talk.home.act(f"/api/extensions/2002/{word}").raise_for_status()


def by_inner(passage: Passage, word: str) -> None:
    passage.talk.home.act(f"/api/calls/{passage.inner}/{word}").raise_for_status()


def by_outer(passage: Passage, word: str) -> None:
    passage.talk.home.act(f"/api/calls/{passage.outer}/{word}").raise_for_status()


def by_command(passage: Passage, word: str) -> None:
    passage.talk.home.json(word, "--call", passage.inner, *passage.talk.home.as_officer("bob"))


def by_payment_page(passage: Passage, word: str) -> None:
    body: dict[str, Any] = {"as": "token:shop", "extensions": ["2002"]}
    passage.talk.home.act(f"/api/calls/{passage.inner}/{word}", **body).raise_for_status()


@pytest.mark.parametrize("way", [by_key, by_extension, by_inner, by_outer, by_command, by_payment_page])
def test_a_pause_shuts_both_and_a_resume_opens_both(lines: Exchange, way: Callable[[Passage, str], None]) -> None:
    passage = put_through(lines)
    passage.talk.talk_for(ERASE_S + 0.6)
    asked_s = time.monotonic()
    way(passage, "pause")
    passage.wait("paused")
    paused_s = time.monotonic()
    passage.talk.talk_for(1.0)
    resumed_s = time.monotonic()
    way(passage, "resume")
    passage.wait("recording")
    open_s = time.monotonic()
    passage.talk.talk_for(0.6)
    passage.end()
    for recording, voice in ((passage.outer, passage.talk.left), (passage.inner, passage.relayed)):
        kept = kept_of(lines.home.copy(recording)[0], voice)
        assert kept.bytes_between(asked_s - ERASE_S - 0.3, asked_s - ERASE_S - PACKET_S) > 0
        assert kept.bytes_between(paused_s - ERASE_S + PACKET_S, resumed_s) == 0, "not a byte of the pause"
        assert kept.bytes_between(open_s + 2 * PACKET_S, time.monotonic()) > 0


def test_one_act_on_one_call_answers_for_every_recording_and_signs_for_each(lines: Exchange) -> None:
    passage = put_through(lines)
    answer = lines.home.act(f"/api/calls/{passage.inner}/pause").raise_for_status().json()
    assert (answer["call"], answer["state"]) == (passage.inner, "paused")
    assert [(one["call"], one["state"]) for one in answer["also"]] == [(passage.outer, "paused")]
    log = AuditLog(lines.home.root / "audit")
    entries = {e.subject: e for e in log.entries() if e.act == "call.pause" and e.subject in passage.both}
    assert set(entries) == set(passage.both)
    assert entries[passage.outer].details["through"] == passage.inner
    assert "through" not in entries[passage.inner].details
    passage.end()


def test_the_double_passage_is_noticed_and_each_recording_names_the_other(lines: Exchange) -> None:
    passage = put_through(lines)
    outer, inner = (passage.live(one) for one in passage.both)
    assert outer["conversation"] == inner["conversation"] == passage.outer
    outer, inner = passage.end()
    assert (outer["related"], inner["related"]) == ([passage.inner], [passage.outer])
    assert f"call {passage.inner}: the same conversation as call {passage.outer}" in lines.home.log.read_text()


def test_two_calls_of_one_number_are_two_conversations(lines: Exchange) -> None:
    one, two = lines.call("2002", from_number="01632960700"), lines.call("2002", from_number="01632960700")
    two_id = two.join()
    one.first.wait_confirmed(8)
    eventually(lambda: [call["phase"] for call in lines.home.calls()] == ["joined"] * 2, "both are joined")
    assert all(call["conversation"] == call["id"] for call in lines.home.calls())
    lines.home.act(f"/api/calls/{two_id}/opt-out", **GRANT).raise_for_status()
    assert sorted(call["state"] for call in lines.home.calls()) == ["opted_out", "recording"]
    one.first.hang_up()
    two.first.hang_up()
    eventually(lambda: not lines.home.calls(), "both are over")
    two.left.hush()
    two.right.hush()


def test_a_pause_before_the_transfer_holds_in_the_recording_that_the_transfer_begins(lines: Exchange) -> None:
    talk = lines.call()
    outer = talk.join()
    lines.home.act(f"/api/calls/{outer}/pause").raise_for_status()
    passage = put_through(lines, talk, is_named=False)
    assert passage.states() == ("paused", "recording")
    passage.named()
    passage.wait("paused")
    by_key(passage, "resume")
    passage.wait("recording")
    passage.end()


def test_a_resume_ends_only_what_the_same_act_closed(lines: Exchange) -> None:
    held = lines.call("2002")
    other = held.join()
    held.left.press("4111", ms=60)
    eventually(lambda: (held.live or {})["reasons"] == ["card_digits"], "the caller on hold keyed a card")
    held.right.hush()
    passage = put_through(lines)
    by_key(passage, "pause")
    passage.wait("paused")
    assert passage.live(other)["reasons"] == ["agent", "card_digits"], "every call at the extension is paused"
    by_key(passage, "resume")
    passage.wait("recording")
    assert passage.live(other)["reasons"] == ["card_digits"]
    by_extension(passage, "pause")
    passage.wait("paused")
    held.wait_second().offer(held.right.media(direction="sendonly", version=2))
    held.first.wait_for(lambda c: len(c.requests("INVITE")) == 1)
    by_extension(passage, "resume")
    passage.wait("recording")
    assert passage.live(other)["reasons"] == ["card_digits"], "a resume at the extension is of the call that talks"
    lines.home.act(f"/api/calls/{other}/resume").raise_for_status()
    passage.end()
    held.hang_up()


def test_an_opt_out_ends_both_recordings_and_no_other_call(lines: Exchange) -> None:
    held = lines.call("2002")
    other = held.join()
    passage = put_through(lines)
    answer = lines.home.act(f"/api/calls/{passage.inner}/opt-out", **GRANT).raise_for_status().json()
    assert [one["call"] for one in answer["also"]] == [passage.outer]
    assert passage.states() == ("opted_out", "opted_out")
    assert passage.live(other)["state"] == "recording", "another caller, on hold, did not ask"
    outer, inner = passage.end()
    assert outer["opted_out"]
    assert inner["opted_out"]
    held.hang_up()


def test_an_opt_out_before_the_transfer_holds_after_it(lines: Exchange) -> None:
    talk = lines.call()
    outer = talk.join()
    lines.home.act(f"/api/calls/{outer}/opt-out", **GRANT).raise_for_status()
    passage = put_through(lines, talk)
    passage.wait("opted_out")
    passage.end()


def test_who_forgot_to_pause_has_both_erased_and_other_calls_paused_only(lines: Exchange) -> None:
    held = lines.call("2002")
    other = held.join()
    passage = put_through(lines)
    passage.talk.talk_for(2)
    body: dict[str, Any] = {
        "by": "bob",
        "person": {"display_name": "bob", "roles": ["officer"], "extension": "2002"},
        "seconds": 1.0,
    }
    answer = lines.home.act(f"/api/calls/{passage.inner}/forgot", **body).raise_for_status().json()
    assert "erasure" in answer
    also = {one["call"]: one for one in answer["also"]}
    assert also[passage.outer]["erasure"]["end_s"] > 0
    assert also[other]["state"] == "paused"
    assert "erasure" not in also[other]
    passage.end()
    held.hang_up()


def test_a_withheld_number_carries_a_pause_over_but_not_an_opt_out(lines: Exchange) -> None:
    talk = lines.call(from_number="anonymous")
    outer = talk.join()
    lines.home.act(f"/api/calls/{outer}/pause").raise_for_status()
    passage = put_through(lines, talk)
    passage.wait("paused")
    lines.home.act(f"/api/calls/{passage.inner}/opt-out", **GRANT).raise_for_status()
    assert passage.states() == ("paused", "opted_out"), "perhaps it is another caller's"
    passage.end()


def test_digits_on_two_recordings_of_one_conversation_are_cleared_by_one_resume(lines: Exchange) -> None:
    passage = put_through(lines)
    for voice in (passage.talk.left, passage.relayed):
        voice.press("4111", ms=60)
        passage.wait("paused")
    by_outer(passage, "resume")
    passage.wait("recording")
    passage.end()


def test_a_card_call_discards_its_own_recording_and_only_pauses_that_of_another_caller(tmp_path: Path) -> None:
    edits = (*EDITS, ('card_payment = "pause"', 'card_payment = "discard"'))
    with exchange(tmp_path, edits=edits) as lines:
        held = lines.call("2002")
        other = held.join()
        passage = put_through(lines)
        by_key(passage, "pause")
        passage.wait("discarded")
        assert passage.live(other)["state"] == "paused"
        passage.end()
        held.hang_up()


def test_after_a_consultation_the_call_that_still_names_who_asked_is_the_same_conversation(lines: Exchange) -> None:
    talk = lines.call()
    outer = talk.join()
    asking = lines.studio.voice()
    lines.newcomers["2002", "2001"] = Answer(after_s=0.05, media=(bob := lines.studio.voice()).media())
    placed = lines.caller.invite(lines.home.sip, "2002", from_number="2001", media=asking.media())
    placed.wait_confirmed(8)
    asking.talk(placed.remote_media)
    inner = eventually(lambda: next((c for c in lines.home.calls() if c["called"] == "2002"), None), "alice asks")
    eventually(lambda: live(lines, inner["id"])["phase"] == "joined", "bob is joined")
    assert live(lines, inner["id"])["conversation"] == inner["id"], "alice talks with bob, and the caller waits"
    talk.wait_second().request("UPDATE", headers=(("P-Asserted-Identity", "<sip:2002@pbx>"),))
    eventually(lambda: live(lines, inner["id"])["conversation"] == outer, "the caller talks with bob")
    leg = next(one for one in lines.offered() if user_of(one.invite) == "2001")
    bob.talk(leg.remote_media)
    bob.press("*1")
    eventually(lambda: {call["state"] for call in lines.home.calls()} == {"paused"}, "both are paused")
    placed.hang_up()
    talk.first.hang_up()
    eventually(lambda: not lines.home.calls(), "both are over")
    for voice in (asking, bob, talk.left, talk.right):
        voice.hush()


def test_a_caller_from_outside_who_claims_to_be_the_officer_is_another_conversation(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=EDITS, is_started=False) as lines:
        text = lines.home.config.read_text()
        lines.home.config.write_text(text.replace("[[peer]]\n", f"{TRUNK}[[peer]]\n", 1))
        lines.home.start()
        talk = lines.call()
        outer = talk.join()
        asking = lines.studio.voice()
        lines.newcomers["2002", "2001"] = Answer(after_s=0.05, media=lines.studio.voice().media())
        with lines.caller_at(("127.0.0.5", 0)) as outside:
            claim = (("P-Asserted-Identity", "<sip:2001@carrier>"),)
            placed = outside.invite(lines.home.sip, "2002", from_number="2001", media=asking.media(), headers=claim)
            placed.wait_confirmed(8)
            inner = eventually(lambda: next((c for c in lines.home.calls() if c["called"] == "2002"), None), "it rings")
            eventually(lambda: live(lines, inner["id"])["phase"] == "joined", "bob is joined")
            talk.wait_second().request("UPDATE", headers=(("P-Asserted-Identity", "<sip:2002@pbx>"),))
            eventually(lambda: live(lines, outer)["extensions_now"] == ["2002"], "bob has the other call too")
            assert {call["conversation"] for call in lines.home.calls()} == {outer, inner["id"]}
            placed.hang_up()
            talk.first.hang_up()
            eventually(lambda: not lines.home.calls(), "both are over")
            for voice in (asking, talk.left, talk.right):
                voice.hush()


def test_a_request_of_one_recording_is_decided_for_both(lines: Exchange) -> None:
    passage = put_through(lines)
    body: dict[str, Any] = {"by": "bob", "person": {"display_name": "bob", "roles": ["officer"], "extension": "2002"}}
    asked = lines.home.act(f"/api/calls/{passage.outer}/opt-out-request", **body).raise_for_status().json()
    again = lines.home.act(f"/api/calls/{passage.inner}/opt-out-request", **body)
    assert (again.status_code, "asked for already" in again.json()["detail"]) == (409, True)
    lines.home.act(f"/api/opt-outs/{asked['id']}/grant", **GRANT).raise_for_status()
    passage.wait("opted_out")
    passage.end()


def test_nobody_opts_out_a_conversation_that_they_are_in_by_its_other_recording(lines: Exchange) -> None:
    passage = put_through(lines)
    for officer in ("alice", "bob"):
        person = {"display_name": officer, "roles": ["dpo"]}
        for recording in passage.both:
            refused = lines.home.act(f"/api/calls/{recording}/opt-out", **{**GRANT, "person": person})
            assert (refused.status_code, "on this call yourself" in refused.json()["detail"]) == (403, True)
    assert passage.states() == ("recording", "recording")
    passage.end()


def live(lines: Exchange, recording: str) -> dict[str, Any]:
    return next(call for call in lines.home.calls() if call["id"] == recording)
