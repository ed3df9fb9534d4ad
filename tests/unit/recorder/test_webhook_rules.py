"""What webhooks say, how they are signed, where they may go and when they are tried again: pure rules."""

import base64
import json
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.network_rules import allowed
from recorder.forwarding.retries import GIVEN_UP_AFTER, retry_after
from recorder.forwarding.webhook_signature import SecretError, headers_of, secret_of
from recorder.rules.webhook_events import EventType, of_case, of_entry, of_published, of_row, trial_event
from storage.audit_entry import AuditEntry
from storage.rows import row_from_json
from storage.types import Outcome, RecordingId, RecordingRow
from tests.helpers import storage_home

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
CALL = "20261125T034732Z-2001-2a8b58"
NUMBER = "+441632960555"
LISTED = {
    "event": "call", "id": CALL, "started_at": "2026-11-25T03:47:32.000Z", "direction": "inbound", "extension": "2001",
    "operator": "Olive Officer", "caller": NUMBER, "called": "2001", "state": "recording", "reasons": [],
}  # fmt: skip


def row(call: str, **changes: Any) -> RecordingRow:
    ended_at = "2026-11-25T03:50:00Z"
    return row_from_json({**storage_home.row(RecordingId(call)), "ended_at": ended_at, **changes})


def entry(act: str = "call.pause", **changes: Any) -> AuditEntry:
    fields: dict[str, Any] = {
        "number": 12, "at": "2026-11-25T03:47:39.123456Z", "act": act, "actor": "alice", "subject": CALL,
        "details": {"state": "paused", "reasons": ["agent", f"token:{NUMBER}"]}, "previous": "0" * 64,
        "hash": "ab" * 32,
    }  # fmt: skip
    return AuditEntry(**{**fields, **changes})


def test_a_call_that_begins() -> None:
    (event,) = of_published(LISTED, NOW)
    assert json.loads(event.body) == {
        "id": event.id, "type": "call.begun", "timestamp": "2026-11-25T03:47:32.000Z",
        "data": {"call": CALL, "extension": "2001", "direction": "inbound"},
    }  # fmt: skip
    assert event.id.startswith("evt_")


@pytest.mark.parametrize(
    ("outcome", "kinds"),
    [
        (Outcome.RECORDED, ["recording.ready"]),
        (Outcome.PARTIAL, ["recording.ready", "call.outcome"]),
        (Outcome.BLOCKED, ["call.outcome"]),
        (Outcome.NO_CONVERSATION, ["call.outcome"]),
        (Outcome.FAILED, ["call.outcome"]),
    ],
)
def test_a_row_tells_the_same_events_as_the_stream_did(outcome: Outcome, kinds: list[str]) -> None:
    filed = {"event": "recording", "id": CALL, "outcome": outcome.value, "reason": "caller_hung_up"}
    streamed = [one for event in (LISTED, {"event": "ended", "id": CALL}, filed) for one in of_published(event, NOW)]
    of_its_row = of_row(row(CALL, outcome=outcome))
    assert [one.type for one in streamed] == ["call.begun", "call.ended", *kinds]
    assert [one.id for one in streamed] == [one.id for one in of_its_row]
    assert len({one.id for one in streamed}) == len(streamed)


def test_events_of_the_stream_that_nobody_is_told_of() -> None:
    for event in ({"event": "alarm", "alarm": "x", "id": CALL}, {"event": "source", "source": "192.0.2.1"}, {}):
        assert of_published(event, NOW) == []
    assert of_published({"event": "ended", "id": NUMBER}, NOW) == [], "it is no id"


def test_pauses_and_resumes_are_told_from_the_audit_log() -> None:
    paused, resumed = of_entry(entry()), of_entry(entry("call.resume", hash="cd" * 32))
    assert paused is not None
    assert resumed is not None
    assert (paused.type, resumed.type) == (EventType.CALL_PAUSED, EventType.CALL_RESUMED)
    assert paused.data == {"call": CALL, "extension": "2001", "state": "paused", "reasons": ["agent", "token"]}
    again = of_entry(entry(hash="ef" * 32))
    assert again is not None
    assert again.id != paused.id, "a second pause of a call is another event"
    late = of_entry(entry(details={"late": True, "happened_at": "2026-11-25T03:00:00Z"}))
    assert late is not None
    assert late.at == "2026-11-25T03:00:00Z"
    assert of_entry(entry("call.pause.refused")) is None
    assert of_entry(entry(subject="alice")) is None


@pytest.mark.parametrize(
    ("due_on", "is_pressing", "deadline"),
    [
        (date(2026, 12, 2), False, None),
        (date(2026, 12, 2), True, "near"),
        (date(2026, 11, 25), True, "today"),
        (date(2026, 11, 24), False, "overdue"),
    ],
)
def test_deadlines_of_cases(due_on: date, is_pressing: bool, deadline: str | None) -> None:
    event = of_case("SAR-2026-0007", due_on, date(2026, 11, 25), is_pressing=is_pressing, now=NOW)
    assert (None if event is None else event.data["deadline"]) == deadline


def test_nothing_personal_is_said() -> None:
    events = [*of_published(LISTED, NOW), *of_row(row(CALL, outcome=Outcome.PARTIAL, caller=NUMBER, reason=NUMBER))]
    paused = of_entry(entry())
    assert paused is not None
    said = b"".join(one.body for one in (*events, paused, trial_event("crm", NOW)))
    for secret in (NUMBER[1:], "Olive", "alice"):
        assert secret.encode() not in said


# --- signature


def test_the_example_of_the_specification_is_signed_as_it_says() -> None:
    headers = headers_of(
        [secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")], event="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at_s=1614265330, body=b'{"test": 2432232314}',
    )  # fmt: skip
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + "A" * 16, "whsec_no base64!", "whsec_" + "A" * 92],
)
def test_what_is_no_secret_is_said_without_it(text: str) -> None:
    with pytest.raises(SecretError, match="each line must be whsec_") as said:
        secret_of(text)
    assert not text or text not in str(said.value) or text == "whsec_"


def test_a_receiver_checks_it_as_the_page_says() -> None:
    page = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)
    is_genuine = names["is_genuine"]
    secret, now_s = "whsec_" + base64.b64encode(bytes(range(32))).decode() + "\n", int(time.time())
    sent = dict(headers_of([secret_of(secret)], event="evt_1", at_s=now_s, body=b"{}"))
    assert is_genuine(sent, b"{}", secret)
    assert not is_genuine(sent, b"{ }", secret)
    assert not is_genuine(sent, b"{}", secret.replace("A", "B"))
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    both = dict(headers_of([secret_of(secret), secret_of(other)], event="evt_1", at_s=now_s, body=b"{}"))
    assert is_genuine(both, b"{}", secret), "while it is changed"
    assert is_genuine(both, b"{}", other)
    assert not is_genuine({**sent, "webhook-id": "evt_2"}, b"{}", secret)
    for at_s in (now_s - 400, now_s + 400):
        old = dict(headers_of([secret_of(secret)], event="evt_1", at_s=at_s, body=b"{}"))
        assert not is_genuine(old, b"{}", secret)
    for name, value in sent.items():
        for wrong in ("", "\u00e9", "x", f"{value}0", "9" * 5000, "v1,\u00e9 v1,", "\u0664"):
            assert not is_genuine({**sent, name: wrong}, b"{}", secret), f"it must refuse, and not fail: {name} {wrong}"
    assert not is_genuine({}, b"{}", secret)


# --- addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.1.2.3", "::ffff:127.0.0.1", "64:ff9b::10.1.2.3", "2002:a01:203::1",
        "2001:0:a01:203::1", "ff02::1", "::", "::7f00:1", "::ffff:0:7f00:1", "fec0::1", "5f00::1", "4000::1",
    ],
)  # fmt: skip
def test_addresses_inside_are_refused_unless_configured(address: str) -> None:
    assert allowed([address], networks=(), is_local=False) == []
    plain = address.partition("%")[0].removeprefix("::ffff:") if "." in address else address.partition("%")[0]
    width = "/32" if ":" not in plain else "/128"
    if not plain.startswith("64:"):
        assert allowed([address], networks=(plain + width,), is_local=False) == [address]


def test_public_addresses_are_allowed_and_a_local_url_goes_nowhere_else() -> None:
    mixed = ["10.1.2.3", "93.184.216.34", "2606:2800:220:1::1"]
    assert allowed(mixed, networks=(), is_local=False) == mixed[1:]
    assert allowed([*mixed, "127.0.0.1", "::1"], networks=(), is_local=True) == ["127.0.0.1", "::1"]


# --- tries and settings


def test_tries_are_spread_over_three_days() -> None:
    waits = [retry_after(tries) for tries in range(1, 200)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=5), timedelta(hours=1))
    assert timedelta(days=2) < GIVEN_UP_AFTER < sum(waits, timedelta())


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({}, None, ""),
        ({"url": "http://127.0.0.1:8000/hook?x=1"}, None, ""),
        ({"url": "http://crm.example/hook"}, "url", "http is for this machine only"),
        ({"url": "ftp://crm.example"}, "url", "write https://HOST/PATH"),
        ({"url": "https://user:secret@crm.example/"}, "url", "write https://HOST/PATH"),
        ({"url": "https://:secret@crm.example/"}, "url", "write https://HOST/PATH"),
        ({"url": "https://@crm.example/"}, "url", "write https://HOST/PATH"),
        ({"url": "https://crm.example:0/"}, "url", "write https://HOST/PATH"),
        ({"url": "https://crm.example:x/"}, "url", "write https://HOST/PATH"),
        ({"url": "https:///hook"}, "url", "write https://HOST/PATH"),
        ({"name": "a b"}, "name", "it must be letters"),
        ({"networks": ("10.0.0.1/8",)}, "networks", "is not a network"),
    ],
)
def test_settings_that_cannot_work_are_said(changes: dict[str, Any], key: str | None, says: str) -> None:
    values: dict[str, Any] = {"name": "crm", "url": "https://crm.example/hook", "secret_file": "/x", **changes}
    problem = WebhookOptions(**values).problem
    assert (problem[0] if problem else None) == key
    assert says in (problem[1] if problem else "")
    assert "secret" not in (problem[1] if problem else "")
