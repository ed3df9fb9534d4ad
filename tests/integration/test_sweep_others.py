"""Every other class of the schedule goes when its period is over, and not a moment earlier."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import String, insert, select

from recorder.access.accounts import People
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.emergencies import Emergencies, Emergency
from recorder.access.listening.requests import Requests
from recorder.access.tables import metadata
from recorder.access.tokens import Tokens
from recorder.config.webhook_options import WebhookOptions
from recorder.data_subjects.case_repository import CaseRepository
from recorder.forwarding.webhook_queue import WebhookQueue
from recorder.permissions import Role, Scope
from recorder.rules.cases import CaseEntry, CaseEvent
from recorder.rules.requesting import BREAK_GLASS_FOR, Category, RequestState, RequestWish
from recorder.rules.retention_schedule import DataClass
from recorder.rules.webhook_events import EventType, event_of
from storage.audit_reading import of_act
from storage.claim_journal import asked_details, asked_text
from storage.claims import Claims
from storage.deletion import Shredder
from storage.retention_types import Claim, ClaimState, Right
from storage.tombstones import Tombstone
from storage.types import RecordingId
from tests.helpers.accounts import CHEAP, add_token
from tests.helpers.sweep_site import NOW, SweepSite

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
PASSWORD = "correct horse battery staple 42"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SweepSite]:
    made = SweepSite(tmp_path)
    try:
        yield made
    finally:
        made.close()


def check_goes(site: SweepSite, data: DataClass, at: datetime, count: int = 1) -> None:
    """Check that nothing of a class is due just before a moment, and so much at it."""
    assert site.sweeper(at - SECOND).plan().others[data] == 0
    assert str(data) not in site.sweep(at - SECOND)
    assert site.sweeper(at).plan().others[data] == count
    assert site.sweep(at)[str(data)] == count
    assert site.sweeper(at).plan().others[data] == 0


def test_texts_of_the_audit_log_go_and_their_entries_stay(site: SweepSite) -> None:
    site.now = NOW
    entry = site.audit.append("recording.play", "olive", "", text="she said it was urgent")
    site.sweep(NOW + DAY)
    assert site.audit.text(entry) == "she said it was urgent"
    check_goes(site, DataClass.TEXTS, NOW + 730 * DAY + SECOND)
    assert site.audit.text(entry) is None
    assert next(iter(of_act(site.audit.path, "recording.play"))) == entry
    state = site.audit.verify()
    assert (state.bad, state.problems) == (None, [])


def test_the_reason_of_a_hold_stays_until_the_hold_is_over(site: SweepSite) -> None:
    recording = site.record(NOW)
    hold = site.hold(recording, NOW)
    site.now = NOW + SECOND
    later = site.audit.append("recording.play", "olive", recording, text="later than the hold")
    (placed,) = of_act(site.audit.path, "hold.placed")
    assert site.sweep(NOW + 731 * DAY)["texts"] == 1
    assert (site.audit.text(placed), site.audit.text(later)) == ("they complained", None)
    site.release(hold, NOW + 731 * DAY)
    check_goes(site, DataClass.TEXTS, NOW + 745 * DAY)
    assert site.audit.text(placed) is None


def test_break_glass_goes_with_the_texts_once_it_was_acknowledged(site: SweepSite) -> None:
    emergencies = Emergencies(site.people, now=lambda: site.now)
    site.now = NOW

    def begin() -> Emergency:
        return emergencies.begin("ida", site.record(NOW), "the player was broken", enter=lambda _: None)

    settled = begin()
    assert emergencies.acknowledge(settled.id, by="dora")
    site.now = NOW + BREAK_GLASS_FOR
    open_one = begin()
    site.now = NOW
    check_goes(site, DataClass.TEXTS, NOW + 730 * DAY + SECOND)
    assert emergencies.get(settled.id) is None
    assert emergencies.get(open_one.id) == open_one
    assert b"the player was broken" in site.home.people.read_bytes(), "of the other one"
    assert emergencies.acknowledge(open_one.id, by="dora")
    site.sweep(NOW + 1461 * DAY)
    assert b"the player was broken" not in site.home.people.read_bytes()


def test_disabled_accounts_and_ended_tokens_go_and_nobody_else(site: SweepSite) -> None:
    site.now = NOW
    people, tokens = People(site.people, now=lambda: site.now, hasher=CHEAP), Tokens(site.people, now=lambda: site.now)
    for name, role in (("founder", Role.ADMIN), ("tessa", Role.TEAM_LEADER), ("olive", Role.OFFICER)):
        people.add(name, PASSWORD, display_name=name.title(), roles=[role])
    for name, days in (("revoked", None), ("short", 1), ("lasting", None), ("long", 3000)):
        add_token(tokens, name, scopes=[Scope.PAUSE], expires_at=None if days is None else NOW + days * DAY)
    Appointments(site.people, now=lambda: site.now).mark_absent("tessa", by="tessa")
    people.disable("tessa")
    tokens.revoke("revoked")
    check_goes(site, DataClass.ACCESS, NOW + 730 * DAY + SECOND, 2)
    check_goes(site, DataClass.ACCESS, NOW + 731 * DAY + SECOND)
    assert [account.person.name for account in people.list()] == ["founder", "olive"]
    assert [line.application.name for line in tokens.list()] == ["lasting", "long"]
    assert Appointments(site.people, now=lambda: site.now).absent() == frozenset()
    assert b"Tessa" not in site.home.people.read_bytes()


def test_what_was_written_in_requests_goes_and_who_asked_stays(site: SweepSite) -> None:
    site.now = NOW
    requests = Requests(site.people, now=lambda: site.now)
    wish = RequestWish(
        recordings=(RecordingId("x"),), category=Category.COMPLAINT, reason="what she said of it", reference="C 17"
    )
    granted, waiting = requests.new("olive", wish), requests.new("olive", wish)
    for one in (granted, waiting):
        requests.keep(one)
    requests.settle(granted, RequestState.GRANTED, by="tessa", words="if you must", until=NOW + 7 * DAY)
    check_goes(site, DataClass.REQUESTS, NOW + 730 * DAY + SECOND)  # the one that nobody decided
    check_goes(site, DataClass.REQUESTS, NOW + 737 * DAY + SECOND)
    gone = requests.get(granted.id)
    assert gone is not None
    assert (gone.wish.reason, gone.wish.reference, gone.words) == ("", "", "")
    assert (gone.account, gone.decided_by, gone.wish.recordings) == ("olive", "tessa", wish.recordings)
    for text in (b"what she said of it", b"if you must", b"C 17"):
        assert text not in site.home.people.read_bytes()


def test_what_was_written_in_a_closed_case_goes_and_its_steps_stay(site: SweepSite) -> None:
    book = CaseRepository(site.people, now=lambda: site.now)
    details = {"kind": "sar", "requester": "Jane Doe-Smith", "form": "letter"}

    def write(case: str, number: int, step: CaseEvent, at: datetime, text: str = "", **more: str) -> None:
        entry = CaseEntry(step=step, at=at, by="lena", on=at.date(), text=text, details=more)
        book.append(case, number, entry)

    for case in ("SAR-2026-0001", "SAR-2026-0002"):
        write(case, 0, CaseEvent.OPENED, NOW, "her call about the arrears", **details)
    write("SAR-2026-0001", 1, CaseEvent.DECIDED, NOW, "so it is", decision="refuse", balance="her privacy counts more")
    write("SAR-2026-0001", 2, CaseEvent.CLOSED, NOW + 30 * DAY)
    check_goes(site, DataClass.CASES, NOW + 1126 * DAY + SECOND)
    closed, open_one = book.get("SAR-2026-0001"), book.get("SAR-2026-0002")
    assert closed is not None
    assert open_one is not None
    assert [(entry.step, entry.text) for entry in closed.entries] == [
        (CaseEvent.OPENED, ""), (CaseEvent.DECIDED, ""), (CaseEvent.CLOSED, ""),
    ]  # fmt: skip
    assert (closed.requester, str(closed.decision), closed.entries[1].details["balance"]) == ("", "refuse", "")
    assert (open_one.requester, open_one.entries[0].text) == ("Jane Doe-Smith", "her call about the arrears")
    assert b"her privacy counts more" not in site.home.people.read_bytes()


def test_what_was_written_in_a_claim_goes_once_it_is_over(site: SweepSite) -> None:
    site.now = NOW
    recording = site.record(NOW)
    asked = Claim(
        id="1a2b3c4d", recording=recording, right=Right.RESTRICTION, ground="accuracy", received_on=NOW.date(),
        asked_by="lena", asked_at=NOW, requester="Jane Doe-Smith", reason="that is not what I said",
    )  # fmt: skip
    site.hold(recording, NOW)
    claims = Claims(site.database)
    entry = site.audit.append("claim.asked", "lena", recording, asked_details(asked), asked_text(asked))
    claims.save([asked])
    assert site.sweep(NOW + 2000 * DAY).get("cases") is None, "it stands"
    assert site.audit.text(entry) == asked_text(asked), "and can be replayed"
    over = replace(asked, state=ClaimState.LIFTED, over_at=NOW + 2000 * DAY)
    claims.save([over])
    check_goes(site, DataClass.CASES, NOW + 3096 * DAY + SECOND)
    assert claims.get("1a2b3c4d") == replace(over, requester="", reason="", words="")
    assert site.audit.text(entry) is None


def test_whatever_else_there_is_of_an_account_goes_with_it(site: SweepSite) -> None:
    site.now = NOW
    people = People(site.people, now=lambda: site.now, hasher=CHEAP)
    for name, role in (("founder", Role.ADMIN), ("tessa", Role.TEAM_LEADER)):
        people.add(name, PASSWORD, display_name=name.title(), roles=[role])
    people.disable("tessa")
    naming = [table for table in metadata.sorted_tables if "account" in table.c]
    assert {"mail_addresses", "notifications", "second_factors", "sessions"} <= {table.name for table in naming}
    with site.people.begin() as connection:
        for table in naming:
            for name in ("founder", "tessa"):
                values = {
                    column.name: name if isinstance(column.type, String) else 0
                    for column in table.c if not column.nullable
                }  # fmt: skip
                if table.name == "deputies":
                    values |= {"named_by": "one", "confirmed_by": "another"}
                if table.name != "break_glass" or name == "tessa":  # of these one stands at a time
                    connection.execute(insert(table).values(values))
    assert site.sweep(NOW + 731 * DAY)["access"] == 3, "the account, and both proposals, which are over"
    with site.people.begin() as connection:
        left = {table.name: connection.execute(select(table.c.account)).scalars().all() for table in naming}
    of_their_own = {"requests", "break_glass", "proposals"}
    assert {name for name, of in left.items() if "tessa" in of} <= of_their_own
    assert all("founder" in of for name, of in left.items() if name not in {"notifications", *of_their_own}), left


def test_torn_ends_of_the_log_go(site: SweepSite) -> None:
    site.sweep(NOW)
    torn = site.home.audit / "torn-0001.bin"
    torn.write_bytes(b'{"act":"half')
    os.utime(torn, (NOW.timestamp(), NOW.timestamp()))
    check_goes(site, DataClass.TORN, NOW + 730 * DAY + SECOND)
    assert not torn.exists()


def test_deliveries_of_webhooks_go(site: SweepSite) -> None:
    site.sweep(NOW)
    queue = WebhookQueue(site.home.webhooks)
    target = WebhookOptions(name="crm", url="https://crm.example/", secret_file="")
    queue.add([event_of(EventType.CALL_ENDED, "a", NOW, {})], [target], NOW)
    check_goes(site, DataClass.DELIVERIES, NOW + 90 * DAY + SECOND)
    assert queue.log() == []


def test_tombstones_go_from_the_database_and_stay_in_the_log(site: SweepSite) -> None:
    site.now = NOW
    recording = site.record(NOW)
    doomed = [Tombstone(id=recording, deleted_at=NOW, rule="case 7")]
    Shredder(site.vault, site.deletions, site.audit).delete(doomed, rule="case 7")
    check_goes(site, DataClass.TOMBSTONES, NOW + 2192 * DAY + SECOND)
    assert site.deletions.get(recording) is None
    assert [entry["subject"] for entry in site.acts("recording.deleted")] == [recording]
