"""A daemon that is killed with calls in progress: what it had acknowledged of them holds at the next start."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recorder.calls.pause_register import REGISTER, write_states
from tests.helpers.exactness import PACKET_S, kept_of
from tests.helpers.exchange import Exchange, Talk, exchange

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
