"""Which recordings a person may see. The answer for any other is 404, as for an id that does not exist.

An id contains the time and the extension of the call, so a refusal must not reveal which ids exist.
"""

import contextlib
from collections.abc import Collection
from dataclasses import replace

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person
from recorder.rules.authorisation import knows_of
from recorder.rules.call_parts import LEAST_US
from recorder.rules.spans import US
from storage.container_rows import read_begun_row
from storage.deletion import PART
from storage.errors import StorageError
from storage.rows import row_from_json
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault


def none_such(what: str = "recording") -> ProblemError:
    """Return the 404 for something that does not exist or that the person may not know of."""
    return ProblemError(404, f"There is no such {what}.")


def check_known(
    audit_service: AuditService,
    person: Person,
    act: Act,
    recording: str,
    *,
    operators: Collection[str],
    team: str,
    what: str = "recording",
) -> None:
    """Check that a person may know of a recording; if not, the attempt is in the audit log.

    Args:
        audit_service: Writes the audit entry.
        person: Who asks.
        act: For what.
        recording: Its id.
        operators: Its officers.
        team: Its team at the time.
        what: What they asked for: a recording, a hold, an order.

    Raises:
        ProblemError: 404, as for something that does not exist.
    """
    if not knows_of(person, operators=operators, team=team):
        audit_service.refusal(person.actor, act, recording, "This is not a recording that they may know of.")
        raise none_such(what)


def begun_row(vault: Vault, recording: RecordingId) -> RecordingRow | None:
    """Return the row in the container of a call that is in progress or not filed yet.

    It was written when its last segment began, and has no length of that one. The segment goes on, so it is given the
    length from which a part of a call belongs to its officer and team: otherwise nobody's team has the call.
    """
    for path in vault.files_of(recording):
        with contextlib.suppress(StorageError, KeyError, TypeError, ValueError):
            row = row_from_json(read_begun_row(vault, path))
            return _running(row) if path.suffix == PART else row
    return None


def _running(row: RecordingRow) -> RecordingRow:
    if not row.segments:
        return row
    *before, last = row.segments
    end_s = max(last.end_s, last.start_s + LEAST_US / US)
    return replace(row, segments=(*before, replace(last, end_s=end_s)))
