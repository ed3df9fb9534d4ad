"""Every route of the console, asked by every role about what is their own, their team's and others'.

Which routes there are is asked of the application, what must come out of `recorder.web.route_access`. The decisions
of that table's tables are made by hand in `tests.unit.recorder.test_access` and `test_live_access`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from urllib.parse import urlencode

import pytest

from recorder.common.web import patterns_of
from recorder.permissions import SCOPE_OF, TABLE, Act, Role, Scope
from recorder.rules.live_access import Relation
from recorder.rules.requirement import AccessLevel, Subject, UnlistedError, relations_of
from recorder.web import route_access
from recorder.web.app import create_app
from recorder.web.listening import SERVED
from recorder.web.route_access import API, ROUTES, STATIC, by_pattern
from storage.audit import AuditLog
from tests.helpers.accounts import PASSWORD
from tests.helpers.asked_app import Answer
from tests.helpers.matrix_site import DEPUTY, MatrixSite, Things, matrix_site, name_of

REFUSED = {401, 403, 404}
LOOKS = re.compile(r"(\.view|\.refused)$")
"""Entries of the audit log that change nothing: a page may be shown with the refusal."""
BY_STATE = {
    "GET /cases/{case_id}/transcripts/{one}", "POST /cases/{case_id}/transcript",
    "POST /cases/{case_id}/transcript-file", "GET /cases/{case_id}/letters/{which}",
    "GET /rights/{claim_id}/letters/{which}", "GET /recordings/{recording_id}/audio/{secret}", "POST /account/connect",
}  # fmt: skip
"""What takes more than a role where it is allowed - a transcript, an address of audio, a provider, a process that
makes a PDF: elsewhere tested."""
NOT_YET = {"POST /erasures/{order_id}/listen"}
"""What is for others, and whose own gets 409 here because nothing is there to be done yet."""
OF_UPHELD = {"POST /rights/{claim_id}/{event=lift}", "POST /rights/{claim_id}/{event=allow_use}"}
"""What is done to a claim that was upheld."""


class Entries(list[tuple[str, str]]):
    """What was written into the audit log: act and actor."""


@pytest.fixture(scope="module")
def written() -> Iterator[Entries]:
    entries, append = Entries(), AuditLog.append

    def appended(self: AuditLog, act: str, actor: str, *rest: object, **more: object) -> object:
        if act != SERVED:  # by no request: a listen is over some time after its last one
            entries.append((str(act), actor))
        return append(self, act, actor, *rest, **more)  # type: ignore[arg-type]

    patch = pytest.MonkeyPatch()
    patch.setattr(AuditLog, "append", appended)
    yield entries
    patch.undo()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MatrixSite]:
    with matrix_site(tmp_path_factory.mktemp("matrix")) as made:
        yield made


class Asker:
    """Somebody's browser, program or nobody's."""

    def __init__(self, site: MatrixSite, account: str = "", token: str = "") -> None:
        self._site = site
        self._account = account
        self.headers, self._csrf = {}, "x"
        if token:
            self.headers = {"authorization": f"Bearer {token}"}
        elif account:
            session = site.deps.sessions.start(account, is_proven=True)
            found = site.deps.sessions.find(session)
            assert found is not None
            self._csrf = found.csrf
            self.headers = {"cookie": f"recorder={session}", "x-csrf-token": self._csrf}

    def ask(self, route: str, things: Things) -> Answer:
        method, _, path = address(self._site, route, things).partition(" ")
        if method == "GET":
            return self._site.ask(method, path, headers=self.headers)
        if path.startswith("/api/"):
            body = json.dumps(sent_to_api(route, things, self._account)).encode()
            kind = "application/json"
        else:
            body, kind = urlencode({**form(route, things, self._account), "csrf": self._csrf}).encode(), FORM
        return self._site.ask(method, path, headers={**self.headers, "content-type": kind}, body=body)


FORM = "application/x-www-form-urlencoded"


def address(site: MatrixSite, route: str, things: Things) -> str:
    """Return a route with what stands in its path."""
    values = {
        **asdict(things), "emergency_id": site.emergency, "account": "lead", "secret": "x", "which": "acknowledgement",
        "one": things.recording_id, "message": "first", "version": "1", "day": "2026-11-28",
    }  # fmt: skip
    if "{hold_id}" in route:
        values["recording_id"] = things.held_id
    if route in OF_UPHELD:
        values["claim_id"] = site.upheld(things.account)
    if "{request_id}" in route:
        values["request_id"] = things.opt_out_id if "/opt-outs/" in route else site.request(things)
    route = re.sub(r"\{\w+=(\w+)\}", r"\1", route)
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], route)


def form(route: str, things: Things, account: str) -> dict[str, str]:
    """Return what any form of a page wants; what is missing is missing for everybody."""
    is_member, is_case = account == name_of(Role.MEMBER), "/cases" in route
    return {
        "reason": "complaint 17", "words": "looked into it", "text": "", "reference": "A 1", "kind": "complaint",
        "category": "about_me" if is_member else "complaint", "leave": "listen_and_export", "format": "wav",
        "start": "0", "end": "1", "caller_asked": "yes", "distress_judged": "yes", "span": "30", "days": "3",
        "decision": "grant" if "/opt-outs/" in route else "refuse",
        "recordings": things.held_id if is_case else things.recording_id, "recording": things.recording_id,
        "extension": "2001" if is_case else things.number, "password": PASSWORD,
        "service": "", "when": "now", "alarm": "disk_full", "remark": "a new disk is ordered", "hours": "8",
        "ground": "" if route.endswith(("/export", "/preview")) else "not_theirs", "use_ground": "consent",
    }  # fmt: skip


def sent_to_api(route: str, things: Things, account: str) -> dict[str, object]:
    """Return what a route of the API wants."""
    last, why = route.rpartition("/")[2], {"reason": "complaint 17"}
    if "/calls/" in route or "/extensions/" in route or "/opt-outs/" in route:
        if last in ("grant", "opt-out"):
            return {**why, "caller_asked": True, "distress_judged": True}
        return {**why, "seconds": 5} if last == "forgot" else {**why}
    if route == "POST /api/requests":
        wish = form(route, things, account)
        wanted = {name: wish[name] for name in ("category", "reference", "reason")}
        return {"recordings": [things.recording_id], **wanted}
    bodies: dict[str, dict[str, object]] = {
        "erase": {**why, "from_s": 0, "to_s": 1}, "forgot": {**why, "from_s": 0, "to_s": 1},
        "export": {**why, "format": "wav"}, "holds": {**why, "kind": "complaint"},
        "grant": {"words": "they may"}, "decline": {"words": "they may not"}, "match": {"recordings": []},
        "dismiss": {**why, "recordings": []}, "narrow": {**why, "search": {"extension": "2001"}},
        "cases": {"requester": "J. Doe"}, "search": {"extension": "2001"},
    }  # fmt: skip
    if "/erasures/" in route or "/holds/" in route or last in ("confirm-scope", "review"):
        return {**why}
    return {} if last in ("withdraw", "session") else bodies[last]


def is_sign_out(route: str) -> bool:
    """Tell whether a route ends the session: it is asked last."""
    return "sign-out" in route


def expected(role: Role, route: str, relation: Relation, *, is_deputy: bool = False) -> bool:
    needed = ROUTES[route]
    if is_deputy and needed.is_deputys:
        return not (needed.is_for_others and relation is Relation.OWN)
    return relation in relations_of(role, needed)


IN_ORDER = sorted((route for route, needed in ROUTES.items() if needed.level is not AccessLevel.OPEN), key=is_sign_out)


def relations_to_ask(role: Role, route: str, *, is_deputy: bool) -> tuple[Relation, ...]:
    """Return in which relations a route is asked about: one is as good as another where none of them counts."""
    needed = ROUTES[route]
    if is_deputy and not needed.is_deputys:
        return ()  # as any officer
    is_known = any(act in TABLE[role] for act in (*needed.acts, *needed.own_acts)) or (is_deputy and needed.is_deputys)
    return tuple(Relation) if is_known and needed.subject not in (Subject.NOTHING, Subject.PHONE) else (Relation.TEAM,)


def problem_with(answer: Answer, entries: list[tuple[str, str]], *, allowed: bool) -> str:
    """Return what is wrong with an answer; empty where nothing is."""
    if allowed:
        is_fine = answer.status not in REFUSED and answer.status < 500
        return "" if is_fine else f"{answer.status} where it is allowed: {words_of(answer)}"
    if answer.status not in REFUSED:
        return f"{answer.status} where it is refused: {words_of(answer)}"
    done = [act for act, _ in entries if not LOOKS.search(act)]
    return f"{answer.status}, and yet done: {', '.join(done)}" if done else ""


def words_of(answer: Answer) -> str:
    return " ".join(answer.text[-200:].split())


def test_every_route_is_in_the_table_and_every_entry_is_a_route(site: MatrixSite) -> None:
    assert set(patterns_of(site.app.routes)) == set(by_pattern(ROUTES))
    assert not [route for route, needed in ROUTES.items() if needed.level is not AccessLevel.ROLE and not needed.note]
    assert not [route for route, needed in ROUTES.items() if needed.level is AccessLevel.ROLE and not needed.acts]


def test_a_console_with_a_route_that_nobody_listed_does_not_start(
    site: MatrixSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(route_access._PATTERNS, "GET /audit")
    with pytest.raises(UnlistedError, match="GET /audit"):
        create_app(site.deps)


ROLES: list[tuple[str, Role, bool]] = [*((name_of(role), role, False) for role in Role), (DEPUTY, Role.OFFICER, True)]


@pytest.mark.parametrize(("account", "role", "is_deputy"), ROLES)
def test_each_role_gets_what_the_table_says(
    site: MatrixSite, written: Entries, account: str, role: Role, is_deputy: bool
) -> None:
    asker, wrong = Asker(site, account), []
    for relation in Relation:
        asked = [route for route in IN_ORDER if relation in relations_to_ask(role, route, is_deputy=is_deputy)]
        things = site.things(account, relation) if asked else None
        for route in asked:
            assert things is not None
            allowed = expected(role, route, relation, is_deputy=is_deputy)
            if allowed and is_left_out(route, role, relation, is_deputy=is_deputy):
                continue
            del written[:]
            answer = asker.ask(route, things)
            if answer.status == 409 and route in NOT_YET and relation is Relation.OWN:
                continue
            if problem := problem_with(answer, written, allowed=allowed):
                wrong.append(f"{route} by {account}, {relation}: {problem}")
    assert not wrong, "\n".join(wrong)


def is_left_out(route: str, role: Role, relation: Relation, *, is_deputy: bool) -> bool:
    """Tell whether what is allowed comes to nothing here: other tests have it."""
    if route in BY_STATE:
        return True
    if role is Role.ICT and route.endswith("/play") and relation is not Relation.TEAM:
        return True  # break-glass, one recording at a time
    return is_deputy and ROUTES[route].acts == (Act.DECIDE,)  # who decides for the DPO: tests of requests


def test_leave_opens_what_it_is_for(site: MatrixSite) -> None:
    wrong: list[str] = []
    heard_by: list[Role] = []
    for role in Role:
        asker = Asker(site, name_of(role))
        things = replace(site.things(name_of(role), Relation.OTHER), recording_id=site.untouched)
        site.give_leave(name_of(role))
        for route, needed in ROUTES.items():
            if needed.acts[:1] not in ((Act.PLAY,), (Act.EXPORT,), (Act.VIEW,)) or "{secret}" in route:
                continue
            if role is Role.ICT and route.endswith("/play"):
                continue
            answer = asker.ask(route, things)
            allowed = Relation.OTHER in relations_of(role, needed, has_grant=True)
            if problem := problem_with(answer, [], allowed=allowed):
                wrong.append(f"{route} by {role} with leave: {problem}")
            if allowed and route.endswith("/play"):
                found = re.search(r"(/recordings/\S+/audio/\S+)", answer.text)
                assert found, answer.text
                heard = site.ask("GET", found[1], headers=asker.headers)
                assert heard.status == 200, heard.text
                heard_by.append(role)
    assert not wrong, "\n".join(wrong)
    assert heard_by == [Role.OFFICER, Role.MANAGER, Role.TEAM_LEADER, Role.DPO, Role.MEMBER]


@pytest.mark.parametrize("scope", list(Scope))
def test_a_token_does_what_its_scope_is_for(site: MatrixSite, written: Entries, scope: Scope) -> None:
    asker, wrong = Asker(site, token=site.token(scope)), []
    things = site.things(name_of(Role.OFFICER), Relation.OTHER)
    for route, needed in API.items():
        if route.endswith("/api/session"):
            continue  # a token has none
        del written[:]
        answer = asker.ask(route, things)
        has_scope = not needed.is_personal and any(SCOPE_OF.get(act) is scope for act in needed.acts)
        allowed = needed.level is AccessLevel.SIGNED_IN or has_scope
        if problem := problem_with(answer, written, allowed=allowed):
            wrong.append(f"{route} by a token for {scope}: {problem}")
    assert not wrong, "\n".join(wrong)


def test_nobody_gets_no_further_than_the_sign_in(site: MatrixSite, written: Entries) -> None:
    nobody, wrong = Asker(site), []
    things = site.things(name_of(Role.OFFICER), Relation.OTHER)
    for route, needed in ROUTES.items():
        del written[:]
        answer = nobody.ask(route if route != STATIC else f"{STATIC}/console.css", things)
        to_sign_in = answer.status == 401 or (answer.status == 303 and answer.headers["location"] == "/sign-in")
        is_step = needed.level is AccessLevel.OPEN
        if (to_sign_in is is_step and not route.endswith(("/code", "/authenticator"))) or (written and not is_step):
            wrong.append(f"{route} by nobody: {answer.status}, {written}")
    assert not wrong, "\n".join(wrong)
