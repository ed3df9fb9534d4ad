"""What the console hands to the daemon of acts on calls in progress, and shows of them to whom.

The console refuses what a role never may, hands everything else to the daemon with who acts, which decides
(`tests.virtual.test_live_matrix`), and shows calls as they may be seen. Every route, by every role in every relation to
the call, is asked in `tests.integration.test_route_matrix`.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from recorder.permissions import Act, Role
from recorder.rules.live_access import Relation
from recorder.rules.requirement import Subject
from recorder.web.route_access import API
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import CALL, Console, console_site, signed_in
from tests.unit.recorder.test_live_access import EXPECTED, WHERE

NUMBER = "02079460000"
ACTS: dict[str, Act] = {route: needed.acts[0] for route, needed in API.items() if needed.subject is Subject.LIVE}
"""What the API does to a call; the forms of pages do the same by the same methods (`LiveCallService`)."""
PEOPLE = list(itertools.product(Role, Relation))


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder: Path = tmp_path_factory.mktemp("live-routes")
    with console_site(folder, now=Clock()) as running:
        for role, relation in PEOPLE:
            running.people.add(
                name(role, relation), PASSWORD, roles={role},
                teams=["Revenues"] if relation is Relation.TEAM else ["Housing"],
                extension="2001" if relation is Relation.OWN else None,
            )  # fmt: skip
        yield running


def name(role: Role, relation: Relation) -> str:
    return f"{role}-{relation}".replace("_", "-")


def may(role: Role, act: Act, relation: Relation) -> bool:
    return WHERE[relation] in EXPECTED[act].split()[list(Role).index(role)]


@pytest.mark.parametrize("role", list(Role))
def test_what_a_role_never_may_is_refused_and_the_rest_is_the_daemons_to_decide(console: Console, role: Role) -> None:
    relation = Relation.TEAM
    with signed_in(console, name(role, relation)) as browser:
        for route, act in ACTS.items():
            path = route.removeprefix("POST ")
            path = path.replace("{call}", CALL).replace("{number}", "2001").replace("{request_id}", "ffffffff")
            console.daemon.heard.clear()
            body: dict[str, object] = {"reason": "the caller is in distress"}
            if act is Act.RETROACTIVE_PAUSE:
                body["seconds"] = 5
            answer = browser.post(path, json=body)
            if not any(may(role, act, one) for one in Relation):
                assert (answer.status_code, console.daemon.heard) == (403, []), route
                continue
            (what, actor, _, sent), *_ = console.daemon.heard
            assert what.split()[0] == path.rpartition("/")[2], route
            assert actor == name(role, relation)
            assert sent["person"]["roles"] == [role.value]
            assert sent["person"]["teams"] == ["Revenues"]


@pytest.mark.parametrize(("role", "relation"), PEOPLE)
def test_a_call_is_shown_as_they_may_see_it(console: Console, role: Role, relation: Relation) -> None:
    console.daemon.state, console.daemon.requests = "recording", []
    sees, sees_numbers = may(role, Act.SEE_LIVE, relation), may(role, Act.SEE_NUMBERS, relation)
    is_ever = any(may(role, Act.SEE_LIVE, one) for one in Relation)
    with signed_in(console, name(role, relation)) as browser:
        for path in ("/api/calls", "/live", "/live/rows", "/agent", "/agent/state"):
            answer = browser.get(path)
            assert answer.status_code == (200 if is_ever else 403), path
            is_at_phone = path.startswith("/agent") and relation is not Relation.OWN
            assert (NUMBER in answer.text) == (sees_numbers and not is_at_phone), path
            if path == "/live/rows":
                assert (CALL in answer.text) == sees
        listed = browser.get("/api/calls").json().get("calls", [])
        assert [call["state"] for call in listed] == ["recording"] * sees
        assert [CALL in line for line in streamed(browser, "/api/events")] == [True] * sees
        changes = streamed(browser, "/live/changes")
        assert any(CALL in line for line in changes) == sees
        assert any(NUMBER in line for line in changes) == sees_numbers
        assert browser.get(f"/live/{CALL}/opt-out").status_code == (200 if sees else 404 if is_ever else 403)
    views = [entry for entry in console.entries("live.view") if entry.actor == name(role, relation)]
    assert len(views) == is_ever, "one an hour, however often it is looked"
    is_told = any(may(role, Act.SEE_NUMBERS, one) for one in Relation)
    assert [entry.details["numbers"] for entry in views] == [is_told] * is_ever


def streamed(browser: httpx2.Client, path: str) -> list[str]:
    """Return what a stream sends first of calls, as lines; nothing where it is not for them."""
    with browser.stream("GET", path) as answer:
        if answer.status_code == 403:
            return []
        assert answer.status_code == 200
        beats = 0
        for line in answer.iter_lines():
            if line.startswith("data: {") and line != "data: {}":
                return [json.dumps(json.loads(line.removeprefix("data: ")))]
            beats += line.startswith((": still here", "event: beat"))
            if beats == 3:  # what there is comes before
                return []
    return []
