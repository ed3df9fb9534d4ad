"""Recording sessions in the shapes of real clients, against the daemon in virtual time, with RTP on both lines.

All of them are in progress at once; each is looked at on its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.recorder_home import RecorderHome
from tests.helpers.sip_peer import Message
from tests.helpers.siprec_client import Session, sections
from tests.helpers.siprec_shapes import SHAPES
from tests.helpers.virtual.siprec import siprec_site

NUMBERS = {shape: f"+4416329600{at:02d}" for at, shape in enumerate(SHAPES)}


@dataclass(frozen=True)
class Done:
    """A session that is over."""

    session: Session
    answer: Message
    row: dict[str, Any]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RecorderHome, dict[str, Done]]]:
    with siprec_site(tmp_path_factory.mktemp("shapes")) as (home, clients):
        sessions = {shape: clients["sbc"].session(caller=NUMBERS[shape], shape=shape) for shape in SHAPES}
        answers = {shape: session.invite() for shape, session in sessions.items()}
        list(sessions.values())[-1].talk_for(0.6)
        for session in sessions.values():
            assert session.bye().status == 200
        rows = {shape: home.row_of(NUMBERS[shape]) for shape in SHAPES}
        yield home, {shape: Done(sessions[shape], answers[shape], rows[shape]) for shape in SHAPES}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_answer(done: tuple[RecorderHome, dict[str, Done]], shape: str) -> None:
    answer = done[1][shape].answer
    assert answer.status == 200
    assert answer.value("Content-Type") == "application/sdp"
    assert "+sip.srs" in answer.value("Contact")
    assert "127.0.1.1" not in answer.body.decode(), "its o= and c= are our own"
    assert "SRC" not in answer.body.decode()
    for label, lines in zip(("1", "2"), sections(answer.body), strict=True):
        assert f"a=label:{label}" in lines
        assert "a=recvonly" in lines


@pytest.mark.parametrize("shape", SHAPES)
def test_the_row_says_who_took_part(done: tuple[RecorderHome, dict[str, Done]], shape: str) -> None:
    row, number = done[1][shape].row, NUMBERS[shape]
    assert (row["outcome"], row["reason"]) == ("recorded", "session_ended")
    assert (row["extension"], row["operator"], row["service"]) == ("2001", "alice", "Revenues")
    # Nothing in metadata says who called: the first to be named is taken for the caller.
    first = ("2001", number, "outbound") if shape == "BroadWorks" else (number, "2001", "inbound")
    assert (row["caller"], row["called"], row["direction"]) == first
    assert (row["notice"]["proof"], row["notice"]["complete"]) == ("attested", False)
    assert "J. Smith" in row["notice"]["id"]
    assert row["remarks"] == ["siprec"]
    people = {one["number"]: one for one in row["participants"]}
    assert people[number]["channel"] == "left"
    assert people["2001"]["channel"] == "right"
    assert (people["2001"]["name"], people["2001"]["extension"]) == ("Bob Officer", "2001")


@pytest.mark.parametrize("shape", SHAPES)
def test_both_channels_are_exact(done: tuple[RecorderHome, dict[str, Done]], shape: str) -> None:
    home, found = done
    left, right, _ = home.copy(found[shape].row["id"])
    for channel, line in zip((left, right), found[shape].session.lines, strict=True):
        kept = kept_of(channel, line.voice)
        assert sum(end - start for start, end in kept.spans) >= 0.5 * 8000


def test_show_has_it_too(done: tuple[RecorderHome, dict[str, Done]]) -> None:
    home, found = done
    row = found["RFC 8068"].row
    shown = home.json("show", row["id"])
    assert shown["participants"] == row["participants"]
    assert shown["notice"]["proof"] == "attested"
