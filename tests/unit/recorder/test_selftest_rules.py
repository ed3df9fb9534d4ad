"""What makes a call a self-test's, and what does not: ids, searches, guests, deletion, schedule."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recorder.common.home import Home
from recorder.config.selftest_options import SelfTestOptions
from recorder.config.settings import Config
from recorder.retention.selftest_deletion import RULE, SelfTestDeletion
from recorder.rules.policy import recording_id
from recorder.selftest.signals import as_other_law, find, is_absent, is_in, pieces, score, voice
from recorder.service.selftest_schedule import CANNOT_RUN, FIRST_S, SelfTestSchedule
from sip.options import Address, SipOptions
from sip.trust import Trust
from storage import crypto
from storage.audit import AuditLog
from storage.audit_reading import newest_first
from storage.database import Database, sqlite_url
from storage.errors import KeyProblemError
from storage.hold_journal import steady
from storage.holds import Holds
from storage.index import Index
from storage.keys import NodeKeys, OneTimeSeal
from storage.retention_types import Hold, HoldKind
from storage.rows import row_from_json
from storage.tombstones import Deletions
from storage.types import SELFTEST, SELFTEST_MARK, RecordingId, RecordingRow, Search
from storage.vault import Vault
from tests.helpers.storage_home import row

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)


def test_only_a_self_test_has_its_mark_in_its_id() -> None:
    mine = recording_id(NOW, SELFTEST, "0a1b2c", is_selftest=True)
    assert SELFTEST_MARK in mine
    for named in (SELFTEST, "self-test", "s.e.l.f.t.e.s.t", "selftest", " selftest "):
        assert SELFTEST_MARK not in recording_id(NOW, named, "0a1b2c"), "whatever a peer names its extension"


def selftest_row(number: int, **changes: Any) -> RecordingRow:
    fields = {
        "id": f"20261124T093000Z-{SELFTEST}-{number:06x}", "extension": SELFTEST, "operator": SELFTEST,
        "operators": [SELFTEST], "extensions": [SELFTEST], "caller": SELFTEST, "called": SELFTEST,
    }  # fmt: skip
    return row_from_json(row(**{**fields, **changes}))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    yield Index(database)
    database.close()


def test_people_neither_find_nor_count_a_self_test(index: Index) -> None:
    other = row_from_json(row())
    index.save_many([selftest_row(1), other])
    everything = (Search(), Search(outcomes=(other.outcome,)), Search(service=other.service))
    for search in everything:
        assert ([one.id for one in index.find(search)], index.count(search)) == ([other.id], 1)
        assert [one.id for one in index.each(search)] == [other.id]
    for search in (Search(extension=SELFTEST), Search(operator=SELFTEST), Search(number=SELFTEST)):
        assert index.count(search) == 0
    assert index.count(Search(selftests=True)) == 2
    assert [one.extension for one in index.find(Search(extension=SELFTEST, selftests=True))] == [SELFTEST]


def test_only_what_is_a_self_tests_and_nobody_elses_is_deleted(tmp_path: Path, index: Index) -> None:
    home = Home(tmp_path)
    home.state.mkdir()
    vault = Vault(tmp_path, NodeKeys.create(tmp_path))
    rows = {
        "plain": selftest_row(1),
        "open": selftest_row(2),
        "held": selftest_row(3),
        "another officer": selftest_row(4, operators=[SELFTEST, "alice"]),
        "another extension": selftest_row(5, extensions=[SELFTEST, "2001"]),
        "another number": selftest_row(6, numbers=["02079460000"]),
        "another recording": selftest_row(7, related=["20261124T093000Z-2001-0a1b2c"]),
        "another node": selftest_row(8, node="north"),
        "a caller of that name": selftest_row(0, id="20261124T093000Z-2001-0a1b2c"),
        "an extension of that name": selftest_row(0, id="20261124T093000Z-selftest0-0a1b2c"),
    }
    index.save_many(rows.values())
    audit, holds = AuditLog(home.audit), Holds(index.database)
    held = Hold(
        id="00000001", recording=rows["held"].id, kind=HoldKind.COMPLAINT, reason="r", case_reference="C-1",
        owner="lea", placed_by="mona", placed_at=NOW, review_on=(NOW + timedelta(days=9)).date(),
    )  # fmt: skip
    with steady(home.state, holds, audit):
        holds.place(held)
    deletion = SelfTestDeletion(home, vault, index.database, lambda: NOW, node="", shares=False)
    kept = deletion.delete("os:root", is_open=lambda one: one == rows["open"].id)
    left = {one.id for one in index.each(Search(selftests=True))}
    assert left == {one.id for name, one in rows.items() if name != "plain"}
    assert kept.keys() == {
        rows[name].id
        for name in ("held", "another officer", "another extension", "another number", "another recording")
    }
    assert Deletions(index.database).count(RULE, since=NOW - timedelta(days=1)) == 1
    assert Deletions(index.database).count("retention", since=NOW - timedelta(days=1)) == 0
    entry = next(iter(newest_first(audit.path)))
    assert (entry.actor, entry.subject, entry.details["rule"]) == ("os:root", rows["plain"].id, RULE)


def test_a_guest_is_an_address_and_a_port() -> None:
    trust = Trust(SipOptions(listen=Address(host="10.0.0.1"), trusted=("10.0.0.0/8",)))
    assert not trust.of("127.0.0.1").is_trusted
    assert ("127.0.0.1", 5062) not in trust.guests
    trust.guests = frozenset({("127.0.0.1", 5062)})
    assert ("127.0.0.1", 5063) not in trust.guests
    assert not trust.of("127.0.0.1").is_trusted, "no network is trusted for it"


def test_the_second_seal_opens_one_recording_with_one_key() -> None:
    private = crypto.new_key()
    seal, mine, key = OneTimeSeal(public=crypto.public_of(private)), RecordingId("a"), crypto.new_key()
    seal.take(mine, key)
    first = seal.sealed
    seal.take(RecordingId("b"), crypto.new_key())
    assert seal.sealed == first is not None, "a second recording is not sealed to it"
    assert first is not None
    assert OneTimeSeal.open(first, seal.public, private, mine) == key
    with pytest.raises(KeyProblemError):
        OneTimeSeal.open(first, seal.public, private, RecordingId("b"))
    other = crypto.new_key()
    with pytest.raises(KeyProblemError):
        OneTimeSeal.open(first, crypto.public_of(other), other, mine)


def test_a_voice_is_found_to_the_sample_and_in_no_other() -> None:
    one, other = voice(3.0), voice(3.0)
    channel = np.concatenate([np.zeros(777), one])
    (first, *_) = pieces(one, 0.5, 2.5)
    found, at = find(first, channel)
    assert (round(found, 3), at) == (1.0, 777 + 4000)
    assert is_in(pieces(one, 0.5, 2.5), channel)
    assert is_absent(pieces(other, 0.5, 2.5), channel)
    assert not is_in([], channel)
    as_heard = as_other_law(one)
    assert score(pieces(one, 0.5, 2.5), as_other_law(as_heard)) < 1.0
    assert not is_in(pieces(one, 0.0, 2.0), np.zeros(100))


class Children:
    """Self-tests that are started, and how they end."""

    def __init__(self) -> None:
        self.codes: list[int | None] = []
        self.started = 0
        self.results = 0
        self.noted: list[list[str]] = []

    def start(self, _home: Home) -> "Children":
        self.started += 1
        return self

    def wait(self, timeout: float | None = None) -> int:
        code = self.codes.pop(0)
        if code is None:
            raise subprocess.TimeoutExpired("selftest", timeout or 0)
        return code

    def poll(self) -> int | None:
        return None

    def terminate(self) -> None: ...

    def kill(self) -> None: ...

    def note(self, _by: str, failed: list[str], _duration_s: float) -> None:
        self.noted.append(failed)


def test_the_daemon_tests_itself_as_often_as_is_configured() -> None:
    now, every, children = [0.0], [SelfTestOptions()], Children()
    schedule = SelfTestSchedule(
        Home(Path("/nowhere")), lambda: Config(selftest=every[0]), children,  # type: ignore[arg-type]
        clock=lambda: now[0], start=children.start,
    )  # fmt: skip
    now[0] = FIRST_S + 1
    schedule.look()
    assert children.started == 0, "off by default"
    every[0] = SelfTestOptions(every_minutes=10.0)
    children.codes = [None, 0]
    schedule.look()
    schedule.look()
    assert (children.started, children.noted) == (1, [])
    now[0] += 600
    children.codes = [CANNOT_RUN]
    schedule.look()
    assert children.noted == [], "in a drain nothing is wrong"
    now[0] += 600
    children.codes = [-11]
    schedule.look()
    assert children.noted == [["not_run"]], "one that dies is a fault"
    assert children.started == 3
