"""Parts of a recording's page: waveform, call timeline, and its history."""

from dataclasses import replace
from typing import Any

from recorder.audit.history import HistoryLine, history_of
from recorder.recordings.call_timeline import timeline_of
from recorder.web.auth import ConsoleCaller
from recorder.web.case_view import names_of
from recorder.web.parts import ConsoleParts
from recorder.web.waveform import waveform_of
from storage.audit_search import entries_about
from storage.errors import AuditUnavailableError
from storage.types import RecordingRow

SHOWN = 100
"""Lines of the history on a page; the audit log's page has all."""


def parts_on_page(console: ConsoleParts, caller: ConsoleCaller, row: RecordingRow) -> dict[str, Any]:
    """Return the parts by the template's names; a history of None could not be read."""
    try:
        history = _history(console, caller, row)
    except AuditUnavailableError:
        history = None
    return {
        "waveform": waveform_of(row), "journey": timeline_of(row),
        "history": history if history is None else history[:SHOWN],
        "has_more_history": history is not None and len(history) > SHOWN,
    }  # fmt: skip


def _history(console: ConsoleParts, caller: ConsoleCaller, row: RecordingRow) -> list[HistoryLine]:
    person = caller.person
    if person is None:
        return []
    requests = console.deps.hearing.requests.of_recording(row.id)
    log = console.deps.hearing.audit_service.audit
    subjects = [row.id, *(request.id for request in requests)]
    own = {request.id for request in requests if request.account == person.name}
    lines = history_of(person, entries_about(log.path, subjects, since=row.started_at), own)
    name = names_of(console) if lines else str
    return [replace(line, actor=name(line.actor)) for line in lines]
