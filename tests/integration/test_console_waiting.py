"""What waits for a person is named by what they may see now, not when they were told."""

from datetime import date
from pathlib import Path

from recorder.data_subjects import casework
from recorder.notifications.kinds import Notification, NotificationKind
from recorder.rules.cases import CaseKind
from storage.retention_types import Hold, HoldKind
from tests.helpers.pages_site import PagesSite, Visitor, pages_site, words_of
from tests.helpers.storage_home import ID


def _told(site: PagesSite, account: str) -> None:
    deps, dora = site.deps, site.deps.people.find("dpo")
    assert dora is not None
    case = casework.open_case(
        deps.cases, dora, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="a letter", text="a call"
    )
    hold = Hold(
        id="0a1b2c3d", recording=ID, kind=HoldKind.COMPLAINT, reason="they complain", case_reference="C-1",
        owner=account, placed_by=account, placed_at=deps.now(), review_on=date(2026, 11, 1), against=(),
        released_by=None, released_at=None, grace_until=None,
    )  # fmt: skip
    deps.hold_repositories.holds.place(hold)
    told = (
        Notification(kind=NotificationKind.CASE_DUE, account=account, subject=case.id),
        Notification(kind=NotificationKind.HOLD_DUE, account=account, subject=hold.id),
    )
    deps.watch.box.tell(told, by_mail=frozenset())


def test_names_end_with_the_role_and_the_team(tmp_path: Path) -> None:
    with pages_site(tmp_path) as site:
        deps = site.deps
        _told(site, "lead")
        page = words_of(Visitor(site, "lead").get("/overview"))
        assert "Case of J. Doe" in page
        assert "Review the hold on Olive Officer’s call" in page
        deps.watch.box.tell(
            (
                Notification(kind=one.notification.kind, account="housing", subject=one.notification.subject)
                for one in deps.watch.box.of_account("lead")
            ),
            by_mail=frozenset(),
        )
        page = words_of(Visitor(site, "housing").get("/overview"))
        assert "A case is due today" in page
        assert "A legal hold is due for review" in page
        assert "J. Doe" not in page
        assert "Olive Officer" not in page
