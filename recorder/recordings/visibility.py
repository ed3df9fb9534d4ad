"""Which recordings a person may see. The answer for any other is 404, the same as for an id that does not exist.

An id says when which extension was called. So nobody learns from a refusal which ids exist.
"""

import contextlib
from collections.abc import Collection

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person
from recorder.rules.authorisation import knows_of
from storage.container_rows import read_begun_row
from storage.errors import StorageError
from storage.rows import row_from_json
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault


def none_such(what: str = "recording") -> ProblemError:
    """Return the answer about what is not there, or is not theirs to know of."""
    return ProblemError(404, f"There is no such {what}.")


def check_known(
    ledger: AuditService,
    person: Person,
    act: Act,
    recording: str,
    *,
    operators: Collection[str],
    team: str,
    what: str = "recording",
) -> None:
    """Make sure that a recording is one that somebody may know of; if not, the audit log has what they tried.

    Args:
        ledger: Of the audit log.
        person: Who asks.
        act: For what.
        recording: Its id.
        operators: Whose call it was.
        team: Its team at the time.
        what: What they asked for of it: a hold, an order.

    Raises:
        ProblemError: 404, as for one that is not there.
    """
    if not knows_of(person, operators=operators, team=team):
        ledger.refusal(person.actor, act, recording, "This is not a recording that they may know of.")
        raise none_such(what)


def begun_row(vault: Vault, recording: RecordingId) -> RecordingRow | None:
    """Return the row of a call that is in progress or not filed yet, as its container has it."""
    for path in vault.files_of(recording):
        with contextlib.suppress(StorageError, KeyError, TypeError, ValueError):
            return row_from_json(read_begun_row(vault, path))
    return None
