"""Entries that the audit log cannot take: kept, entered later in their order with the time at which they happened."""

import json
import stat
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.audit.late_entries import FOLDER, RETRY_S, LateEntries
from recorder.common.serial_executor import SerialExecutor
from storage.audit import AuditLog
from tests.helpers.console_site import console_deps

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


class Site:
    """Late entries on a folder, and a log that can be put out of order."""

    def __init__(self, root: Path) -> None:
        self.folder, self.log_folder = root / "state" / FOLDER, root / "audit"
        self.audit = AuditLog(self.log_folder)
        self.alarms: Counter[str] = Counter()
        self.now_s = 0.0
        self.late = self.open()

    def open(self, soon: Callable[[Callable[[], None]], object] | None = None) -> LateEntries:
        return LateEntries(
            self.audit, self.folder, alarm=lambda what: self.alarms.update([what]),
            now=lambda: NOW + timedelta(seconds=self.now_s), clock=lambda: self.now_s, soon=soon,
        )  # fmt: skip

    def open_for_who_waits(self, soon: Callable[[Callable[[], None]], object]) -> LateEntries:
        return self.open(soon)

    def unsettled(self) -> int:
        with self.audit.texts.reading() as texts:
            return len(texts.prepared())

    def break_log(self) -> None:
        if self.log_folder.exists():
            self.log_folder.rename(self.log_folder.with_name("kept"))
        self.log_folder.write_text("a file where the folder should be")

    def mend_log(self) -> None:
        self.log_folder.unlink()
        kept = self.log_folder.with_name("kept")
        if kept.exists():
            kept.rename(self.log_folder)

    def acts(self) -> list[tuple[str, Any]]:
        return [(entry.act, entry.details.get("happened_at")) for entry in self.audit.entries()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_texts_are_settled_behind_whoever_waits(site: Site) -> None:
    left: list[Callable[[], None]] = []
    late = site.open_for_who_waits(left.append)
    late.enter("call.resume", "jo", "call-1", {})
    assert left == [], "nothing to settle"
    late.enter("call.pause", "jo", "call-1", {}, "card")
    assert (len(left), site.unsettled(), site.audit.verify().problems) == (1, 1, [])
    left[0]()
    assert (site.unsettled(), site.audit.verify().texts) == (0, 1)


def test_a_text_of_a_process_that_ends_is_settled_at_once(site: Site) -> None:
    executor = SerialExecutor("act-writer")
    executor.close()
    site.open_for_who_waits(executor.submit).enter("call.pause", "jo", "call-1", {}, "card")
    assert (site.unsettled(), site.audit.verify().texts, site.alarms) == (0, 1, {})


def test_what_the_log_cannot_take_is_entered_in_order_with_its_own_time(site: Site) -> None:
    site.late.enter("call.pause", "jo", "call-1", {})
    site.break_log()
    site.now_s = 10
    site.late.enter("call.resume", "jo", "call-1", {"state": "recording"}, "why not")
    site.now_s = 11
    site.late.enter("call.pause", "jo", "call-2", {})
    assert (site.late.waiting, site.alarms) == (2, {"audit_unavailable": 2})
    files = sorted(site.folder.iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
    assert json.loads(files[0].read_text())["at"] == "2026-11-25T09:30:10Z"

    site.mend_log()
    site.late.catch_up()
    assert site.late.waiting == 2, "a log that failed is left in peace for a while"
    site.now_s = 11 + RETRY_S
    site.late.enter("call.resume", "jo", "call-2", {})
    assert site.acts() == [
        ("call.pause", None),
        ("call.resume", "2026-11-25T09:30:10Z"),
        ("call.pause", "2026-11-25T09:30:11Z"),
        ("call.resume", None),
    ]
    late = list(site.audit.entries())[1]
    assert late.details == {"state": "recording", "late": True, "happened_at": "2026-11-25T09:30:10Z"}
    assert site.audit.text(late) == "why not"
    assert (site.late.waiting, list(site.folder.iterdir()), site.audit.verify().problems) == (0, [], [])


def test_they_outlive_the_process_that_kept_them(site: Site) -> None:
    site.break_log()
    for number in range(15):
        site.late.enter("call.pause", "jo", f"call-{number}", {})
    site.mend_log()
    late = site.open()
    assert late.waiting == 15
    late.enter("call.resume", "jo", "call-0", {})
    assert len(site.acts()) == 10, "whoever waits for an entry does not wait for all of them"
    late.catch_up()
    entries = list(site.audit.entries())
    assert [entry.subject for entry in entries] == [*(f"call-{number}" for number in range(15)), "call-0"]
    assert late.waiting == 0


def test_without_a_folder_they_wait_in_memory_and_that_is_an_alarm(site: Site) -> None:
    site.break_log()
    site.folder.parent.mkdir()
    site.folder.write_text("a file where the folder should be")
    site.late.enter("call.pause", "jo", "call-1", {})
    assert (site.late.waiting, site.alarms["audit_entry_in_memory"]) == (1, 1)
    site.mend_log()
    site.now_s = RETRY_S
    site.late.catch_up()
    assert (site.late.waiting, len(site.acts())) == (0, 1)


def test_a_file_that_cannot_be_read_stays_and_keeps_nobody(site: Site) -> None:
    site.folder.mkdir(parents=True)
    (site.folder / "00000000000000000001-000000.json").write_text("{")
    late = site.open()
    late.enter("call.pause", "jo", "call-1", {})
    assert [act for act, _ in site.acts()] == ["call.pause"]
    assert len(list(site.folder.iterdir())) == 1


def test_what_waits_stays_in_order_when_the_clock_is_set_back(site: Site) -> None:
    site.break_log()
    for act, now_s in (("first", 100.0), ("second", 40.0), ("third", 40.0), ("fourth", 41.0)):
        site.now_s = now_s
        site.late.enter(act, "alice", "x", {})
    site.mend_log()
    site.now_s = 200.0
    again = site.open()  # also by who finds the files later
    again.catch_up()
    assert [act for act, _ in site.acts()] == ["first", "second", "third", "fourth"]


def test_a_console_tries_again_by_the_clock_that_it_is_given(tmp_path: Path) -> None:
    now_s = 0.0
    with console_deps(tmp_path, clock_s=lambda: now_s) as (home, deps):
        service, kept = deps.hearing.audit_service, home.audit.with_name("kept")
        home.audit.rename(kept)
        home.audit.write_text("a file where the folder should be")
        service.note_late("call.pause", "jo", "call-1")
        home.audit.unlink()
        kept.rename(home.audit)
        now_s = RETRY_S / 2
        service.late.catch_up()
        assert service.late.waiting == 1, "a log that has failed is left alone for a while"
        now_s = RETRY_S
        service.late.catch_up()
        assert service.late.waiting == 0
