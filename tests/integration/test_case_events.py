"""Deadlines of cases are told to webhooks once each, without whose case it is."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from recorder.config.webhook_options import WebhookOptions
from recorder.data_subjects import case_deadlines, casework
from recorder.forwarding.webhook_queue import WebhookQueue
from recorder.notifications.case_events import CaseEvents
from recorder.rules.cases import CaseKind
from tests.helpers.accounts import Clock
from tests.helpers.console_site import console_site

TARGET = WebhookOptions(name="crm", url="https://crm.example/", secret_file="")


def test_a_case_is_told_when_it_is_near_due_and_overdue(tmp_path: Path) -> None:
    clock = Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))
    with console_site(tmp_path, now=clock, is_daemon_up=False) as console:
        repos, lead = console.deps.cases, console.person("lead")
        case = casework.open_case(
            repos, lead, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="letter", text="about the arrears"
        )
        queue = WebhookQueue(console.home.webhooks)
        events = CaseEvents(cases=repos, queue=queue, targets=[TARGET])
        assert events.run_once() == 0, "it is not due soon"
        due = case_deadlines.due(repos, case)
        assert due is not None
        for day in (clock.time.date() + timedelta(days=28), due, due + timedelta(days=1), due + timedelta(days=2)):
            clock.time = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
            events.run_once()
            events.run_once()
        bodies = [one.body for one in reversed(queue.log())]
    assert [json.loads(body)["data"] for body in bodies] == [
        {"case": case.id, "due_on": due.isoformat(), "deadline": deadline} for deadline in ("near", "today", "overdue")
    ]
    assert b"Doe" not in b"".join(bodies)
