"""The page of accounts, and the same at the shell: powerful roles take two people."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from recorder.access.second_factor import Enrolled, SecondFactors
from recorder.access.totp import code_of, new_secret, step_of
from recorder.common.clock import utc_now
from recorder.notifications.watch import notify_of_changes
from recorder.permissions import Role
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Browser, Console, console_site, signed_in
from tests.helpers.recorder_home import ADMIN, RecorderHome, must, run

WHY = "she takes over on Monday"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with console_site(tmp_path, is_daemon_up=False) as running:
        running.people.add("ada", PASSWORD, roles=[Role.ADMIN])
        yield running


@pytest.fixture
def admin(console: Console) -> Iterator[Browser]:
    with signed_in(console, "admin") as browser:
        yield browser


def then(browser: Browser, answer: httpx2.Response) -> str:
    """Return the page that an act leads to."""
    assert answer.status_code == 303, answer.text
    return browser.get(answer.headers["location"]).text


def roles(console: Console, name: str) -> frozenset[Role]:
    person = console.people.find(name)
    assert person is not None
    return person.roles


def test_one_proposes_and_another_one_confirms(console: Console, admin: Browser) -> None:
    given = admin.submit("/people/officer/roles", role="dpo", reason=WHY)
    assert "is waiting for another administrator" in then(admin, given)
    (proposal,) = console.deps.proposals.waiting()
    path = f"/people/proposals/{proposal.id}"
    assert f'href="{path}">Give Olive Officer the role data protection officer</a>' in admin.get("/people").text
    page = admin.get(path).text
    assert WHY in page
    assert "You cannot decide this. It is waiting for another administrator" in page
    assert f'action="{path}/confirm"' not in page
    for name, status in (("admin", 403), ("officer", 403), ("revenues", 403), ("ict", 403), ("lead", 403)):
        with signed_in(console, name) as browser:
            assert browser.submit(f"{path}/confirm").status_code == status, name
    assert roles(console, "officer") == {Role.OFFICER}
    notify_of_changes(console.deps.watch)
    with signed_in(console, "ada") as browser:
        assert f'<a href="{path}">Give Olive Officer the role data' in browser.get("/overview").text
        assert browser.post(f"{path}/confirm", data={"csrf": "x"}).status_code == 403
        assert browser.submit(f"{path}/other").status_code == 404
        assert f'action="{path}/confirm"' in browser.get(path).text
        assert "You have confirmed the change." in then(browser, browser.submit(f"{path}/confirm"))
        assert browser.submit(f"{path}/confirm").status_code == 409
        assert "has been decided or has expired" in then(browser, browser.get(path))
    assert roles(console, "officer") == {Role.OFFICER, Role.DPO}
    assert [entry.actor for entry in console.entries("people.granted")] == ["ada"]
    assert {entry.actor for entry in console.entries("access.refused")} >= {"admin", "officer", "revenues", "ict"}


def test_the_deputy_is_confirmed_there_by_somebody_who_is_no_data_protection_officer(console: Console) -> None:
    known = console.deps.proposals
    proposal = known.name_deputy("admin", "lead", reason=WHY, enter=console.enter)[1]
    assert proposal is not None
    path, secret = f"/people/proposals/{proposal.id}/confirm", new_secret()
    factors = SecondFactors(console.people._engine, now=utc_now)
    assert isinstance(factors.enrol("lead", secret, code_of(secret, step_of(utc_now()))), Enrolled)
    with signed_in(console, "dpo") as dpo:
        page = dpo.get(path.removesuffix("/confirm")).text
        assert "It is the account’s first password" in page
        assert "Set up on " in page
        assert "Make lead the data protection officer’s deputy" in page
        assert f'action="{path}"' not in page
        assert dpo.submit(path).status_code == 403
        assert "Nobody can decide on the data protection officer’s own requests" in dpo.get("/deputy").text
    with signed_in(console, "ada") as ada:
        assert "You have confirmed the change." in then(ada, ada.submit(path))
        assert 'The deputy is <a href="/people/lead">lead</a>.' in ada.get("/deputy").text
    assert console.deps.hearing.approvers.deputies == {"lead"}
    assert [(entry.actor, entry.subject) for entry in console.entries("people.deputy")] == [("ada", "lead")]


def test_who_sees_the_page(console: Console) -> None:
    seen = {"admin": 200, "dpo": 200, "lead": 200, "officer": 403, "revenues": 403, "ict": 403}
    for name, status in seen.items():
        with signed_in(console, name) as browser:
            page = browser.get("/people")
            assert page.status_code == status, name
            assert ("Otto Other" in page.text) == (status == 200)
            pages = [browser.get(f"/people/officer{act}") for act in ("", "/roles", "/reset-authenticator")]
            assert [one.status_code for one in pages] == [status, *[200 if name == "admin" else 403] * 2]
            assert browser.get("/deputy").status_code == status
            assert ('href="/people/officer/roles"' in pages[0].text) == (name == "admin")
            if name != "admin":
                assert browser.submit("/people/officer/roles", role="manager", reason=WHY).status_code == 403
                assert browser.submit("/people/officer/reset-authenticator", reason=WHY).status_code == 403


def test_bad_forms(console: Console, admin: Browser) -> None:
    assert admin.submit("/people/officer/roles", role="king", reason=WHY).status_code == 422
    assert admin.submit("/people/officer/roles", reason=WHY).status_code == 422
    assert admin.submit("/people/officer/roles", role="dpo").status_code == 422
    assert admin.submit("/people/nobody/roles", role="manager", reason=WHY).status_code == 409
    assert admin.submit("/people/officer/reset-authenticator", reason=WHY).status_code == 409
    assert admin.get("/people/nobody").status_code == 404
    then(admin, admin.submit("/people/officer/roles", role="dpo", reason="<script>alert(1)</script>"))
    (proposal,) = console.deps.proposals.waiting()
    assert "<script>alert" not in admin.get(f"/people/proposals/{proposal.id}").text
    assert roles(console, "officer") == {Role.OFFICER}


def test_at_the_shell(tmp_path: Path) -> None:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070")
    on = ("-C", str(home.root))

    def by(name: str) -> tuple[str, ...]:
        return ("--as", name, "--password-file", str(home.password_file), *on)

    new = ("--new-password-file", str(home.password_file))
    must("users", "add", "dora", "--role", "dpo", *new, *by(ADMIN))
    must("users", "add", "lena", "--role", "team_leader", "--role", "officer", *new, *by(ADMIN))
    listed = {one["name"]: one["roles"] for one in json.loads(must("users", "list", "--json", *on))}
    assert (listed["dora"], listed["lena"]) == (["dpo"], ["officer"]), "the first one alone, the next one by two"
    (proposal,) = json.loads(must("users", "proposals", "--json", *on))
    assert (proposal["account"], proposal["roles"], proposal["proposed_by"]) == ("lena", ["team_leader"], ADMIN)
    assert (proposal["password_set_by"], proposal["authenticator_set_at"]) == (None, None)
    assert proposal["password_set_at"] is not None
    assert "first password" in must("users", "proposals", *on)
    assert "somebody else has to decide" in run("users", "confirm", proposal["id"], *by(ADMIN)).stderr
    assert run("users", "confirm", proposal["id"], *by("lena")).returncode == 1
    must("users", "confirm", proposal["id"], *by("dora"))
    assert json.loads(must("users", "proposals", "--json", *on)) == []
    refused = run("users", "grant", "lena", "--role", "dpo", *by(ADMIN))
    assert "reason" in refused.stderr
    must("users", "grant", "lena", "--role", "dpo", "--reason", WHY, *by(ADMIN))
    (proposal,) = json.loads(must("users", "proposals", "--json", *on))
    must("users", "decline", proposal["id"], *by("dora"))
    must("users", "revoke", "lena", "--role", "team_leader", *by(ADMIN))
    listed = {one["name"]: one["roles"] for one in json.loads(must("users", "list", "--json", *on))}
    assert listed["lena"] == ["officer"]
