"""A notification whose task is done, or cannot be done any more, is not new and waits for nobody; it stays told."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from recorder.access.database import open_people
from recorder.notifications.box import Box
from recorder.notifications.kinds import TASKS_OF_CHANGES, Notification, NotificationKind
from recorder.notifications.watch import notify_of_changes
from tests.helpers.accounts import Clock
from tests.helpers.pages_site import PagesSite, Visitor, pages_site
from tests.helpers.storage_home import ID

WAITS = Notification(kind=NotificationKind.OPT_OUT_WAITS, account="mary", subject="0a1b2c3d")
DECIDED = Notification(kind=NotificationKind.REQUEST_DECIDED, account="mary", subject="0a1b2c3d")


@pytest.fixture
def engine(tmp_path: Any) -> Iterator[Engine]:
    made = open_people(tmp_path / "people.sqlite")
    yield made
    made.dispose()


def test_a_task_that_is_not_told_any_more_is_over_and_what_was_told_stays(engine: Engine) -> None:
    box = Box(engine, now=Clock())

    def tell(*told: Notification) -> int:
        return box.tell(told, by_mail=frozenset(), tasks=TASKS_OF_CHANGES)

    assert tell(WAITS, DECIDED) == 2
    assert box.unseen("mary") == 2
    assert tell(DECIDED) == 0, "the call has ended"
    assert box.unseen("mary") == 1
    by_kind = {one.notification.kind: one for one in box.of_account("mary")}
    assert (by_kind[WAITS.kind].waits, by_kind[WAITS.kind].is_new) == (False, False)
    assert by_kind[DECIDED.kind].is_new, "what only tells something is new until it is seen"
    tell(WAITS, DECIDED)
    assert box.unseen("mary") == 2, "no daemon had answered; it waits all the same"
    assert box.tell([], by_mail=frozenset()) == 0
    assert box.unseen("mary") == 2, "a poll of other kinds ends nothing"


def test_what_somebody_has_decided_is_over_at_once_for_everybody(tmp_path: Any) -> None:
    with pages_site(tmp_path) as site:
        officer, lead = Visitor(site, "officer"), Visitor(site, "lead")
        officer.post("/requests", recordings=ID, category="complaint", leave="listen", reason="they complain")
        notify_of_changes(site.deps.watch)
        (request,) = site.deps.hearing.requests.waiting()
        assert "Notifications (1 new)" in lead.get("/account").text
        assert lead.post(f"/requests/{request.id}/grant", days="2").status == 303
        page = lead.get("/notifications").text
        assert "Notifications (" not in page
        assert "New:" not in page
        assert request.id in page, "what was told stays in the list"
        assert not any(one.waits for one in site.deps.watch.box.of_account("lead"))


def test_what_was_decided_at_the_shell_is_over_with_the_next_poll(tmp_path: Any) -> None:
    with pages_site(tmp_path) as site:
        _withdrawn_elsewhere(site)
        assert site.deps.watch.box.unseen("lead") == 0


def _withdrawn_elsewhere(site: PagesSite) -> None:
    requests = site.deps.hearing.requests
    Visitor(site, "officer").post(
        "/requests", recordings=ID, category="complaint", leave="listen", reason="they complain"
    )
    notify_of_changes(site.deps.watch)
    assert site.deps.watch.box.unseen("lead") == 1
    (request,) = requests.waiting()
    assert requests.settle(request, type(request.state).WITHDRAWN, by="officer", words="", until=None, spans=None)
    notify_of_changes(site.deps.watch)
