"""No route gives a person anything of a recording that is not theirs: every route of the console, every role, as it is.

The routes are asked of the application itself, so that one that comes later is tried too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from recorder.permissions import Role
from recorder.web.app import create_app
from storage.database import sqlite_url
from storage.index import Index
from storage.tombstones import Deletions, Tombstone
from storage.types import RecordingId
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.storage_home import ID

GONE = "20261124T093000Z-2001-ffffff"
NOTHING_KEPT, DELETED = RecordingId("20261124T093001Z-2001-ffffff"), RecordingId("20261124T093002Z-2001-ffffff")
NUMBER, OPERATOR = "02079460000", "Olive Officer"
STRANGERS = ("other", "admin", "mia", "housing")
"""An officer of other calls, an administrator, an elected member without leave, a manager of another team."""
HEARERS = ("lead", "revenues", "housing", "officer", "dpo", "other", "admin", "mia")
"""Nobody hears without leave; ICT may in an emergency, which is tried elsewhere."""
SOUND = ("RIFF", "fLaC", "OggS", "PK\x03\x04")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder: Path = tmp_path_factory.mktemp("routes")
    with console_site(folder, is_daemon_up=False) as running:
        running.people.add("mia", PASSWORD, display_name="Mia Member", roles={Role.MEMBER})
        index = Index(sqlite_url(running.home.index))
        index.save(replace(index.get(ID), id=NOTHING_KEPT, path=None))
        Deletions(index.database).settle([Tombstone(id=DELETED, deleted_at=datetime.now(UTC), rule="retention")])
        index.close()
        yield running


def each_route(found: Iterable[object]) -> Iterator[APIRoute]:
    """Yield routes, those of included routers too."""
    for route in found:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(included := getattr(route, "original_router", None), APIRouter):
            yield from each_route(included.routes)


def routes(console: Console) -> list[tuple[str, str]]:
    """Return method and path of every route that names a recording."""
    found = [
        (method, route.path)
        for route in each_route(create_app(console.deps).routes)
        if "{recording_id}" in route.path
        for method in sorted(route.methods or ())
    ]
    assert len(found) > 12
    return found


def asked(browser: httpx2.Client, method: str, path: str, recording: str) -> httpx2.Response:
    """Ask for a recording by a route, with everything that its forms and bodies can want."""
    address = path.replace("{recording_id}", recording)
    for name in ("secret", "act"):
        address = address.replace(f"{{{name}}}", "x")
    if method == "GET":
        return browser.get(address)
    if address == "/api/requests":
        wish = {"recordings": [recording], "category": "complaint", "leave": "listen", "reason": "complaint 17"}
        return browser.post(address, json=wish)
    wanted = {
        "reason": "complaint 17", "category": "complaint", "leave": "listen", "format": "wav", "kind": "complaint",
        "case_reference": "C 1", "start": "0", "end": "1", "csrf": browser.headers["X-CSRF-Token"],
    }  # fmt: skip
    if address.startswith("/api/"):
        del wanted["csrf"]
        bodies = {
            "export": ("reason", "format"), "holds": ("reason", "kind", "case_reference"), "forgot": ("reason",),
            "erase": ("reason",),
        }  # fmt: skip
        body: dict[str, object] = {name: wanted[name] for name in bodies.get(address.rpartition("/")[2], ())}
        if address.endswith(("/erase", "/forgot")):
            body |= {"from_s": 0, "to_s": 1}
        return browser.request(method, address, json=body)
    return browser.request(method, address, data=wanted)


def told(browser: httpx2.Client, method: str, path: str, recording: str) -> tuple[int, str]:
    """Return what is answered of a recording, without its id and what is another each time."""
    answer = asked(browser, method, path, recording)
    return answer.status_code, answer.text.replace(recording, "ID").replace(browser.headers["X-CSRF-Token"], "")


@pytest.mark.parametrize("name", STRANGERS)
def test_nobody_gets_of_what_is_not_theirs_anything_but_what_they_get_of_what_is_not_there(
    console: Console, name: str
) -> None:
    with signed_in(console, name) as browser:
        different = []
        for method, path in [*routes(console), ("POST", "/api/requests")]:
            theirs, *others, missing = [
                told(browser, method, path, recording) for recording in (ID, NOTHING_KEPT, DELETED, GONE)
            ]
            different += [
                (method, path, one[0], missing[0], one[1][:200], missing[1][:200])
                for one in (theirs, *others)
                if one != missing
            ]
            if "/request" in path and name == "mia":
                continue  # she may ask for any, on her two grounds: tests of requests
            assert theirs[0] in {403, 404, 422}, (method, path, theirs[0], theirs[1][:300])
            assert NUMBER not in theirs[1], (method, path)
            assert OPERATOR not in theirs[1], (method, path)
            assert not theirs[1].startswith(SOUND), (method, path)
            assert missing[0] in {403, 404, 422}, (method, path, missing[0])
        assert different == [], "or whoever tries ids learns which extension was called when"
    assert console.deps.copy_repositories.copies.of_recording(ID) == []
    assert console.deps.hold_repositories.holds.of_recording(ID) == []
    assert console.deps.repos.erasures.of_recording(ID) == []


@pytest.mark.parametrize("name", HEARERS)
def test_nobody_hears_without_leave(console: Console, name: str) -> None:
    with signed_in(console, name) as browser:
        for method, path in routes(console):
            if path.endswith(("/play", "/export", "/audio/{secret}")):
                answer = asked(browser, method, path, ID)
                assert answer.status_code in {403, 404}, (method, path, answer.status_code)
                assert not answer.text.startswith(SOUND), (method, path)
    assert console.deps.copy_repositories.copies.of_recording(ID) == []


def test_nobody_at_all_gets_to_the_sign_in_page(console: Console) -> None:
    with httpx2.Client(base_url=console.url, timeout=10) as browser:
        browser.headers["X-CSRF-Token"] = "x"
        for method, path in routes(console):
            answer = asked(browser, method, path, ID)
            if path.startswith("/api/"):
                assert answer.status_code in {401, 422}, (method, path, answer.status_code)
            else:
                assert answer.headers.get("location") == "/sign-in", (method, path, answer.status_code)
            assert NUMBER not in answer.text


def test_a_manager_finds_the_calls_of_their_teams_and_no_other(console: Console) -> None:
    console.people.add("north", PASSWORD, roles=[Role.MANAGER], teams=["North"])
    row = console.deps.index.get(ID)
    index = Index(sqlite_url(console.home.index))
    for number, (operator, team) in enumerate((("Ann", "North"), ("Bob", "Housing"), ("Olive Officer", "North"))):
        known = RecordingId(f"20261124T0931{number:02d}Z-2001-0a1b2c")
        index.save(replace(row, id=known, operator=operator, operators=(operator,), team=team, path=None))
    index.close()
    seen: dict[str, set[str]] = {}
    for name in ("north", "housing", "dpo"):
        with signed_in(console, name) as browser:
            found = browser.get("/api/recordings").json()
            seen[name] = {one["team"] for one in found["recordings"]}
            assert found["total"] == len(found["recordings"])
            page = browser.get("/recordings").text
            assert ("Bob" in page) == (name != "north")
            posted = browser.submit("/recordings", operator="Bob").text
            assert (">Bob with " in posted) == (name != "north")
            status = browser.get("/api/recordings/20261124T093101Z-2001-0a1b2c").status_code
            assert status == (404 if name == "north" else 200)
            assert browser.get("/api/recordings?operator=Bob").json()["total"] == (0 if name == "north" else 1)
    assert (seen["north"], seen["housing"]) == ({"North"}, {"Housing"})
    assert seen["dpo"] >= {"North", "Housing"}


def test_what_is_not_theirs_and_what_is_not_there_read_alike(console: Console) -> None:
    for name in ("other", "housing"):
        with signed_in(console, name) as browser:
            for path in ("/api/recordings/{}", "/recordings/{}"):
                theirs, missing = (browser.get(path.format(one)) for one in (ID, GONE))
                assert theirs.status_code == missing.status_code == 404
                assert theirs.text.replace(ID, GONE) == missing.text
