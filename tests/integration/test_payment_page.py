"""A payment page pauses and resumes by HTTP with its token: console, daemon and a live call, all real."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.ports import free_port
from recorder.access.database import open_people
from recorder.access.tokens import Tokens
from recorder.common.home import Home
from recorder.permissions import Scope
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from tests.helpers import preloaded
from tests.helpers.accounts import add_token
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually

EDITS = (("erase_s = 3.0", "erase_s = 0.3"),)
ELSEWHERE = "127.0.0.2"


class PaymentPage:
    """What a payment page does: it knows the recorder's address, its token, and an extension or a call."""

    def __init__(self, url: str, token: str, *, source: str = "127.0.0.1") -> None:
        transport = httpx2.HTTPTransport(local_address=source)
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx2.Client(base_url=url, headers=headers, transport=transport, timeout=HANGS_S, trust_env=False)

    def __enter__(self) -> "PaymentPage":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def act(self, word: str, *, call: str = "", extension: str = "") -> httpx2.Response:
        where = f"/api/calls/{call}" if call else f"/api/extensions/{extension}"
        return self._http.post(f"{where}/{word}", json={"reason": "card payment"})

    def get(self, path: str) -> httpx2.Response:
        return self._http.get(path)


@dataclass
class Site:
    lines: Exchange
    url: str

    @property
    def home(self) -> RecorderHome:
        return self.lines.home

    def token(self, name: str, *, scope: str = "pause", days: float = 30, **limits: Any) -> str:
        """Make a token; a negative number of days makes one that has expired."""
        engine = open_people(Home(self.home.root).people)
        now = datetime.now(UTC)
        try:
            made = add_token(
                Tokens(engine, now=lambda: now - timedelta(days=60)),
                name,
                scopes=[Scope(scope)],
                expires_at=now + timedelta(days=days),
                **limits,
            )
        finally:
            engine.dispose()
        return made.secret

    def page(self, name: str, *, source: str = "127.0.0.1", **options: Any) -> PaymentPage:
        return PaymentPage(self.url, self.token(name, **options), source=source)

    def entries(self, actor: str) -> list[AuditEntry]:
        return [entry for entry in AuditLog(self.home.root / "audit").entries() if entry.actor == actor]


@contextmanager
def console_process(home: RecorderHome, log: Path) -> Iterator[str]:
    """Run the console on a port of its own."""
    port = free_port()
    home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "127.0.0.1:{port}"')
    process = preloaded.start(["console", "-C", str(home.root)], log)
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        assert process.poll() is None, f"the console ended at its start: {log.read_text()[-2000:]}"
        try:
            return httpx2.get(f"{url}/sign-in", timeout=HANGS_S, trust_env=False).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    try:
        eventually(is_up, "the console answers")
        yield url
    finally:
        process.terminate()
        process.wait(HANGS_S)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("payment")
    with exchange(folder, edits=EDITS) as lines, console_process(lines.home, folder / "console.log") as url:
        yield Site(lines, url)


def problem(answer: httpx2.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert document["title"]
    return str(document["detail"])


def state_of(talk: Talk) -> tuple[str, list[str]]:
    found = talk.wait_phase("joined")
    return found["state"], found["reasons"]


def test_it_pauses_and_resumes_a_call_and_is_told_the_positions(site: Site) -> None:
    talk = site.lines.call()
    call = talk.join()
    talk.talk_for(0.8)
    with site.page("shop", extensions=["2001"], networks=["127.0.0.1/32"]) as page:
        paused = page.act("pause", call=call).json()
        assert (paused["call"], paused["state"], paused["reasons"]) == (call, "paused", ["payment_app:shop"])
        assert state_of(talk) == ("paused", ["payment_app:shop"])
        talk.talk_for(0.5)
        resumed = page.act("resume", call=call).json()
        assert (resumed["call"], resumed["state"], resumed["reasons"]) == (call, "recording", [])
        assert page.get("/api/calls").status_code == 403, "pausing is all that it may"
        assert page.get("/api/recordings").status_code == 403
        talk.talk_for(0.5)
        row = talk.hang_up()
    closed = next(segment for segment in row["segments"] if segment["kind"] == "paused")
    assert (closed["reason"], closed["by"]) == ("payment_app:shop", "token:shop")
    assert closed["start_s"] == pytest.approx(paused["position_s"], abs=0.001)
    assert closed["end_s"] == pytest.approx(resumed["position_s"], abs=0.001)
    acts = [(entry.act, entry.subject) for entry in site.entries("token:shop")]
    assert acts[:2] == [("call.pause", call), ("call.resume", call)]
    assert [act for act, _ in acts[2:]] == ["access.refused"] * 2


def test_it_pauses_every_call_of_its_extension(site: Site) -> None:
    one, two, other = site.lines.call(), site.lines.call(), site.lines.call("2002")
    calls = {one.join(), two.join()}
    other.join()
    with site.page("desk", extensions=["2001"]) as page:
        answers = page.act("pause", extension="2001").json()["calls"]
        assert {answer["call"] for answer in answers} == calls
        assert all(answer["state"] == "paused" and answer["position_s"] >= 0 for answer in answers)
        assert (state_of(one)[0], state_of(two)[0], state_of(other)[0]) == ("paused", "paused", "recording")
        assert {a["state"] for a in page.act("resume", extension="2001").json()["calls"]} == {"recording"}
        for talk in (one, two, other):
            talk.hang_up()
        assert "no recorded call" in problem(page.act("pause", extension="2001"), 404).lower()
    assert [entry.act for entry in site.entries("token:desk")] == [
        "call.pause", "call.pause", "call.resume", "call.resume", "call.pause.refused",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "options", "status", "sentence", "why"),
    [
        ("scope", {"scope": "calls:read"}, 403, "needs the scope pause", None),
        ("expired", {"days": -1}, 401, "not valid", "expired"),
        ("other-extension", {"extensions": ["2002"]}, 403, "not valid for this extension", None),
        ("other-source", {"source": ELSEWHERE, "networks": ["127.0.0.1/32"]}, 401, "not valid", "source"),
    ],
)  # fmt: skip
def test_a_token_that_is_not_good_for_this(
    site: Site, name: str, options: dict[str, Any], status: int, sentence: str, why: str | None
) -> None:
    talk = site.lines.call()
    call = talk.join()
    with site.page(name, **options) as page:
        for word in ("pause", "resume"):
            if name == "other-extension":  # an extension that it names says nothing of calls, the id of a call does
                assert problem(page.act(word, call=call), 404).startswith(f"No call {call}")
            else:
                assert sentence in problem(page.act(word, call=call), status)
            assert sentence in problem(page.act(word, extension="2001"), status)
        assert state_of(talk) == ("recording", [])
    refused = site.entries(f"token:{name}")
    by_call = ["call.pause.refused", "call.resume.refused"] if name == "other-extension" else ["access.refused"] * 2
    assert [entry.act for entry in refused] == [by_call[0], "access.refused", by_call[1], "access.refused"]
    text = AuditLog(site.home.root / "audit").text(refused[0])
    assert text is not None
    assert (why or sentence) in f"{text} {refused[0].details.get('why')}"
    talk.hang_up()


def test_a_token_that_is_nobodys(site: Site) -> None:
    talk = site.lines.call()
    call = talk.join()
    for token in ("ccr_guess", "x"):
        with PaymentPage(site.url, token) as page:
            problem(page.act("pause", call=call), 401)
    assert state_of(talk) == ("recording", [])
    talk.hang_up()


def test_it_takes_away_nobody_elses_reason(site: Site) -> None:
    talk = site.lines.call()
    call = talk.join()
    with site.page("first") as first, site.page("second") as second:
        talk.home.act(f"/api/calls/{call}/pause").raise_for_status()
        assert "held by agent" in problem(first.act("resume", call=call), 409).lower()
        assert first.act("pause", call=call).json()["reasons"] == ["agent", "payment_app:first"]
        assert "ask a manager" in problem(second.act("resume", call=call), 409)
        assert "ask a manager" in problem(second.act("resume", extension="2001"), 409)
        assert state_of(talk) == ("paused", ["agent", "payment_app:first"])
        left = first.act("resume", call=call).json()
        assert (left["state"], left["reasons"]) == ("paused", ["agent"])
    assert [(e.act, e.subject) for e in site.entries("token:second")] == [
        ("call.resume.refused", call), ("call.resume.refused", "2001"),
    ]  # fmt: skip
    assert [e.act for e in site.entries("token:first")] == ["call.resume.refused", "call.pause", "call.resume"]
    talk.hang_up()


def test_there_is_nothing_to_resume_or_no_such_call(site: Site) -> None:
    talk = site.lines.call()
    call = talk.join()
    with site.page("late") as page, site.page("narrow", extensions=["2001"]) as narrow:
        assert "not paused" in problem(page.act("resume", call=call), 409)
        assert "not paused" in problem(page.act("resume", extension="2001"), 409)
        assert state_of(talk) == ("recording", [])
        unknown = "20260101T000000Z-2001-ffffff"
        problem(page.act("pause", call=unknown), 404)
        talk.hang_up()
        for word in ("pause", "resume"):
            problem(page.act(word, call=call), 404)
            problem(narrow.act(word, call=call), 404)
            problem(page.act(word, extension="2001"), 404)
    assert [(e.act, e.subject) for e in site.entries("token:late")] == [
        ("call.resume.refused", call), ("call.resume.refused", "2001"), ("call.pause.refused", unknown),
        ("call.pause.refused", call), ("call.pause.refused", "2001"),
        ("call.resume.refused", call), ("call.resume.refused", "2001"),
    ]  # fmt: skip
    assert [e.act for e in site.entries("token:narrow")] == ["call.pause.refused", "call.resume.refused"]


def test_tokens_are_made_by_command_and_kept_hashed(site: Site) -> None:
    made = site.home.json(
        "tokens", "add", "till", "--scope", "pause", "--extension", "2001", "--network", "127.0.0.1/32", "--days", "1",
        *site.home.as_admin(),
    )  # fmt: skip
    assert made["token"].encode() not in Home(site.home.root).people.read_bytes()
    talk = site.lines.call()
    call = talk.join()
    with PaymentPage(site.url, made["token"]) as page, PaymentPage(site.url, made["token"], source=ELSEWHERE) as other:
        assert page.act("pause", call=call).json()["state"] == "paused"
        problem(other.act("resume", call=call), 401)
        site.home.recorder("tokens", "revoke", "till", *site.home.as_admin(), "-C", str(site.home.root))
        problem(page.act("resume", call=call), 401)
    assert state_of(talk) == ("paused", ["payment_app:till"]), "who loses the token resumes nothing"
    talk.hang_up()
