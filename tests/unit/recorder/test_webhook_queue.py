"""Events are queued once, delivered at least once, given up late, and derived from lasting facts after a crash."""

import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding import webhook_intake
from recorder.forwarding.retries import GIVEN_UP_AFTER
from recorder.forwarding.webhook_delivery import LOOK_S, TargetDelivery
from recorder.forwarding.webhook_handover import MOST_WAITING, NOT_QUEUED, Handover
from recorder.forwarding.webhook_http import WebhookError
from recorder.forwarding.webhook_intake import LONGEST_CALL, WebhookIntake
from recorder.forwarding.webhook_queue import DeliveryState, QueueError, WebhookQueue
from recorder.rules.webhook_events import EventType, WebhookEvent, event_of
from storage.audit import AuditLog
from storage.rows import row_from_json
from storage.types import RecordingId, RecordingRow
from tests.helpers import storage_home

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
CALL = RecordingId("20261125T034732Z-2001-2a8b58")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"


class Receiver:
    """Takes deliveries, and answers as it is told."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.fails: dict[str, WebhookError] = {}
        self.problem: WebhookError | None = None

    def post(self, target: WebhookOptions, body: bytes, headers: Mapping[str, str]) -> int:
        event = headers["webhook-id"]
        assert event.encode() in body
        if error := self.fails.get(event, self.problem):
            raise error
        self.took.append(event)
        return 204


class Site:
    """A queue, a target, a clock."""

    def __init__(self, folder: Path) -> None:
        self.now = AT
        self.queue = WebhookQueue(folder / "webhooks.sqlite")
        secret = folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(SECRET)
        self.secret = secret
        self.target = WebhookOptions(name="crm", url="https://crm.example/hook", secret_file=str(secret))
        self.receiver = Receiver()
        self.restart()

    def restart(self) -> None:
        self.delivery = TargetDelivery(self.target, self.queue, now=lambda: self.now, post=self.receiver.post)

    def add(self, *calls: str, kind: EventType = EventType.CALL_ENDED) -> list[WebhookEvent]:
        events = [event_of(kind, call, self.now, {"call": call}) for call in calls]
        self.queue.add(events, [self.target], self.now)
        return events

    def states(self) -> dict[str, DeliveryState]:
        return {one.about: one.state for one in self.queue.log()}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_events_are_delivered_in_order_and_once(site: Site) -> None:
    assert site.delivery.run_once() == LOOK_S, "there is no queue yet"
    events = site.add("a", "b", "c")
    site.add("a")
    site.delivery.run_once()
    site.restart()
    site.delivery.run_once()
    assert site.receiver.took == [event.id for event in events]
    assert set(site.states().values()) == {DeliveryState.DELIVERED}
    assert [one.status for one in site.queue.log()] == [204, 204, 204]


def test_only_what_a_target_takes_is_delivered_to_it(site: Site) -> None:
    site.target = WebhookOptions(
        name="crm", url="https://crm.example/", secret_file="", events=(EventType.CALL_OUTCOME,)
    )
    site.add("a")
    site.add("b", kind=EventType.CALL_OUTCOME)
    assert [one.about for one in site.queue.log()] == ["b"]


def test_one_that_fails_is_tried_again_and_others_go_before_it(site: Site) -> None:
    bad, good = site.add("bad", "good")
    site.receiver.fails[bad.id] = WebhookError("webhook crm: it answered 500", status=500)
    assert site.delivery.run_once() == 1.0
    assert site.delivery.run_once() == 0.0
    assert site.receiver.took == [good.id]
    (failed,) = site.queue.log(state=DeliveryState.WAITING)
    assert (failed.tries, failed.status, failed.problem) == (1, 500, "webhook crm: it answered 500")
    site.delivery.run_once()
    assert site.receiver.took == [good.id], "it waits five seconds"
    site.now += timedelta(seconds=5)
    (other,) = site.add("other")
    site.delivery.run_once()
    assert site.receiver.took == [good.id, other.id], "what was not tried yet goes first"
    site.receiver.fails.clear()
    site.now += timedelta(seconds=30)
    site.delivery.run_once()
    assert site.receiver.took == [good.id, other.id, bad.id]


def test_a_target_that_is_down_for_days_gets_what_is_not_too_old(site: Site) -> None:
    site.add("old")
    site.receiver.problem = WebhookError("webhook crm: Connection refused")
    waits = [site.delivery.run_once() for _ in range(3)]
    assert waits == [1.0, LOOK_S, LOOK_S], "one try, then the delivery is not due"
    while site.now < AT + GIVEN_UP_AFTER - timedelta(hours=2):
        site.now += timedelta(hours=1)
        site.delivery.run_once()
    (waiting,) = site.queue.log()
    assert waiting.state is DeliveryState.WAITING
    assert waiting.tries > 60
    assert site.delivery.state.failing_since == "2026-11-25T09:30:00Z"
    (young,) = site.add("young")
    for _ in range(6):
        site.now += timedelta(hours=1)
        site.delivery.run_once()
        site.delivery.run_once()
    assert site.states() == {"old": DeliveryState.GIVEN_UP, "young": DeliveryState.WAITING}
    assert site.delivery.state.given_up == 1
    site.receiver.problem = None
    site.now += timedelta(hours=1)
    site.delivery.run_once()
    assert site.receiver.took == [young.id]
    assert not site.delivery.state.failing_since


@pytest.mark.parametrize("mode", [0o644, 0o640, None])
def test_a_secret_that_is_missing_or_open_keeps_everything_waiting(site: Site, mode: int | None) -> None:
    site.add("a")
    if mode is None:
        site.secret.unlink()
    else:
        site.secret.chmod(mode)
    site.delivery.run_once()
    assert "secret" in site.delivery.state.problem
    assert "whsec" not in site.delivery.state.problem
    (waiting,) = site.queue.log()
    assert (waiting.state, waiting.tries) == (DeliveryState.WAITING, 0)


def test_a_clock_that_was_wrong_and_is_set_right_delays_nothing(site: Site) -> None:
    site.now += timedelta(days=900)
    (early,) = site.add("queued in years")
    site.now = AT
    site.delivery.run_once()
    assert site.receiver.took == [early.id]
    (failing,) = site.add("tried again in an hour")
    site.receiver.fails[failing.id] = WebhookError("webhook crm: it answered 500", status=500)
    for _ in range(8):
        site.now += timedelta(hours=1)
        site.delivery.run_once()
    (waiting,) = site.queue.log(state=DeliveryState.WAITING)
    assert waiting.tries == 8
    site.delivery.run_once()
    assert site.queue.log(state=DeliveryState.WAITING)[0].tries == 8, "it is put off by an hour"


def test_the_sweep_forgets_by_age(site: Site) -> None:
    site.add("a")
    site.now += timedelta(days=10)
    site.add("b")
    assert site.queue.count_before(AT + timedelta(days=1)) == 1
    assert site.queue.forget(before=AT + timedelta(days=1)) == 1
    assert site.states() == {"b": DeliveryState.WAITING}


def test_a_queue_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "webhooks.sqlite").write_text("no database, but long enough to be looked at as one" * 9)
    with pytest.raises(QueueError, match=r"webhooks\.sqlite cannot be used: file is not a database"):
        WebhookQueue(tmp_path / "webhooks.sqlite").due("crm", AT, most=1)


# --- the daemon's side


class Daemon:
    """Hands over, and does the work on its thread when it is told to."""

    def __init__(self, site: Site) -> None:
        self.work: list[tuple[Any, ...]] = []
        self.alarms: list[str] = []
        self.targets = [site.target]
        self.handover = Handover(
            site.queue, lambda: self.targets, submit=lambda *work: self.work.append(work), alarm=self.alarms.append,
            now=lambda: site.now,
        )  # fmt: skip

    def call(self, state: str) -> None:
        self.handover.publish({
            "event": "call", "id": CALL, "state": state, "started_at": "2026-11-25T03:47:32.000Z",
            "direction": "inbound", "extension": "2001",
        })  # fmt: skip

    def end(self) -> None:
        self.handover.publish({"event": "ended", "id": CALL})
        self.call("recording")  # a change that is published late
        self.handover.publish({"event": "recording", "id": CALL, "outcome": "recorded", "reason": "caller_hung_up"})

    def run(self) -> None:
        for fn, *arguments in self.work:
            fn(*arguments)
        self.work.clear()


def test_the_daemon_hands_over_begin_end_and_recording_once(site: Site) -> None:
    daemon = Daemon(site)
    for state in ("not_begun", "recording", "paused", "recording"):
        daemon.call(state)
    daemon.end()
    assert len(daemon.work) == 1, "nothing waits for the disk, which is used once"
    daemon.run()
    assert [one.type for one in reversed(site.queue.log())] == ["call.begun", "call.ended", "recording.ready"]
    assert daemon.alarms == []
    assert daemon.handover._begun == set(), "memory does not grow with calls"


def test_without_a_webhook_nothing_is_kept(site: Site) -> None:
    daemon = Daemon(site)
    daemon.targets = []
    daemon.call("recording")
    assert daemon.work == []
    assert not site.queue.exists


def test_a_disk_that_is_full_or_too_slow_is_an_alarm_and_no_call_ends(site: Site) -> None:
    daemon = Daemon(site)
    site.queue._path.mkdir()
    daemon.call("recording")
    daemon.run()
    assert daemon.alarms == [NOT_QUEUED]
    for _ in range(MOST_WAITING + 1):
        daemon.handover.publish({"event": "ended", "id": CALL})
    assert len(daemon.work) == 1
    assert daemon.alarms == [NOT_QUEUED] * 2
    daemon.handover.publish({"event": "recording", "id": CALL, "outcome": "of a later version"})
    assert daemon.alarms == [NOT_QUEUED] * 3


# --- lasting facts


class Facts:
    """An audit log, rows, and the intake that follows them."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.log = AuditLog(folder / "audit", now=lambda: site.now)
        self.rows: list[RecordingRow] = []
        self.asked: list[datetime] = []
        self.restart()

    def restart(self) -> None:
        site = self.site
        self.intake = WebhookIntake(self.log, self._since, site.queue, [site.target], now=lambda: site.now)

    def _since(self, moment: datetime) -> list[RecordingRow]:
        self.asked.append(moment)
        return [row for row in self.rows if row.started_at >= moment]

    def file(self, **changes: Any) -> None:
        fields = {"started_at": "2026-11-25T09:00:00Z", "ended_at": "2026-11-25T09:10:00Z", **changes}
        self.rows.append(row_from_json({**storage_home.row(CALL), **fields}))

    def types(self) -> list[str]:
        return [one.type for one in reversed(self.site.queue.log())]


@pytest.fixture
def facts(site: Site, tmp_path: Path) -> Facts:
    return Facts(site, tmp_path)


def test_pauses_come_from_the_audit_log_after_a_restart_too(facts: Facts) -> None:
    facts.log.append("call.pause", "alice", CALL, {"state": "paused", "reasons": ["agent"]})
    facts.intake.run_once()
    assert facts.types() == [], "nobody waits for what was before the webhook"
    facts.log.append("call.resume", "alice", CALL, {"state": "recording", "reasons": []})
    facts.restart()
    facts.log.append("call.pause", "alice", CALL, {"state": "paused", "reasons": ["agent"]})
    facts.intake.run_once()
    facts.intake.run_once()
    assert facts.types() == ["call.resumed", "call.paused"]


@pytest.mark.parametrize("damage", ["no database", "torn"])
def test_a_damaged_queue_is_made_anew_from_lasting_facts(
    facts: Facts, site: Site, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    facts.intake.run_once()
    facts.log.append("call.pause", "alice", "of last week", {"state": "paused", "reasons": ["agent"]})
    site.now += timedelta(days=5)
    facts.log.append("call.pause", "alice", CALL, {"state": "paused", "reasons": ["agent"]})
    facts.file(started_at="2026-11-30T09:00:00Z", ended_at="2026-11-30T09:10:00Z")
    facts.file(id=f"{CALL[:-1]}9")
    facts.intake.run_once()
    path = site.queue._path
    content = path.read_bytes()
    path.write_bytes(b"no database" * 999 if damage == "no database" else content[:4096] + b"\xff" * 8192)
    path.with_name(f"{path.name}-journal").write_bytes(b"of the damaged file")
    for _ in range(3):
        site.now += timedelta(hours=1)
        facts.intake.run_once()
    assert facts.intake.problem == ""
    assert sorted(facts.types()) == ["call.begun", "call.ended", "call.paused", "recording.ready"], "of three days"
    assert {one.state for one in site.queue.log()} == {DeliveryState.WAITING}
    assert "is damaged" in caplog.text
    facts.log.append("call.resume", "alice", CALL, {"state": "recording", "reasons": []})
    facts.intake.run_once()
    assert "call.resumed" in facts.types()


def test_a_call_that_was_not_handed_over_is_derived_from_its_row(facts: Facts) -> None:
    facts.file()
    facts.intake.run_once()
    assert facts.types() == [], "it was before the webhook"
    facts.restart()
    facts.intake.run_once()
    assert facts.asked == [AT - LONGEST_CALL]
    assert facts.types() == ["call.begun", "call.ended", "recording.ready"]
    facts.restart()
    facts.intake.run_once()
    assert len(facts.types()) == 3


def test_a_clock_that_was_set_back_has_rows_looked_at_again(facts: Facts, site: Site) -> None:
    site.now += timedelta(days=300)
    facts.intake.run_once()
    site.now = AT
    facts.file()
    facts.intake.run_once()
    assert facts.asked == [AT - LONGEST_CALL]
    assert facts.types() == ["call.begun", "call.ended", "recording.ready"]
    facts.intake.run_once()
    assert len(facts.asked) == 1, "the next look is in an hour"


def test_many_rows_are_queued_in_pieces(facts: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    facts.intake.run_once()
    for number in range(5):
        facts.file(id=f"{CALL[:-1]}{number}")
    facts.restart()
    monkeypatch.setattr(webhook_intake, "_ROWS_AT_ONCE", 2)
    pieces: list[int] = []

    def add(events: list[WebhookEvent], *_: object, **_mark: object) -> int:
        pieces.append(len(events))
        return 0

    monkeypatch.setattr(facts.site.queue, "add", add)
    facts.intake.run_once()
    assert pieces == [6, 6, 3, 0], "others need the queue meanwhile; the mark comes last"


def test_webhooks_that_are_configured_again_are_not_told_of_what_was_in_between(facts: Facts, site: Site) -> None:
    facts.intake.run_once()
    site.queue.forget_marks()
    facts.file()
    facts.log.append("call.pause", "alice", CALL, {"state": "paused", "reasons": ["agent"]})
    facts.restart()
    facts.intake.run_once()
    assert facts.types() == []
    facts.log.append("call.resume", "alice", CALL, {"state": "recording", "reasons": []})
    facts.intake.run_once()
    assert facts.types() == ["call.resumed"]


def test_what_was_handed_over_is_not_queued_again(facts: Facts, site: Site) -> None:
    facts.intake.run_once()
    daemon = Daemon(site)
    daemon.call("recording")
    daemon.end()
    daemon.run()
    facts.file()
    facts.file(id=f"{CALL[:-1]}9", ended_at=None)
    facts.restart()
    facts.intake.run_once()
    assert facts.types() == ["call.begun", "call.ended", "recording.ready"]


def test_a_queue_that_takes_nothing_is_said_and_nothing_is_left_out(facts: Facts, site: Site) -> None:
    facts.intake.run_once()
    facts.log.append("call.pause", "alice", CALL, {"state": "paused"})
    with closing(sqlite3.connect(site.queue._path, isolation_level=None)) as database:
        database.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
    facts.intake.run_once()
    assert "disk is full" in facts.intake.problem
    with closing(sqlite3.connect(site.queue._path, isolation_level=None)) as database:
        database.execute("DROP TRIGGER full")
    facts.intake.run_once()
    assert facts.types() == ["call.paused"]
    assert not facts.intake.problem


def test_a_log_that_was_replaced_brings_no_old_pauses(facts: Facts) -> None:
    facts.log.append("call.pause", "alice", CALL, {"state": "paused"})
    facts.intake.run_once()
    os.unlink(facts.log.path)  # noqa: PTH108
    for _ in range(3):
        facts.log.append("call.resume", "bob", CALL, {"state": "recording"})
    facts.intake.run_once()
    facts.log.append("call.pause", "bob", CALL, {"state": "paused"})
    facts.intake.run_once()
    assert facts.types() == ["call.paused"]
