"""Two consoles of a site: mails and events of cases come from one at a time, and a stopped one sends nothing more."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.assurance.assurance import JUDGED_DAYS, Assurance
from recorder.assurance.daily import Judged, judge_due
from recorder.assurance.day_report import Site
from recorder.assurance.expecting import Policy
from recorder.common.smtp_options import SmtpServer
from recorder.common.turns import Turn
from recorder.config.mail_options import MailOptions
from recorder.config.webhook_options import WebhookOptions
from recorder.data_subjects import case_deadlines, casework
from recorder.forwarding.webhook_queue import WebhookQueue
from recorder.notifications.case_events import CaseEvents
from recorder.notifications.kinds import Notification, NotificationKind
from recorder.notifications.mails import mail_of
from recorder.notifications.postman import Postman
from recorder.rules.cases import CaseKind
from storage.assurance import AssuranceStore
from storage.database import Database
from storage.errors import LeaseLostError
from storage.index import Index
from storage.leases import Leases
from storage.tables import leases as _leases
from tests.helpers.accounts import Clock
from tests.helpers.console_site import Console, console_site
from tests.helpers.recorder_home import eventually

TARGET = WebhookOptions(name="crm", url="https://crm.example/", secret_file="")
LEASE_S = 4.0
MAIL = MailOptions(smtp="127.0.0.1:1", sender="recorder@council.example")


@pytest.fixture
def database(postgres: PostgresServer, url_of_tables: str) -> Iterator[Database]:
    made = Database(postgres.new_database(like=url_of_tables))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        yield running


def expire(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(_leases.update().values(until_us=0))


def test_a_turn_is_renewed_while_the_work_goes_on(database: Database) -> None:
    leases = Leases(database)
    first, second = (Turn(leases, "archiving", name, for_s=LEASE_S) for name in ("one", "two"))

    def until() -> datetime:
        state = leases.get("archiving")
        assert state is not None and state.until is not None
        return state.until

    with first.mine() as lease:
        assert lease is not None
        for _ in range(2):
            before = until()
            eventually(lambda before=before: until() > before, "it is renewed")  # type: ignore[misc]
            assert until() - before < timedelta(seconds=LEASE_S), "before it ended"
        with second.mine() as other:
            assert other is None, "it is the other's turn"
    with second.mine() as other:
        assert other is None, "the turn is kept between two pieces of work"
    first.close()
    with second.mine() as other:
        assert other is not None
        first.close()
        second.check()


def test_a_console_that_was_stopped_writes_nothing(database: Database) -> None:
    first, second = (Turn(Leases(database), "archiving", name) for name in ("one", "two"))

    def work(view: Database) -> None:
        expire(database)
        assert second.do(lambda _: "done by two") == "done by two"
        with view.begin() as connection:
            connection.execute(sa.text("DELETE FROM recordings"))

    with pytest.raises(LeaseLostError, match="taken over archiving from one"):
        first.do(work)


def test_one_of_two_consoles_sends_each_mail(console: Console, database: Database) -> None:
    watch = replace(console.deps.watch, is_mail_on=True)
    watch.addresses.save("lead", "lead@council.example")
    sent: list[tuple[str, str]] = []

    def post(name: str) -> Postman:
        def send(_server: SmtpServer, mail: EmailMessage, _to: list[str]) -> None:
            sent.append((name, mail["Message-ID"]))

        turn = Turn(Leases(database), "notifications", name)
        return Postman(repos=watch, options=MAIL, site="Test", state=console.home.state, send=send, turn=turn)

    def tell(subject: str) -> None:
        told = Notification(kind=NotificationKind.REQUEST_WAITS, account="lead", subject=subject)
        watch.box.tell([told], by_mail=frozenset({"lead"}))

    one, two = post("one"), post("two")
    one.run_in_turn()
    two.run_in_turn()
    sent.clear()
    tell("r1")
    two.run_in_turn()
    assert sent == [], "it is the other's turn"
    one.run_in_turn()
    assert [name for name, _ in sent] == ["one"]

    tell("r2")
    assert one.turn is not None
    checked = one.turn.check

    def stopped() -> None:
        expire(database)
        two.run_in_turn()
        checked()

    one.turn.check = stopped  # type: ignore[method-assign]
    with pytest.raises(LeaseLostError):
        one.run_in_turn()
    assert [name for name, _ in sent] == ["one", "two"]
    assert len({number for _, number in sent}) == 2


def test_a_mail_that_is_sent_twice_has_one_message_id() -> None:
    told = [
        Notification(kind=NotificationKind.REQUEST_WAITS, account="lead", subject=one) for one in ("r1", "r1", "r2")
    ]
    at, to = datetime(2026, 11, 25, tzinfo=UTC), "lead@council.example"
    ids = [mail_of(one, to, sender=to, site="Test", console_url=None, now=at)["Message-ID"] for one in told]
    assert ids[0] == ids[1] != ids[2]
    assert "lead" not in ids[0]


def test_a_deadline_is_told_by_one_console(console: Console, clock: Clock, database: Database, tmp_path: Path) -> None:
    repos = console.deps.cases
    case = casework.open_case(
        repos, console.person("lead"), kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="letter", text="arrears"
    )
    due = case_deadlines.due(repos, case)
    assert due is not None
    clock.time = datetime(due.year, due.month, due.day, 12, tzinfo=UTC)
    turns = [Turn(Leases(database), "case-events", name) for name in ("one", "two")]
    one, two = (
        CaseEvents(cases=repos, queue=WebhookQueue(tmp_path / f"{number}.sqlite"), targets=[TARGET], turn=turn)
        for number, turn in enumerate(turns)
    )
    assert [one.run_in_turn(), two.run_in_turn(), one.run_in_turn()] == [1, 0, 0]
    turns[0].close()
    assert two.run_in_turn() == 0, "the other console's queue has it"
    clock.time += timedelta(days=1)
    assert [two.run_in_turn(), one.run_in_turn()] == [1, 0]


def test_of_two_consoles_one_judges_and_one_that_was_stopped_writes_nothing(database: Database) -> None:
    now = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    index = Index(database)
    assurance = Assurance(
        store=AssuranceStore(index.database), index=index, periods={}, policy=Policy(nominated={}), now=lambda: now,
        site=Site(nominated={}, services={}, zone=ZoneInfo("Europe/London")),
    )  # fmt: skip
    first, second = (Turn(Leases(index.database), "assurance", name) for name in ("one", "two"))
    with first.mine() as lease:
        assert lease is not None
        assert judge_due(assurance, second) is None, "it is the other's turn"
        expire(index.database)
        assert judge_due(assurance, second) == Judged(days=JUDGED_DAYS, unreadable=0), (
            "the whole days that nobody judged"
        )
        with pytest.raises(LeaseLostError):
            assurance.keep(now.date(), to=AssuranceStore(Leases(index.database).fenced(lease)))
    assert judge_due(assurance, second) == Judged(days=0, unreadable=0), "once"
    assert assurance.store.days(now.date(), now.date()) == []
