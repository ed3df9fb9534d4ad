"""Opt-outs as console and command line ask the daemon for them, and what the audit log has of them."""

from typing import Any

import httpx2

from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from tests.helpers.exchange import Talk

REASON = "caller is very upset"
EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"'),
    ('service = "Queue"\nteam = ""', 'service = "Queue"\nteam = "Queue"'),
    ("erase_on_opt_out = false", "erase_on_opt_out = true"),
)
MANAGER = {"display_name": "Mary", "roles": ["manager"], "teams": ["Revenues"]}


def entries(talk: Talk, *, subject: str) -> list[AuditEntry]:
    return [one for one in AuditLog(talk.home.root / "audit").entries() if one.subject == subject]


def acts(talk: Talk, *, subject: str) -> list[str]:
    return [one.act for one in entries(talk, subject=subject)]


def detail(answer: httpx2.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.json()["detail"])


def ask(talk: Talk, call: str, **body: Any) -> dict[str, Any]:
    officer = {"display_name": "alice", "roles": ["officer"]}
    answer = talk.home.act(f"/api/calls/{call}/opt-out-request", by="ann", person=officer, **body)
    return dict(answer.raise_for_status().json())


def decide(talk: Talk, request: str, word: str, **body: Any) -> httpx2.Response:
    return talk.home.act(f"/api/opt-outs/{request}/{word}", by="mary", **{"person": MANAGER, "reason": REASON, **body})


def requests(talk: Talk) -> list[dict[str, Any]]:
    answer = talk.home.live.get("/api/opt-outs", headers={"X-Recorder-Actor": "tests"})
    found: list[dict[str, Any]] = answer.raise_for_status().json()["opt_outs"]
    return found
