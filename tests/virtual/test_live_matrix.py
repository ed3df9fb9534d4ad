"""Every act that the daemon's socket and the command line offer on a call in progress, by everybody in every relation.

Which routes and commands there are is asked of the application itself: one that is not in the tables below fails. What
has to come out is the table that `tests.unit.recorder.test_live_access` decides by hand.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from recorder.cli import app
from recorder.clock import utc_now
from recorder.domain.access import Act, Role
from recorder.domain.live_access import Relation
from recorder.home import Home
from recorder.people.accounts import People
from recorder.people.database import open_people
from recorder.people.sessions import Kind, Sessions
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.virtual.exchange import TurnedHome, exchange
from tests.unit.recorder.test_live_access import EXPECTED, WHERE

EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"'),
)
ROUTES: dict[str, Act | None] = {
    "POST /api/calls/{call_id}/pause": Act.PAUSE,
    "POST /api/calls/{call_id}/resume": Act.RESUME,
    "POST /api/calls/{call_id}/forgot": Act.FORGOT,
    "POST /api/calls/{call_id}/opt-out": Act.OPT_OUT,
    "POST /api/calls/{call_id}/opt-out-request": Act.RAISE_OPT_OUT,
    "POST /api/calls/{call_id}/second-message": Act.SECOND_MESSAGE,
    "POST /api/extensions/{number}/pause": Act.PAUSE,
    "POST /api/extensions/{number}/resume": Act.RESUME,
    "POST /api/extensions/{number}/forgot": Act.FORGOT,
    "POST /api/extensions/{number}/opt-out": Act.OPT_OUT,
    "POST /api/extensions/{number}/second-message": Act.SECOND_MESSAGE,
    "POST /api/opt-outs/{request_id}/grant": Act.OPT_OUT,
    "POST /api/opt-outs/{request_id}/decline": Act.DECLINE_OPT_OUT,
    # Shown to whoever asks for people, who are known there: console and command line. Nobody unnamed sees a number.
    "GET /api/calls": None,
    "GET /api/events": None,
    "GET /api/opt-outs": None,
    # About no call.
    "GET /openapi.json": None,
    "GET /api/health": None,
    "GET /api/agents": None,
    "POST /api/agents/{extension}/sign-on": None,
    "POST /api/agents/{extension}/sign-off": None,
    "POST /api/reload": None,
}
COMMANDS: dict[str, Act | None] = {
    "calls": Act.SEE_LIVE,
    "pause": Act.PAUSE,
    "resume": Act.RESUME,
    "forgot": Act.FORGOT,
    "opt-out": Act.OPT_OUT,
    "second-message": Act.SECOND_MESSAGE,
    "opt-outs raise": Act.RAISE_OPT_OUT,
    "opt-outs grant": Act.OPT_OUT,
    "opt-outs decline": Act.DECLINE_OPT_OUT,
    "opt-outs list": None,
    "agents list": None,
    "agents sign-on": None,
    "agents sign-off": None,
    "reload": None,
}
"""Every command of the modules that ask the daemon."""
MODULES = ("live", "opt_outs", "forgot", "second_message")
PEOPLE = list(itertools.product(Role, Relation))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("matrix"), edits=EDITS) as made:
        yield made


@pytest.fixture(scope="module")
def talk(lines: Exchange) -> Iterator[Talk]:
    """One call of alice's, of the team Revenues; nobody ends its recording."""
    talk = lines.call()
    talk.join()
    yield talk
    talk.hang_up()


@pytest.fixture(scope="module")
def request_id(talk: Talk) -> str:
    """A request to opt out that nobody decides."""
    body = {"person": {"display_name": "alice", "roles": ["officer"]}}
    return str(talk.home.act(f"/api/calls/{call_of(talk)}/opt-out-request", by="alice", **body).json()["id"])


def call_of(talk: Talk) -> str:
    assert talk.live is not None
    return str(talk.live["id"])


def may(role: Role, act: Act, relation: Relation) -> bool:
    return WHERE[relation] in EXPECTED[act].split()[list(Role).index(role)]


def named(role: Role, relation: Relation) -> str:
    return "alice" if relation is Relation.OWN else f"{role} {relation}"


def teams(relation: Relation) -> list[str]:
    return ["Revenues"] if relation is Relation.TEAM else ["Housing"]


def test_no_route_is_outside_the_table(lines: Exchange) -> None:
    assert isinstance(lines.home, TurnedHome)
    found = {
        f"{method} {route.path}"
        for route in lines.home.daemon_now.app.routes
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD"
    }
    assert found == set(ROUTES)


@pytest.mark.parametrize(("role", "relation"), PEOPLE)
def test_every_act_by_the_socket(talk: Talk, request_id: str, role: Role, relation: Relation) -> None:
    call = call_of(talk)
    person = {"display_name": named(role, relation), "roles": [role.value], "teams": teams(relation)}
    for route, act in ROUTES.items():
        if act is None:
            continue
        path = route.removeprefix("POST ")
        path = path.replace("{call_id}", call).replace("{number}", "2001").replace("{request_id}", request_id)
        body: dict[str, Any] = {"person": person, "reason": ""}  # an opt-out without a reason comes to nothing
        if act is Act.FORGOT:
            body["seconds"] = 0.1
        answer = talk.home.live.post(path, json=body, headers={"X-Recorder-Actor": "x"})
        if may(role, act, relation):
            assert answer.status_code in {200, 409, 422}, (route, answer.text)
        elif may(role, Act.SEE_LIVE, relation):
            assert answer.status_code == 403, (route, answer.text)
        else:
            # Of an opt-out, and of a request for one, a role that never may is told so, of any id.
            is_never = not any(may(role, act, other) for other in Relation)
            assert answer.status_code in ({403, 404} if is_never else {404}), (route, answer.text)


def test_nobody_unnamed_does_more_than_pause_nor_sees_a_number(talk: Talk, request_id: str) -> None:
    call = call_of(talk)
    for route, act in ROUTES.items():
        if act in (None, Act.PAUSE):
            continue
        path = route.removeprefix("POST ")
        path = path.replace("{call_id}", call).replace("{number}", "2001").replace("{request_id}", request_id)
        body = {"seconds": 0.1} if act is Act.FORGOT else {}
        assert talk.home.live.post(path, json=body).status_code == 403, route
    assert talk.number not in talk.home.live.get("/api/calls").text
    for path in ("/api/events", "/api/opt-outs"):
        assert talk.home.live.get(path).status_code == 403


# --- the command line


def test_no_command_is_outside_the_table() -> None:
    import importlib  # noqa: PLC0415 - commands are loaded when they are called

    defined = set()
    for module in MODULES:
        found = vars(importlib.import_module(f"recorder.commands.{module}"))
        groups = {name: one for name, one in found.items() if isinstance(one, typer.Typer)}
        for name, group in groups.items():
            word = name.replace("_", "-")
            if group.registered_commands and group.registered_commands[0].callback.__module__.endswith(module):
                defined |= {f"{word} {command.name}" for command in group.registered_commands}
    single = {name for name in COMMANDS if " " not in name}
    assert defined | single == set(COMMANDS)
    help_text = CliRunner().invoke(app, ["--help"]).stdout
    for name in single:
        assert f" {name} " in help_text


@pytest.fixture(scope="module")
def tokens(lines: Exchange) -> dict[tuple[Role, Relation], str]:
    """Sign everybody in at a shell: by the token no password has to be checked."""
    engine = open_people(Home(lines.home.root).people)
    people, sessions = People(engine, now=utc_now, hasher=CHEAP), Sessions(engine, now=utc_now)
    made = {}
    for role, relation in PEOPLE:
        name = f"{role}-{relation}"
        people.add(name, PASSWORD, display_name=f"{name}", roles={role}, teams=teams(relation),
                   extension="2001" if relation is Relation.OWN else None)  # fmt: skip
        made[role, relation] = sessions.start(name, kind=Kind.SHELL, is_proven=True)
    engine.dispose()
    return made


@pytest.mark.parametrize(("role", "relation"), PEOPLE)
def test_every_command(
    talk: Talk, request_id: str, tokens: dict[tuple[Role, Relation], str], role: Role, relation: Relation
) -> None:
    call, home = call_of(talk), talk.home

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, [*words, "-C", str(home.root)], env={"RECORDER_TOKEN": tokens[role, relation]})

    for name, act in COMMANDS.items():
        if act in (None, Act.SEE_LIVE):
            continue
        where = [request_id] if name.split()[-1] in ("grant", "decline") else ["--call", call]
        options = {"forgot": ["--seconds", "0.1"], "opt-outs grant": ["--reason", "it is not stated that they asked"]}
        done = run(*name.split(), *where, *options.get(name, ()))
        said = " ".join((done.stderr or done.output).split())
        unfinished = ("takes a reason", "state both", "not paused", "already")
        is_done = done.exit_code == 0 or any(words in said for words in unfinished)
        # Without a reason it comes to nothing, and whose role might is told so before it is known whose call it is.
        is_early = name in ("opt-out", "opt-outs decline") and any(may(role, act, one) for one in Relation)
        assert is_done is (is_early or may(role, act, relation)), (name, said)
    listed = run("calls", "--json")
    if not may(role, Act.SEE_LIVE, relation):
        assert listed.exit_code != 0 or json.loads(listed.stdout) == []
        return
    (shown,) = json.loads(listed.stdout)
    assert (talk.number in listed.stdout) is may(role, Act.SEE_NUMBERS, relation)
    assert ("call.pause" in shown["may"]) is may(role, Act.PAUSE, relation)


@pytest.mark.parametrize("operator", ["alice", "somebody else"])
def test_the_keys_on_the_phone_act_whoever_is_signed_on(lines: Exchange, operator: str) -> None:
    who = {"X-Recorder-Actor": "x"}
    lines.home.live.post("/api/agents/2001/sign-on", json={"operator": operator}, headers=who).raise_for_status()
    talk = lines.call()
    call = talk.join()
    for keys, state in (("*1", "paused"), ("*2", "recording")):
        talk.right.press(keys)
        talk.talk_for(0.5)
        assert next(one for one in talk.home.calls() if one["id"] == call)["state"] == state
    talk.hang_up()
