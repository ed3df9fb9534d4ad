"""What was done to something is found in the audit log, all of it and nothing else."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from storage.audit import AuditLog
from storage.audit_entry import GENESIS, line_of, parse_line
from storage.audit_search import entries_about
from storage.errors import AuditUnavailableError

BEGAN = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> AuditLog:
    """Two thousand entries, an hour apart, on a hundred subjects."""
    log = AuditLog(tmp_path_factory.mktemp("audit"))
    last, details = GENESIS, {"note": '"subject":"r7"', "subject": "r8"}
    with log.path.open("wb") as file:
        for number in range(2000):
            fields = {
                "n": number + 1, "at": (BEGAN + timedelta(hours=number)).isoformat(), "act": "recording.view",
                "actor": "dpo", "subject": f"r{number % 100}", "details": details, "text": None, "prev": last,
            }  # fmt: skip
            line = line_of(fields)
            last = parse_line(line).hash
            file.write(line)
    return log


def numbers(log: AuditLog, *subjects: str, since: datetime = BEGAN) -> list[int]:
    return [entry.number for entry in entries_about(log.path, subjects, since=since)]


def test_all_of_a_subject_and_nothing_else(log: AuditLog) -> None:
    assert numbers(log, "r7") == [8 + 100 * n for n in range(20)]
    assert numbers(log, "r7", "r70") == sorted([8 + 100 * n for n in range(20)] + [71 + 100 * n for n in range(20)])
    assert numbers(log, "r") == []
    assert numbers(log) == []


def test_what_is_old_is_not_read_but_nothing_later_is_missed(log: AuditLog) -> None:
    for hour in (0, 1, 999, 1000, 1507, 1999):
        since = BEGAN + timedelta(hours=hour)
        found = numbers(log, "r7", since=since)
        assert set(found) >= {number for number in (8 + 100 * n for n in range(20)) if number - 1 >= hour}
        assert len(found) <= 20
    assert len(numbers(log, "r7", since=BEGAN + timedelta(hours=1990))) < 20


def test_a_last_line_that_is_cut_is_left_out_and_a_changed_one_is_told(log: AuditLog, tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(log.path.read_bytes()[:-10])
    assert [entry.number for entry in entries_about(path, ["r99"], since=BEGAN)][-1] == 1900
    path.write_bytes(log.path.read_bytes().replace(b'"actor":"dpo"', b'"actor":"odp"', 8))
    with pytest.raises(AuditUnavailableError, match="does not fit"):
        list(entries_about(path, ["r7"], since=BEGAN))


def test_no_log_has_nothing(tmp_path: Path) -> None:
    assert list(entries_about(tmp_path / "audit.log", ["r7"], since=BEGAN)) == []
