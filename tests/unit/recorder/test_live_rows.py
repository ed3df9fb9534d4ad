"""Rows of the board: what is said of a state, and what differs by person and moment in a row that is cached."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader

from recorder.calls.rules.call_events import CallState
from recorder.permissions import Person, Role
from recorder.web import live_rows
from recorder.web.live_markup import LiveMarkup
from recorder.web.live_rows import COLOURS, LONG_PAUSE_S, STAGES, face_of, is_of_team, row_of

BEGAN = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
TEMPLATES = Path(live_rows.__file__).parent / "templates"


def listed(**more: Any) -> dict[str, Any]:
    return {
        "call": "a", "state": "paused", "reasons": ["agent"], "phase": "joined", "extension": "2001", "operator": "Ann",
        "started_at": BEGAN.isoformat(), "state_since": (BEGAN + timedelta(minutes=1)).isoformat(), "service": "100%",
        "team": "Revenues", "may": ["call.pause", "call.resume"], **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "phase", "reasons", "words", "colour"),
    [
        ("recording", "joined", (), "Recording", "green"),
        ("paused", "joined", ("agent",), "Paused", "yellow"),
        ("paused", "joined", ("agent", "hold"), "Paused", "yellow"),
        ("paused", "joined", ("hold",), "On hold", "yellow"),
        ("paused", "notice", ("agent",), "Paused", "yellow"),
        ("not_begun", "notice", (), "Hearing the notice", "teal"),
        ("not_begun", "second message", (), "Hearing the second message", "teal"),
        ("not_begun", "ringing after the notice", (), "Ringing", "teal"),
        ("not_begun", "joined", (), "Not recorded yet", "grey"),
        ("opted_out", "joined", (), "Opted out", "purple"),
        ("out_of_scope", "joined", (), "Not recorded", "grey"),
        ("failed", "joined", (), "Recording failed", "red"),
        ("not_confirmed", "joined", (), "Not confirmed", "red"),
        ("new_word", "joined", (), "New word", "grey"),
    ],
)
def test_a_state_is_said_in_words_and_in_a_colour(
    state: str, phase: str, reasons: tuple[str, ...], words: str, colour: str
) -> None:
    face = face_of(state, phase, reasons)
    assert (face.words, face.colour) == (words, colour)
    assert ("on hold" in face.why.lower()) == (len(reasons) == 2)


def test_each_phase_before_the_call_is_joined_has_its_words() -> None:
    after = {"JOINED", "TRANSFERRING", "LEFT_ALONE", "CLEARING", "THROUGH_RINGING", "THROUGH_JOINED", "ENDED"}
    assert {*STAGES} == {one.value for one in CallState if one.name not in after}
    assert {*STAGES.values()} < {*COLOURS}


def test_the_age_is_that_of_the_pause_and_a_hold_has_none() -> None:
    began = "2026-11-28T09:05:00Z"
    assert row_of(listed(paused_since=began)).paused_since == began, "a hold before it is not counted"
    assert row_of(listed()).paused_since == listed()["state_since"]
    for other in ({"state": "recording"}, {"reasons": ["hold"]}, {"state": "not_confirmed"}):
        assert row_of(listed(**other)).paused_since is None


def test_a_call_belongs_to_the_team_that_has_it_now() -> None:
    assert is_of_team(listed(), "Revenues")
    assert is_of_team(listed(teams_now=["Benefits"]), "Benefits")
    assert not is_of_team(listed(teams_now=["Benefits"]), "Revenues")
    assert is_of_team(listed(), "")


@pytest.fixture
def drawn() -> list[int]:
    """Return how many rows each call of the template drew."""
    return []


@pytest.fixture
def clock() -> list[datetime]:
    return [BEGAN]


@pytest.fixture
def markup(drawn: list[int], clock: list[datetime]) -> LiveMarkup:
    templates = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    templates.filters["clock"] = str

    def render(**values: Any) -> str:
        drawn.append(len(values["rows"]))
        return templates.get_template("live_drawn_rows.html").render(**values)

    def now_s() -> float:
        return clock[0].timestamp()

    return LiveMarkup(render, now_s=now_s)


def test_a_row_is_drawn_once_and_its_times_run(markup: LiveMarkup, drawn: list[int], clock: list[datetime]) -> None:
    rows = [row_of(listed()), row_of(listed(call="b", state="recording", operator="<Bea>"))]
    for after_s, running, age, is_late in ((61, "1:01", "0:01", False), (60 + LONG_PAUSE_S, "6:00", "5:00", True)):
        clock[0] = BEGAN + timedelta(seconds=after_s)
        html = markup.rows("token", "A & B", rows)
        assert html.count(f'"ticks">{running}<') == 2
        assert html.count(f'"ticks">{age}<') == 1
        assert html.count(" age-late") == is_late
    assert drawn == [2]
    assert "&lt;Bea&gt;" in html
    assert "100%" in html
    assert html.count('name="csrf" value="token"') == html.count('name="team" value="A &amp; B"') == 2
    other = markup.rows("else", "", [*rows, row_of(listed(state="opted_out"))])
    assert drawn == [2, 1], "what is known is not drawn again"
    assert "token" not in other
    assert 'name="team"' not in other


@pytest.mark.parametrize(
    ("person", "state", "may_hold"),
    [
        (Person(name="m", display_name="M", roles=frozenset({Role.MANAGER}), teams=("Revenues",)), "paused", True),
        (Person(name="m", display_name="M", roles=frozenset({Role.MANAGER}), teams=("Revenues",)), "opted_out", False),
        (Person(name="m", display_name="M", roles=frozenset({Role.MANAGER}), teams=("Housing",)), "recording", False),
        (Person(name="l", display_name="L", roles=frozenset({Role.TEAM_LEADER})), "recording", True),
        (Person(name="o", display_name="O", roles=frozenset({Role.OFFICER})), "recording", False),
        (None, "recording", False),
    ],
)
def test_a_hold_is_offered_to_those_who_may_place_one(person: Person | None, state: str, may_hold: bool) -> None:
    assert row_of(listed(state=state), person).may_hold is may_hold
