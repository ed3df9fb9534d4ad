"""Cases of subject access and disclosure that restored accounts lack, as far as the audit log has them."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from recorder.access.tables import case_entries
from recorder.rules.cases import CaseEvent
from storage.audit_entry import AuditEntry
from storage.rows import time_from_json


def bring_cases_back(
    connection: Connection, cases: Mapping[str, Sequence[AuditEntry]], slack: timedelta
) -> tuple[list[str], list[str]]:
    """Open again, without their words, the cases that the accounts lack, and doubt again who asks.

    So no reference is given to two cases, the deadline counts, and nobody decides what the data protection officer has
    to. Everything else that was entered since the snapshot is left to people.

    Args:
        connection: Of the restored accounts.
        cases: By case, the entries of the log that may be missing, in order.
        slack: Between an entry of the log and the case's at most.

    Returns:
        Sentences on what was brought back, and on what people have to do.
    """
    closed, decide = list[str](), list[str]()
    for case, entries in sorted(cases.items()):
        there = connection.execute(sa.select(case_entries).where(case_entries.c.case == case)).mappings().all()
        missing = [entry for entry in entries if not any(_is_it(entry, row, slack) for row in there)]
        if not missing:
            continue
        lasting = _lasting(missing)
        if there or _step_of(missing[0]) is CaseEvent.OPENED:
            for number, entry in enumerate(lasting, len(there)):
                connection.execute(sa.insert(case_entries).values(case=case, number=number, **_row_of(entry)))
                closed.append(f"case {case}: {_words(entry)}")
        left = ", ".join(_words(one) for one in missing if one not in lasting)
        decide.append(
            f"case {case} was worked on after the snapshot: enter again what the audit log has of it"
            + (f" ({left})" if left else "")
        )
    return closed, decide


def _lasting(missing: Sequence[AuditEntry]) -> list[AuditEntry]:
    """Return the entry that opened the case, and the last doubt about who asks unless it was lifted."""
    steps = [_step_of(one) for one in missing]
    found = missing[:1] if steps[0] is CaseEvent.OPENED else []
    doubts = [at for at, step in enumerate(steps) if step is CaseEvent.IDENTITY_DOUBTED]
    is_doubted = bool(doubts) and CaseEvent.IDENTITY_CHECKED not in steps[doubts[-1] :]
    return [*found, missing[doubts[-1]]] if is_doubted else [*found]


def _step_of(entry: AuditEntry) -> CaseEvent:
    return CaseEvent(entry.act.removeprefix("case."))


def _words(entry: AuditEntry) -> str:
    return f"{_step_of(entry).replace('_', ' ')} by {entry.actor}"


def _is_it(entry: AuditEntry, row: Any, slack: timedelta) -> bool:  # noqa: ANN401 - a RowMapping
    """Tell whether an entry of the log is one of a case's: the log is written just before."""
    at = time_from_json(entry.at)
    assert at is not None, "every entry has a time"
    is_close = abs(row["at_s"] - at.timestamp()) < slack.total_seconds()
    return is_close and (row["step"], row["by"]) == (_step_of(entry), entry.actor)


def _row_of(entry: AuditEntry) -> dict[str, Any]:
    """Return the row of a case's entry; its words can have expired in the log, and are left out."""
    at, details = time_from_json(entry.at), dict(entry.details)
    assert at is not None, "every entry has a time"
    on = str(details.pop("on", None) or f"{at:%Y-%m-%d}")
    words = f"restored from entry {entry.number} of the audit log, which has the words"
    is_opened = _step_of(entry) is CaseEvent.OPENED
    return {
        "step": str(_step_of(entry)), "at_s": at.timestamp(), "by": entry.actor, "on_day": on, "text": words,
        "details": json.dumps({**details, "requester": words} if is_opened else details),
    }  # fmt: skip
