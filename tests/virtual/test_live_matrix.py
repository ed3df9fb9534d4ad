"""Every act that the daemon's socket and the command line offer on a call in progress, by everybody in every relation.

Which routes and commands there are `recorder.control.socket_access` and `command_access` say; that they say all of them
is tested here of the socket and in `tests.integration.test_command_matrix` of the commands. What has to come out is the
table that `tests.unit.recorder.test_live_access` decides by hand.
"""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.sessions import SessionKind, Sessions
from recorder.cli import completion
from recorder.cli.cli import app
from recorder.cli.command_access import IF_NAMED, NAMED
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.web import patterns_of
from recorder.control.socket_access import SOCKET, check_socket
from recorder.permissions import TABLE, Act, Role
from recorder.rules.live_access import Relation
from recorder.rules.requirement import Subject, UnlistedError
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.json_results import problem_with
from tests.helpers.virtual.exchange import TurnedHome, exchange
from tests.unit.recorder.test_live_access import EXPECTED, WHERE

EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"'),
)
ROUTES: dict[str, Act | None] = {
    route: needed.acts[0] if needed.subject is Subject.LIVE else None for route, needed in SOCKET.items()
}
"""What each does to a call; None: nothing. Who is shown what of a list console and command line say, for people."""
COMMANDS: dict[str, Act] = {
    name: needed.acts[0] for name, needed in {**IF_NAMED, **NAMED}.items() if needed.subject is Subject.LIVE
}
"""What each command does to a call; a pause comes first, so that there is one to end."""
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


def test_every_route_is_in_the_table_and_every_entry_is_a_route(lines: Exchange) -> None:
    assert isinstance(lines.home, TurnedHome)
    assert set(patterns_of(lines.home.daemon_now.app.routes)) == set(SOCKET)


def test_a_daemon_with_a_route_that_nobody_listed_does_not_start() -> None:
    with pytest.raises(UnlistedError, match="POST /api/everything"):
        check_socket([*SOCKET, "POST /api/everything"])


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
        if act is Act.RETROACTIVE_PAUSE:
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


@pytest.mark.parametrize("role", list(Role))
def test_signing_on_by_the_socket(talk: Talk, role: Role) -> None:
    """At a colleague's phone: whose role may is asked for a code, and nobody sits elsewhere afterwards."""
    person = {"display_name": f"{role}", "roles": [role.value], "teams": ["Revenues"]}
    headers = {"X-Recorder-Actor": "x"}
    answer = talk.home.live.post("/api/agents/2002/sign-on", json={"person": person}, headers=headers)
    assert answer.status_code in ({200, 409} if Act.SIGN_ON in TABLE[role] else {403}), answer.text
    unnamed = talk.home.live.post("/api/agents/2002/sign-on", json={"person": person})
    assert unnamed.status_code == 403, unnamed.text


def test_nobody_unnamed_does_more_than_pause_nor_sees_a_number(talk: Talk, request_id: str) -> None:
    call = call_of(talk)
    for route, act in ROUTES.items():
        if act in (None, Act.PAUSE):
            continue
        path = route.removeprefix("POST ")
        path = path.replace("{call_id}", call).replace("{number}", "2001").replace("{request_id}", request_id)
        body = {"seconds": 0.1} if act is Act.RETROACTIVE_PAUSE else {}
        assert talk.home.live.post(path, json=body).status_code == 403, route
    assert talk.number not in talk.home.live.get("/api/calls").text
    for path in ("/api/events", "/api/opt-outs"):
        assert talk.home.live.get(path).status_code == 403


# --- the command line


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
        made[role, relation] = sessions.start(name, kind=SessionKind.SHELL, is_proven=True)
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
        where = [request_id] if name.split()[-1] in ("grant", "decline") else ["--call", call]
        options = {
            "calls retroactive-pause": ["--seconds", "0.1"],
            "opt-outs grant": ["--reason", "it is not stated that they asked"],
        }
        done = run(*name.split(), *where, *options.get(name, ()))
        said = " ".join((done.stderr or done.output).split())
        unfinished = ("Enter a reason", "state both", "not paused", "already")
        is_done = done.exit_code == 0 or any(words in said for words in unfinished)
        # Without a reason it comes to nothing, and whose role might is told so before it is known whose call it is.
        is_early = name in ("calls opt-out", "opt-outs decline") and any(may(role, act, one) for one in Relation)
        assert is_done is (is_early or may(role, act, relation)), (name, said)
    listed = run("calls", "list", "--json")
    if not may(role, Act.SEE_LIVE, relation):
        assert listed.exit_code != 0 or json.loads(listed.stdout) == []
        return
    (shown,) = json.loads(listed.stdout)
    assert (talk.number in listed.stdout) is may(role, Act.SEE_NUMBERS, relation)
    assert ("call.pause" in shown["may"]) is may(role, Act.PAUSE, relation)


def test_what_the_shell_shows_fits_its_schema(talk: Talk, tokens: dict[tuple[Role, Relation], str]) -> None:
    call = call_of(talk)
    for words, more in (("calls show", [call[:-2]]), ("agents list", []), ("calls resume", ["--call", call])):
        if words == "calls resume":
            assert CliRunner().invoke(app, ["calls", "pause", "--call", call, "-C", str(talk.home.root)]).exit_code == 0
        environment = {"RECORDER_TOKEN": tokens[Role.MANAGER, Relation.TEAM]}
        done = CliRunner().invoke(
            app, [*words.split(), *more, "--json", "-C", str(talk.home.root)], env=environment
        )  # fmt: skip
        assert done.exit_code == 0, (words, done.stderr, done.exception)
        assert problem_with(words, json.loads(done.stdout)) == ""


def test_the_shell_offers_live_calls(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "LIMIT_S", 10.0)
    environment = {
        "_RECORDER_COMPLETE": "complete_bash", "COMP_WORDS": "recorder calls show ", "COMP_CWORD": "3",
        "RECORDER_HOME": str(talk.home.root),
    }  # fmt: skip
    result = CliRunner().invoke(app, [], prog_name="recorder", env=environment)
    assert call_of(talk) in result.stdout.split()


@pytest.mark.parametrize("operator", ["alice", "somebody else"])
def test_the_keys_on_the_phone_act_whoever_is_signed_on(lines: Exchange, operator: str) -> None:
    if operator != "alice":
        body = {"person": {"display_name": operator, "roles": ["officer"]}}
        asked = lines.home.live.post("/api/agents/2001/sign-on", json=body, headers={"X-Recorder-Actor": "x"})
        before = lines.call()
        before.join()
        before.right.press(asked.json()["keys"])
        before.talk_for(3)
        before.hang_up()
    talk = lines.call()
    call = talk.join()
    assert next(one for one in talk.home.calls() if one["id"] == call)["operator"] == operator
    for keys, state in (("*1", "paused"), ("*2", "recording")):
        talk.right.press(keys)
        talk.talk_for(0.5)
        assert next(one for one in talk.home.calls() if one["id"] == call)["state"] == state
    talk.hang_up()
