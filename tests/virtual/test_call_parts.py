"""Parts of a call: each segment names its officers and their teams, and copies have only permitted parts."""

from collections.abc import Iterator
from typing import Any

import pytest

from recorder.permissions import Person, Role
from recorder.rules.call_parts import may_hear, officers_on
from recorder.rules.spans import Spans, span_of
from storage.rows import row_from_json
from tests.helpers.exactness import SILENT_ALAW
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.transfers import expect_newcomer, refer, speakers, wait_told
from tests.helpers.virtual.exchange import exchange
from tests.helpers.wave_file import wave_channels

EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('operator = "alice"\nservice = "Revenues"\nteam = ""', 'operator = "alice"\nservice = "Revenues"\nteam = "A"'),
    ('operator = "bob"\nservice = "Revenues"\nteam = ""', 'operator = "bob"\nservice = "Revenues"\nteam = "B"'),
)
ALICE = {"extension": "2001", "operator": "alice", "team": "A"}
BOB = {"extension": "2002", "operator": "bob", "team": "B"}
CAROL = {"extension": "3001", "operator": "carol", "team": ""}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("parts"), edits=EDITS) as made:
        yield made


def person(name: str, role: Role, *teams: str) -> Person:
    return Person(name=name, display_name=name, roles=frozenset({role}), teams=teams)


def heard_by(row: dict[str, Any]) -> dict[str, Spans | None]:
    """Return what both officers and both managers may hear of a call."""
    people = [person(name, Role.OFFICER) for name in ("alice", "bob")]
    people += [person(f"manager of {team}", Role.MANAGER, team) for team in ("A", "B")]
    return {one.name: may_hear(one, row_from_json(row)) for one in people}


def officers(row: dict[str, Any]) -> list[list[dict[str, str]]]:
    return [segment["officers"] for segment in row["segments"]]


def transferred(lines: Exchange) -> tuple[Talk, str, dict[str, Any], Any]:
    """Have alice talk, and hand the call to bob, who is of another team; returns bob's voice too."""
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.8)
    bob = expect_newcomer(talk, "2002")
    alice = talk.wait_second()
    refer(alice, "2002")
    leg = bob.join()
    wait_told(alice, 200)
    talk.right.hush()
    talk.talk_for(0.8)
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    return talk, recording, row, bob.voice


def exported(lines: Exchange, recording: str, who: tuple[str, ...], *grant: str) -> tuple[bytes, bytes, dict[str, Any]]:
    """Have somebody ask, the team leader grant, and take an exact copy at the shell; returns channels and request."""
    home = lines.home
    lena = home.as_leader("lena")
    wish = ("--category", "complaint", "--leave", "listen_and_export", "--reason", "complaint 17")
    request = home.json("requests", "ask", recording, *wish, *who)
    granted = home.json("requests", "grant", request["id"], *grant, *lena)
    path = home.root.parent / f"{request['id']}.wav"
    home.json("export", recording, "--format", "g711", "-o", str(path), *who, "--reason", "complaint 17")
    left, right, _ = wave_channels(path.read_bytes())
    return left, right, granted


def test_a_transfer_to_another_team_makes_two_parts(lines: Exchange) -> None:
    talk, recording, row, bob = transferred(lines)
    edge_s, end_s = row["segments"][1]["start_s"], row["segments"][1]["end_s"]
    assert officers(row) == [[ALICE], [BOB]]
    first, second = (span_of(0.0, edge_s),), (span_of(edge_s, end_s),)
    assert heard_by(row) == {"alice": first, "bob": second, "manager of A": first, "manager of B": second}

    edge = round(edge_s * 8000)
    for who, voice, silent in (
        (lines.home.as_manager("bea", "B"), bob, slice(0, edge)),
        (lines.home.as_officer("bob"), bob, slice(0, edge)),
        (lines.home.as_manager("abe", "A"), talk.right, slice(edge, None)),
    ):
        left, right, _ = exported(lines, recording, who)
        assert len(left) == len(right) >= round(row["duration_s"] * 8000), "as long as the call"
        assert speakers(right, (talk.right, bob)) == [voice], who
        assert set(left[silent]) | set(right[silent]) == {SILENT_ALAW}
    _, right, granted = exported(
        lines, recording, lines.home.as_manager("bea", "B"), "--whole-call", "--reason", "both are complained of"
    )
    assert granted["spans"] == {}
    assert speakers(right, (talk.right, bob)) == [talk.right, bob]


def test_what_is_forgotten_after_a_transfer_goes_alone_as_far_as_the_call_was_theirs(lines: Exchange) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.8)
    bob = expect_newcomer(talk, "2002")
    alice = talk.wait_second()
    refer(alice, "2002")
    leg = bob.join()
    wait_told(alice, 200)
    talk.right.hush()
    talk.talk_for(0.5)
    body = {"person": {"display_name": "bob", "roles": ["officer"], "extension": "2002"}}

    def forgot(seconds: float) -> str:
        answer = lines.home.live.post(
            f"/api/calls/{recording}/forgot", json={**body, "seconds": seconds}, headers={"X-Recorder-Actor": "bob"}
        )
        return str(answer.raise_for_status().json()["erasure"]["state"])

    states = [forgot(0.1), forgot(3000)]
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    assert [one["officers"] for one in row["segments"]][:2] == [[ALICE], [BOB]]
    assert states == ["confirmed", "waiting"], "what alice said takes a second person, however short it is"


def test_in_a_call_between_two_teams_both_have_all_of_it(lines: Exchange) -> None:
    talk = lines.call("2001", from_number="2002")
    recording = talk.join()
    talk.talk_for(0.5)
    talk.first.hang_up()
    row = eventually(
        lambda: next((one for one in lines.home.rows(operator="bob") if one["id"] == recording), None), "it is filed"
    )
    assert officers(row) == [[ALICE, BOB]]
    whole = (span_of(0.0, row["segments"][0]["end_s"]),)
    assert set(heard_by(row).values()) == {whole}


def test_with_somebody_who_is_not_recorded_the_call_is_nobodys(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    outside, carol = expect_newcomer(talk, "4000"), expect_newcomer(talk, "3001")
    alice = talk.wait_second()
    refer(alice, "4000")
    away = outside.join()
    wait_told(alice, 200)
    talk.talk_for(0.5)
    refer(away, "3001")
    leg = carol.join()
    wait_told(away, 200)
    talk.talk_for(0.5)
    row = talk.hang_up()
    leg.wait_ended()
    for voice in (outside.voice, carol.voice):
        voice.hush()
    assert officers(row) == [[ALICE], [], [CAROL]]
    assert heard_by(row)["manager of A"] == (span_of(0.0, row["segments"][0]["end_s"]),)
    assert may_hear(person("nobody's manager", Role.MANAGER, ""), row_from_json(row)) == ()


def test_who_was_dialled_and_renamed_at_once_has_no_part(lines: Exchange) -> None:
    """FreeSWITCH answers as the extension that was dialled, and says with UPDATE who it is a moment later."""
    talk = lines.call()
    talk.join()
    talk.wait_second().request("UPDATE", headers=(("P-Asserted-Identity", "<sip:2002@pbx>"),))
    eventually(lambda: (talk.live or {}).get("operator") == "bob", "it is bob's call")
    talk.talk_for(1.0)
    row = talk.hang_up()
    edge_s = row["segments"][-1]["start_s"]
    assert edge_s < 0.1
    bobs = (span_of(edge_s, row["segments"][-1]["end_s"]),)
    assert heard_by(row) == {"alice": (), "manager of A": (), "bob": bobs, "manager of B": bobs}
    assert officers_on(row_from_json(row)) == (frozenset({"bob"}), frozenset({"B"}))
