"""From a request to the sound: asked, decided by somebody else, heard, written down; on the pages and at the shell."""

import re
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.asking import decide
from recorder.access.seals import Seals
from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.problems import ProblemError
from recorder.permissions import Role
from storage.audit import AuditLog
from storage.audit_reading import of_act
from tests.helpers.accounts import PASSWORD, Clock
from tests.helpers.console_site import Browser, Console, console_site, refused, signed_in
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import ID

ASKED = {"category": "complaint", "leave": "listen", "reason": "what was said about the arrears"}
WISH: dict[str, Any] = {"recordings": [ID], **ASKED}


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 26, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        running.people.add("mia", PASSWORD, display_name="Mia Member", roles={Role.MEMBER})
        yield running


def ask(browser: Browser, **changes: Any) -> dict[str, Any]:
    answer = browser.post("/api/requests", json={**WISH, **changes})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_an_officers_day(console: Console) -> None:
    with signed_in(console, "officer") as officer, signed_in(console, "lead") as lead:
        page = officer.get(f"/recordings/{ID}").text
        assert f'href="/recordings/{ID}/request"' in page
        assert f'action="/recordings/{ID}/play"' not in page
        assert f'action="/recordings/{ID}/request"' in officer.get(f"/recordings/{ID}/request").text
        assert "has been sent" in officer.submit(f"/recordings/{ID}/request", **ASKED).text
        page = officer.get(f"/recordings/{ID}").text
        assert "It is waiting for a decision" in page
        assert f'href="/recordings/{ID}/request" role="button"' not in page, "once is enough"
        (asked,) = lead.get("/api/requests").json()["requests"]
        path = f"/requests/{asked['id']}"
        assert f'href="{path}">Olive Officer asks to listen' in lead.get("/requests").text
        page = lead.get(path).text
        assert "what was said about the arrears" in page
        assert f'href="/recordings/{ID}"' in page
        assert f'action="{path}/grant"' in page
        assert f'action="{path}/grant"' not in officer.get(path).text
        with signed_in(console, "other") as other:
            assert other.get(path).status_code == other.get("/requests/ffffffff").status_code == 404
        empty = lead.submit(f"{path}/decline", words=" ", days="9")
        assert empty.status_code == 422
        assert 'href="#decide-' in empty.text
        assert 'value="9"' in empty.text
        assert lead.submit(f"/requests/{asked['id']}/grant", words="go on", days="2").status_code == 303
        assert "go on" in officer.get(path).text
        heard = officer.submit(f"/recordings/{ID}/play")
        found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', heard.text)
        assert found is not None
        assert officer.get(found[1]).content[:4] == b"RIFF"
        assert lead.submit(f"/recordings/{ID}/play", reason="me too").status_code == 403
    acts = [(e.act, e.actor, e.subject) for e in console.entries() if e.act.startswith(("request.", "recording.play"))]
    assert acts == [
        ("request.ask", "officer", asked["id"]),
        ("request.granted", "lead", asked["id"]),
        ("recording.play", "officer", ID),
        ("recording.play.opened", "officer", ID),
    ]


def test_declined_and_withdrawn(console: Console) -> None:
    with signed_in(console, "officer") as officer, signed_in(console, "lead") as lead:
        first, second = ask(officer)["id"], ask(officer)["id"]
        assert "reason" in refused(lead.post(f"/api/requests/{first}/decline", json={"words": ""}), 422)
        declined = lead.post(f"/api/requests/{first}/decline", json={"words": "ask your manager first"}).json()
        assert (declined["state"], declined["words"], declined["until"]) == (
            "declined", "ask your manager first", None,
        )  # fmt: skip
        assert "already" in refused(lead.post(f"/api/requests/{first}/grant", json={}), 409)
        assert officer.post(f"/api/requests/{second}/withdraw").json()["state"] == "withdrawn"
        assert "already" in refused(lead.post(f"/api/requests/{second}/grant", json={}), 409)
        assert officer.submit(f"/recordings/{ID}/play").status_code == 403
        refused(lead.post("/api/requests/00000000/grant", json={}), 404)
        third = ask(officer)["id"]
        refused(lead.post(f"/api/requests/{third}/withdraw"), 404)


def test_one_person_cannot_bury_what_others_ask(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.access.listening.asking.MOST_WAITING", 3)
    with signed_in(console, "officer") as officer, signed_in(console, "lead") as lead:
        first, *_ = [ask(officer)["id"] for _ in range(3)]
        assert "withdraw some of them" in refused(officer.post("/api/requests", json=WISH), 409)
        assert lead.post("/api/requests", json=WISH).status_code == 200, "others still ask"
        officer.post(f"/api/requests/{first}/withdraw")
        ask(officer)


def test_nobody_gets_round_the_team_leader(console: Console) -> None:
    with signed_in(console, "officer") as officer, signed_in(console, "dpo") as dpo, signed_in(console, "lead") as lead:
        asked = ask(officer)["id"]
        for browser in (officer, dpo):
            refused(browser.post(f"/api/requests/{asked}/grant", json={}), 403)
        refused(officer.post("/api/requests", json={**WISH, "category": "about_me", "reference": "R 1"}), 403)
        assert lead.submit("/team-leaders/lead/absent").status_code == 303
        assert dpo.post(f"/api/requests/{asked}/grant", json={}).json()["decided_by"] == "dpo"
        assert dpo.submit("/team-leaders/lead/back").status_code == 303
        refused(dpo.post(f"/api/requests/{ask(officer)['id']}/grant", json={}), 403)
        assert officer.submit("/team-leaders/lead/absent").status_code == 403
        assert dpo.submit("/team-leaders/officer/absent").status_code == 404
    assert [(e.act, e.actor) for e in console.entries() if e.act.startswith("people.") and "sign" not in e.act] == [
        ("people.absent", "lead"), ("people.back", "dpo"),
    ]  # fmt: skip


def test_what_is_not_theirs_is_as_if_it_were_not_there(console: Console) -> None:
    missing = "20261124T093000Z-2001-ffffff"
    with signed_in(console, "other") as other, signed_in(console, "housing") as manager:
        for browser in (other, manager):
            said = {
                one: refused(browser.post("/api/requests", json={**WISH, "recordings": [one]}), 403).replace(one, "")
                for one in (ID, missing)
            }
            assert said[ID] == said[missing]
        refused(other.post("/api/requests", json={**WISH, "recordings": []}), 422)
        assert other.submit("/requests", **ASKED, recordings=f"{ID} {missing}").status_code == 403
        assert other.submit("/requests", **{**ASKED, "category": "spite"}, recordings=ID).status_code == 422
    assert console.deps.hearing.requests.newest() == []


def test_an_elected_member(console: Console) -> None:
    with signed_in(console, "mia") as member, signed_in(console, "lead") as lead:
        refused(member.post("/api/requests", json=WISH), 403)
        refused(member.post("/api/requests", json={**WISH, "category": "authorised"}), 422)
        assert member.get(f"/recordings/{ID}").status_code == 403
        asked = ask(member, category="authorised", reference="letter of 3 November")["id"]
        assert lead.post(f"/api/requests/{asked}/grant", json={}).status_code == 200
        assert member.get(f"/recordings/{ID}").status_code == 200
        assert "audio" in member.submit(f"/recordings/{ID}/play").text
        assert member.submit("/recordings").status_code == 403


def test_leave_ends(console: Console, clock: Clock) -> None:
    with signed_in(console, "officer") as officer:
        granted = console.give_leave("officer", days=1)
        assert granted.until == clock.time + timedelta(days=1)
        assert officer.submit(f"/recordings/{ID}/play").status_code == 200
    clock.time = granted.until
    with signed_in(console, "officer") as officer:
        assert officer.submit(f"/recordings/{ID}/play").status_code == 403
        assert "Granted, ended" in officer.get("/requests").text


def test_of_two_that_decide_at_once_one_does(console: Console) -> None:
    hearing = console.deps.hearing
    console.people.add("leo", PASSWORD, roles={Role.TEAM_LEADER})
    with signed_in(console, "officer") as officer:
        asked = ask(officer)["id"]
    start, said = threading.Barrier(2), []

    def one(name: str, *, granted: bool) -> None:
        person = console.people.find(name)
        assert person is not None
        start.wait()
        try:
            said.append(str(decide(hearing, person, asked, granted=granted, words="so it is").state))
        except ProblemError as error:
            said.append(str(error.status))

    threads = [
        threading.Thread(target=one, args=(name,), kwargs={"granted": name == "leo"}) for name in ("leo", "lead")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    kept = hearing.requests.get(asked)
    assert kept is not None
    assert sorted(said) == ["409", str(kept.state)]
    decided = [e.act for e in console.entries() if e.subject == asked and e.act != "request.ask"]
    done = [
        act for act in decided if f"{act}.not_stored" not in decided and not act.endswith((".not_stored", ".refused"))
    ]
    assert done == [f"request.{kept.state}"]


def test_without_the_log_nothing_is_asked_or_granted(console: Console) -> None:
    with signed_in(console, "officer") as officer, signed_in(console, "lead") as lead:
        asked = ask(officer)["id"]
        console.home.audit.rename(console.home.audit.with_name("kept"))
        console.home.audit.write_text("in the way")
        answers: list[httpx2.Response] = [
            officer.post("/api/requests", json=WISH),
            lead.post(f"/api/requests/{asked}/grant", json={}),
            lead.submit("/team-leaders/lead/absent"),
        ]
        assert [answer.status_code for answer in answers] == [503, 503, 503]
    assert [(str(one.state), one.id) for one in console.deps.hearing.requests.newest()] == [("waiting", asked)]
    assert console.deps.hearing.appointments.absent() == frozenset()


# --- at the shell


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        home.add_person("lena", Role.TEAM_LEADER)
        home.add_person("ian", Role.ICT)
        yield home


def test_at_the_shell(home: RecorderHome) -> None:
    def requests(*words: str, by: str) -> tuple[int, str]:
        who = ("--as", by, "--password-file", str(home.password_file), "-C", str(home.root))
        done = CliRunner().invoke(app, ["approvers" if words[0] in ("absent", "back") else "requests", *words, *who])
        return done.exit_code, " ".join((done.stdout + done.stderr).split())

    wish = (ID, "--category", "complaint", "--reason", "complaint 17")
    code, said = requests("ask", *wish, by="founder")
    assert (code, "There is no recording" in said) == (1, True)
    assert requests("ask", *wish, by="ian")[0] == 1
    assert requests("absent", "lena", by="founder") == (0, "lena is absent")
    assert requests("absent", "founder", by="founder")[0] == 1
    assert requests("back", "lena", by="lena") == (0, "lena is present")
    assert requests("list", by="founder") == (0, "there are no requests")
    assert requests("list", "--waiting", "--json", by="lena") == (0, "[]")
    assert requests("grant", "00000000", by="lena")[0] == 1
    assert home.json("requests", "emergencies") == []


def test_two_people_name_the_deputy_at_the_shell(home: RecorderHome) -> None:
    home.add_person("ada", Role.ADMIN)
    home.add_person("bob", Role.ADMIN)
    home.add_person("dora", Role.DPO)

    def recorder(*words: str, by: str) -> tuple[int, str]:
        who = ("--as", by, "--password-file", str(home.password_file), "-C", str(home.root))
        done = CliRunner().invoke(app, [*words, *who])
        return done.exit_code, " ".join((done.stdout + done.stderr).split())

    name = ("approvers", "deputy", "lena", "--reason", "stands in")
    code, said = recorder("approvers", "deputy", "nobody", "--reason", "x y z", by="ada")
    assert (code, "There is no account 'nobody'" in said) == (1, True)
    for by in ("dora", "ian", "lena"):
        assert recorder(*name, by=by)[0] == 1
    code, said = recorder(*name, by="founder")
    assert (code, "two other people must choose" in said) == (1, True), "an administrator who is an officer too"
    code, said = recorder(*name, by="ada")
    assert (code, "no data protection officer confirms it" in said) == (0, True)
    proposal = said.rpartition(" ")[2].strip("`")
    for by in ("dora", "founder", "ada"):
        assert recorder("users", "confirm", proposal, by=by)[0] == 1
    assert recorder("users", "confirm", proposal, by="bob")[0] == 0
    named = [
        (one.actor, one.subject) for one in of_act(AuditLog(home.root / "audit").path, "people.deputy") if one.subject
    ]
    assert named[-1] == ("bob", "lena")
    assert recorder("approvers", "deputy", by="dora")[0] == 1
    assert recorder("approvers", "deputy", by="ada") == (0, "the data protection officer has no deputy")
    assert recorder("approvers", "deputy", by="ada")[0] == 1


def test_asking_for_another_deputy_at_the_shell_changes_nothing_yet(home: RecorderHome) -> None:
    """Neither one administrator nor a slip of theirs ends the present deputy: not while it waits, nor afterwards."""
    for name, role in (("ada", Role.ADMIN), ("bob", Role.ADMIN), ("dora", Role.DPO), ("olive", Role.OFFICER)):
        home.add_person(name, role)

    def recorder(*words: str, by: str) -> str:
        who = ("--as", by, "--password-file", str(home.password_file), "-C", str(home.root))
        done = CliRunner().invoke(app, [*words, *who])
        return " ".join((done.stdout + done.stderr).split())

    def propose(account: str) -> str:
        return recorder("approvers", "deputy", account, "--reason", "stands in", by="ada").rpartition(" ")[2].strip("`")

    def deputies() -> frozenset[str]:
        engine = open_people(home.root / "people.sqlite")
        people = People(engine, now=utc_now, seals=Seals(AuditLog(home.root / "audit")))
        appointments = Appointments(engine, now=utc_now)
        assert appointments.unexplained(people) is None
        return appointments.approvers(people).deputies

    first = propose("olive")
    assert deputies() == frozenset(), "one alone names nobody"
    recorder("users", "confirm", first, by="bob")
    assert deputies() == {"olive"}
    for account in ("lena", "nobody", "ian"):
        proposal = propose(account)
        assert deputies() == {"olive"}, f"{account} is asked for, or refused"
        recorder("users", "decline", proposal, by="bob")
        assert deputies() == {"olive"}, f"{account} is declined"
    left = propose("lena")
    with closing(sqlite3.connect(home.root / "people.sqlite")) as connection, connection:
        connection.execute("UPDATE proposals SET until_s = 0 WHERE id = ?", (left,))
    assert "has expired" in recorder("users", "confirm", left, by="bob")
    assert deputies() == {"olive"}, "nobody confirmed it in time"
    recorder("users", "confirm", propose("lena"), by="bob")
    assert deputies() == {"lena"}
    recorder("approvers", "deputy", by="ada")
    assert deputies() == frozenset()
    asked = of_act(AuditLog(home.root / "audit").path, "people.deputy.asked")
    assert [one.subject for one in asked] == ["olive", "lena", "nobody", "ian", "lena", "lena"]
