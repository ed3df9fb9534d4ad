"""A daemon that is killed with calls in progress: what it had acknowledged of them holds at the next start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder.calls.dialog_register import DAMAGED, DIALOGS, REASON
from recorder.calls.pause_register import REGISTER, write_states
from storage.state_journal import read_states
from tests.helpers.exactness import PACKET_S, kept_of
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Call, Message, State
from tests.helpers.waiting import HANGS_S

ERASE_S, LOOK_BACK_S = 0.5, 1.5
EDITS = (("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"), ("erase_s = 3.0", f"erase_s = {ERASE_S}"))
MANAGER = {"display_name": "Mary", "roles": ["dpo"]}
GRANT = {"reason": "caller is distressed", "caller_asked": True, "distress_judged": True, "person": MANAGER}

Found = dict[str, tuple[Talk, dict[str, Any]]]


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Found]:
    """Three calls in progress - recording, paused, opted out - and what the next start made of them.

    Each is at an extension of its own: a pause acts on every call that is at the extension.
    """
    extensions = {"2001": "recording", "2002": "paused", "2003": "opted out"}
    nominated = tuple(f"{number}:officer{number}:Revenues" for number in extensions)
    with exchange(tmp_path_factory.mktemp("killed"), edits=EDITS, extensions=nominated) as lines:
        talks = {what: lines.call(number) for number, what in extensions.items()}
        ids = {what: talk.join() for what, talk in talks.items()}
        talks["recording"].talk_for(2.5)
        named = (("P-Asserted-Identity", f"<sip:{in_full(talks['recording'])}@pbx>"),)
        talks["recording"].first.request("UPDATE", headers=named)  # another form of the same number: nobody is seated
        answers: dict[str, dict[str, Any]] = {
            "recording": {},
            "paused": acted(lines, f"/api/calls/{ids['paused']}/pause"),
            "opted out": acted(lines, f"/api/calls/{ids['opted out']}/opt-out", **GRANT),
        }
        talks["recording"].talk_for(LOOK_BACK_S + 2)  # what was said before the acts is on the disk by then
        lines.home.kill()
        lines.home.start()
        rows = {row["id"]: row for row in lines.home.rows()}
        found = {}
        for what, talk in talks.items():
            talk.left.hush()
            talk.right.hush()
            left, right, _ = lines.home.copy(ids[what])
            kept = kept_of(left, talk.left), kept_of(right, talk.right)
            found[what] = (talk, {**rows[ids[what]], "answer": answers[what], "kept": kept})
        assert not list(lines.home.root.rglob("*.part"))
        yield found


def acted(lines: Exchange, path: str, **body: Any) -> dict[str, Any]:
    response = lines.home.live.post(path, json=body, headers={"X-Recorder-Actor": "mary"})
    return dict(response.raise_for_status().json())


def in_full(talk: Talk) -> str:
    return f"+44{talk.number[1:]}"


def test_a_recording_ends_with_what_was_on_the_disk(after: Found) -> None:
    talk, row = after["recording"]
    assert (row["outcome"], row["reason"], row["opted_out"]) == ("partial", "daemon_stopped", False)
    assert [s["kind"] for s in row["segments"]] == ["recording"]
    assert row["numbers"] == [in_full(talk)], "the container knows by which numbers its call is searched"


@pytest.mark.parametrize(
    ("what", "kind", "reason", "is_opted_out"),
    [("paused", "paused", "agent", False), ("opted out", "opted_out", "opt_out", True)],
)
def test_what_was_acknowledged_holds(after: Found, what: str, kind: str, reason: str, is_opted_out: bool) -> None:
    _, row = after[what]
    assert (row["outcome"], row["opted_out"]) == ("partial", is_opted_out)
    assert [(s["kind"], s["reason"]) for s in row["segments"]] == [("recording", ""), (kind, reason)], row["segments"]
    assert row["segments"][1]["start_s"] == pytest.approx(row["answer"]["position_s"], abs=0.001)
    for kept in row["kept"]:
        end = max(end for _, end in kept.spans)
        assert end / 8000 == pytest.approx(row["answer"]["position_s"], abs=2 * PACKET_S), "and nothing after it"


def test_what_was_acknowledged_holds_though_the_container_did_not_know_it_yet(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=EDITS) as lines:
        talk = lines.call()
        call = talk.join()
        talk.talk_for(LOOK_BACK_S + 2)
        lines.home.kill()
        state = {"state": "opted_out", "reasons": [], "position_s": 0.5}
        write_states(lines.home.root / "state" / REGISTER, {call: state})
        lines.home.start()
        (row,) = lines.home.rows(number=talk.number)
        assert (row["outcome"], row["opted_out"]) == ("partial", True)
        kinds = [(s["kind"], s["start_s"]) for s in row["segments"]]
        assert kinds == [("recording", 0), ("opted_out", 0.5)]
        assert lines.home.json("verify", call)[0]["ok"], "what recovery wrote is signed"


def test_the_register_forgets_what_is_recovered(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=EDITS) as lines:
        talk = lines.call()
        call = talk.join()
        acted(lines, f"/api/calls/{call}/pause")
        lines.home.kill()
        register = next((lines.home.root / "state").glob("pauses.*"))
        assert call.encode() in register.read_bytes()
        lines.home.start()
        again = lines.call()
        acted(lines, f"/api/calls/{again.join()}/pause")
        assert call.encode() not in register.read_bytes().rstrip(b"\0"), "the next write holds live calls only"
        again.hang_up()


# --- the phones

BYE_S = 33.0
"""Within which both phones are told, from the next start on."""


def bye_of(call: Call) -> Message:
    """Wait until a phone has heard BYE, which it answers with 200; returns it."""
    call.wait_for(lambda one: one.state is State.ENDED, BYE_S)
    assert call.ended_by == "them"
    return call.requests("BYE")[0]


def number_of(message: Message) -> int:
    return int(message.value("CSeq").split(" ")[0])


def tag_of(value: str) -> str:
    return value.partition(";tag=")[2].partition(";")[0]


def journal(lines: Exchange) -> Path:
    return lines.home.root / "state" / DIALOGS


def test_both_phones_hear_bye_from_the_next_daemon_and_of_a_call_that_had_ended_nothing_is_sent(
    tmp_path: Path,
) -> None:
    with exchange(tmp_path, edits=EDITS, extensions=("2001:alice:Revenues", "2002:bob:Revenues")) as lines:
        over = lines.call("2002")
        over.join()
        over.hang_up()
        talk = lines.call("2001")
        talk.join()
        first, second = talk.first, talk.wait_second()
        lines.home.kill()
        talk.left.hush()
        talk.right.hush()
        assert not first.requests("BYE")
        lines.home.start()
        for phone, ours, theirs in (
            (first, tag_of(first.remote), tag_of(first.local)), (second, tag_of(second.remote), tag_of(second.local)),
        ):  # fmt: skip
            bye = bye_of(phone)
            assert bye.value("Call-ID") == phone.call_id
            assert (tag_of(bye.value("From")), tag_of(bye.value("To"))) == (ours, theirs)
            assert bye.value("Reason") == REASON
        assert number_of(second.requests("BYE")[0]) > number_of(second.invite)
        assert "left 2 legs of calls" in lines.home.said
        eventually(lambda: not _kept_now(lines), "both have answered, and nothing is left")
        assert talk.number.encode() not in journal(lines).read_bytes(), "nor a number of theirs"
        ended = over.first, over.wait_second()
        assert [len(call.requests("BYE")) for call in ended] == [0, 1], (
            "the caller hung up, then the officer was told, once"
        )
        again = lines.call("2001")
        again.join()
        again.talk_for(0.4)
        assert again.hang_up()["outcome"] == "recorded"
        lines.home.kill()
        lines.home.start()
        assert lines.home.said.count("legs of calls") == 1, "nothing was left the second time"


def _kept_now(lines: Exchange) -> dict[str, Any]:
    return read_states(journal(lines))


def test_a_damaged_journal_of_dialogs_is_set_aside_and_what_it_has_before_is_used(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=EDITS) as lines:
        talk = lines.call()
        talk.join()
        eventually(lambda: len(_kept_now(lines)) == 2, "both legs are kept")
        lines.home.kill()
        talk.left.hush()
        talk.right.hush()
        content = journal(lines).read_bytes()
        journal(lines).write_bytes(content.rstrip(b"\0") + b"torn")
        lines.home.start()
        assert f"{DIALOGS} is damaged and set aside" in lines.home.said
        bye_of(talk.first)
        bye_of(talk.wait_second())
        lines.home.kill()
        journal(lines).write_bytes(b"\xff" * 99)
        lines.home.start()
        assert "0 legs in it can be ended" in lines.home.said
        assert journal(lines).with_name(DAMAGED).read_bytes() == b"\xff" * 99
        again = lines.call()
        again.join()
        again.talk_for(0.4)
        assert again.hang_up()["outcome"] == "recorded"


def test_a_call_whose_audio_does_not_come_here_goes_on_without_the_daemon(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=EDITS) as lines:
        talk = lines.call("9999")  # nobody's extension
        talk.begin()
        second = talk.wait_second()
        second.wait_for(lambda call: call.state is State.CONFIRMED, HANGS_S)
        lines.home.kill()
        lines.home.start()
        assert "legs of calls" not in lines.home.said
        assert not talk.first.requests("BYE")
        assert not second.requests("BYE")
        talk.left.hush()
