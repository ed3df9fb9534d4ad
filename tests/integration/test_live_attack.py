"""Who has no part in a call acts on it over HTTP, as in the attack that led to the table: console and daemon, real."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import httpx2
import pytest

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.sessions import Sessions
from recorder.common.home import Home
from recorder.permissions import Role
from storage.audit import AuditLog
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import eventually
from tests.integration.test_payment_page import console_process

EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"'),
    ('card_payment = "pause"', 'card_payment = "discard"'),
)
STRANGERS = ("mia", "ada", "otto", "hugo")
"""An elected member, an administrator, another team's officer, another team's manager."""
PEOPLE = {
    "mia": (Role.MEMBER, ()),
    "ada": (Role.ADMIN, ()),
    "otto": (Role.OFFICER, ("Housing",)),
    "hugo": (Role.MANAGER, ("Housing",)),
    "alice": (Role.OFFICER, ()),
    "carol": (Role.OFFICER, ("Revenues",)),
    "mary": (Role.MANAGER, ("Revenues",)),
}


class Site:
    def __init__(self, lines: Exchange, url: str) -> None:
        self.lines, self.url = lines, url
        self._engine = open_people(Home(lines.home.root).people)
        people = People(self._engine, now=lambda: datetime.now(UTC), hasher=CHEAP)
        for name, (role, teams) in PEOPLE.items():
            people.add(name, PASSWORD, display_name=name, roles={role}, teams=teams)

    @contextmanager
    def browser(self, name: str) -> Iterator[httpx2.Client]:
        """A browser in which somebody has signed in."""
        sessions = Sessions(self._engine, now=lambda: datetime.now(UTC))
        secret = sessions.start(name, is_proven=True)
        session = sessions.find(secret)
        assert session is not None
        headers = {"X-CSRF-Token": session.csrf}
        with httpx2.Client(base_url=self.url, headers=headers, timeout=5, trust_env=False) as browser:
            browser.cookies.set("recorder", secret)
            yield browser

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("attack")
    with exchange(folder, edits=EDITS) as lines, console_process(lines.home, folder / "console.log") as url:
        made = Site(lines, url)
        yield made
        made.close()


@pytest.fixture
def talk(site: Site) -> Iterator[Talk]:
    talk = site.lines.call()
    talk.join()
    yield talk
    talk.first.hang_up()
    talk.first.wait_ended()


def live(talk: Talk) -> dict[str, object]:
    found = talk.live
    assert found is not None
    return found


def test_a_stranger_neither_resumes_nor_discards_nor_sees_a_call(site: Site, talk: Talk) -> None:
    call = str(live(talk)["id"])
    for name in STRANGERS:
        with site.browser(name) as browser:
            for path in (f"/api/calls/{call}/pause", "/api/extensions/2001/pause"):
                answer = browser.post(path, json={"reason": "nosy"})
                assert (live(talk)["state"], answer.status_code in {403, 404}) == ("recording", True), (
                    name,
                    path,
                    answer.text,
                )
            listed = browser.get("/api/calls")
            assert listed.status_code == 403 or listed.json() == {"calls": []}, name
            assert talk.number not in browser.get("/live").text
    with site.browser("carol") as browser:
        (shown,) = browser.get("/api/calls").json()["calls"]
        assert (shown["extension"], shown["state"]) == ("2001", "recording")
        assert talk.number not in browser.get("/api/calls").text + browser.get("/live").text
        answer = browser.post(f"/api/calls/{call}/pause")
        assert answer.json()["state"] == "paused", "a colleague's pause discards nothing"
        assert browser.post(f"/api/calls/{call}/resume").status_code == 403
    for name in STRANGERS:
        with site.browser(name) as browser:
            for path in (f"/api/calls/{call}/resume", "/api/extensions/2001/resume"):
                answer = browser.post(path, json={"reason": "nosy"})
                assert (live(talk)["state"], answer.status_code in {403, 404}) == ("paused", True), (
                    name,
                    path,
                    answer.text,
                )
    with site.browser("alice") as browser:
        assert browser.post(f"/api/calls/{call}/resume").json()["state"] == "recording"
        assert browser.post(f"/api/calls/{call}/pause").json()["state"] == "discarded", "it is her call"
    refused = {
        (entry.actor, entry.act)
        for entry in AuditLog(site.lines.home.root / "audit").entries()
        if entry.act.endswith(".refused")
    }
    assert refused >= {(name, f"call.{act}.refused") for name in ("otto", "hugo") for act in ("pause", "resume")}
    assert {e.actor for e in AuditLog(site.lines.home.root / "audit").entries() if e.act == "access.refused"} == {
        "mia", "ada",
    }  # fmt: skip
    assert ("carol", "call.resume.refused") in refused
    eventually(lambda: not list(site.lines.home.root.rglob(f"{call}.part")), "the recording is gone")
