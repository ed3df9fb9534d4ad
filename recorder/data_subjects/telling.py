"""Notes in cases what the recorder itself did to recordings that they hold."""

from collections.abc import Iterable
from contextlib import suppress
from zoneinfo import ZoneInfo

from recorder.data_subjects.case_repository import CaseRepository, ChangedError
from recorder.rules.cases import CaseEntry, CaseEvent
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.retention_types import ErasureOrder, Hold

_TRIES = 20


def note_erasure(
    cases: CaseRepository, audit: AuditLog, timezone: str, order: ErasureOrder, holds: Iterable[Hold]
) -> None:
    """Note an erasure of card data in each case that holds the recording.

    Args:
        cases: Cases.
        audit: The audit log.
        timezone: IANA name of the council's time zone.
        order: The order that was carried out.
        holds: Legal holds on the recording. Those of complaints have references of another system and are skipped.

    Raises:
        AuditUnavailableError: The audit log cannot be written; the remaining cases have no note.
    """
    to = "the end" if order.end_s is None else f"{order.end_s:.1f} s"
    text = f"Card data was erased from {order.recording}, from {order.start_s:.1f} s to {to} (order {order.id})."
    now = cases.now()
    for reference in sorted({hold.case_reference for hold in holds}):
        if cases.get(reference) is None:
            continue
        entry = CaseEntry(
            step=CaseEvent.NOTED,
            at=now,
            by=RECORDER,
            on=now.astimezone(ZoneInfo(timezone)).date(),
            text=text,
            details={},
        )
        audit.append(
            act=f"case.{CaseEvent.NOTED}", actor=RECORDER, subject=reference, details={"order": order.id}, text=text
        )
        _append(cases, reference, entry)


def _append(cases: CaseRepository, reference: str, entry: CaseEntry) -> None:
    for _ in range(_TRIES):
        case = cases.get(reference)
        assert case is not None, "cases are never deleted"
        with suppress(ChangedError):  # somebody wrote into the case meanwhile
            cases.append(reference, len(case.entries), entry)
            return
