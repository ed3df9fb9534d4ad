"""Accounts are connected to people at an OpenID provider, and disconnected, at the shell."""

from pathlib import Path
from typing import Any

import pytest

from recorder.access.attempts import SignInRefused
from recorder.access.database import open_people
from recorder.access.identities import ConnectedIdentities
from recorder.access.listening.appointments import Appointments
from recorder.access.sessions import Sessions
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.rules.signing_in import OpenIdIdentity
from storage.audit import AuditLog
from tests.helpers.accounts import PASSWORD, appoint_deputy
from tests.helpers.recorder_home import ADMIN, RecorderHome

ISSUER = "https://id.council.example"


class Desk:
    """An administrator's shell."""

    def __init__(self, home: RecorderHome) -> None:
        self.home = home
        self.engine = open_people(Home(home.root).people)
        self.identities = ConnectedIdentities(self.engine, now=utc_now)
        self._who = ("-C", str(home.root), "--as", ADMIN, "--password-file", str(home.password_file))

    def add(self, name: str) -> None:
        new = self.home.root.parent / "new"
        new.write_text(PASSWORD + "\n")
        assert self("add", name, "--role", "officer", "--new-password-file", str(new)) == ""

    def __call__(self, *words: str) -> str:
        """Run a command; returns what it complains of, or nothing."""
        done = self.home.run("users", *words, *self._who)
        return " ".join(done.stderr.split()) if done.returncode else ""

    def document(self, *words: str) -> Any:
        """Run a command that must succeed; returns its document."""
        return self.home.json("users", *words, *self._who[2:])


@pytest.fixture
def home(tmp_path: Path) -> RecorderHome:
    return RecorderHome(tmp_path, next_hop="127.0.0.1:5070")


@pytest.fixture
def recording_service(home: RecorderHome) -> Desk:
    home.edit('issuer = "off"', f'issuer = "{ISSUER}"')
    home.edit('client_id = "off"', 'client_id = "recorder"')
    home.edit('console_url = "off"          #', 'console_url = "http://127.0.0.1:8080"          #')
    recording_service = Desk(home)
    recording_service.add("ann")
    recording_service.add("bob")
    return recording_service


def test_an_administrator_connects_and_disconnects(recording_service: Desk) -> None:
    sessions = Sessions(recording_service.engine, now=utc_now)
    secret = sessions.start("ann")
    assert recording_service("connect", "ann", "--subject", "0815") == ""
    assert sessions.find(secret) is None, "whoever was in is asked who they are"
    connected = recording_service.identities.of("ann")
    assert connected is not None
    assert (connected.issuer, connected.subject, connected.by) == (ISSUER, "0815", ADMIN)
    listed = {row["name"]: row["is_connected"] for row in recording_service.home.json("users", "list")}
    assert (listed["ann"], listed["bob"]) == (True, False)
    assert "connected already" in recording_service("connect", "ann", "--subject", "4711")
    assert "Another account" in recording_service("connect", "bob", "--subject", "0815")
    assert recording_service("disconnect", "ann") == ""
    assert recording_service.identities.of("ann") is None
    assert "not connected" in recording_service("disconnect", "ann")
    done = recording_service.document("connect", "bob", "--subject", "0815")
    assert done == {"account": "bob", "is_done": True, "proposal": None}
    found = AuditLog(Home(recording_service.home.root).audit).entries()
    acts = [(entry.act, entry.actor, entry.subject) for entry in found if "connected" in entry.act]
    assert acts == [
        ("people.connected", ADMIN, "ann"), ("people.disconnected", ADMIN, "ann"), ("people.connected", ADMIN, "bob"),
    ]  # fmt: skip
    assert recording_service.document("disconnect", "bob") == done


def test_one_person_alone_connects_no_power(recording_service: Desk) -> None:
    assert recording_service("grant", "ann", "--role", "dpo", "--reason", "the new one, as decided") == ""
    assert "only they can connect their account" in recording_service("connect", "ann", "--subject", "0815")
    assert recording_service.identities.of("ann") is None
    assert "There is no account" in recording_service("connect", "nobody", "--subject", "0815")


def test_without_a_provider_there_is_nobody_to_connect_to(home: RecorderHome) -> None:
    assert "set issuer in [openid]" in Desk(home)("connect", ADMIN, "--subject", "0815")


def test_one_person_alone_connects_no_deputy(recording_service: Desk) -> None:
    appointments = Appointments(recording_service.engine, now=utc_now)
    assert recording_service("connect", "ann", "--subject", "0815") == ""
    assert appoint_deputy(appointments, "ann")
    assert recording_service.identities.of("ann") is None, "an administrator said who ann is at the provider"
    assert "only they can connect their account" in recording_service("connect", "ann", "--subject", "0815")
    somebody = OpenIdIdentity(issuer=ISSUER, subject="0815", account="ann", has_second_factor=True)
    refused = recording_service.identities.recognise(somebody)
    assert isinstance(refused, SignInRefused)
    assert recording_service.identities.of("ann") is None
    assert appointments.end_deputy()
    assert recording_service("connect", "ann", "--subject", "0815") == ""
