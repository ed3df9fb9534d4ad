"""The console's own alarms, from databases that the daemon does not open."""

from recorder.access.reachability import AccountsAwayError
from recorder.notifications.watch import disagreements_of
from recorder.retention.eraser import alarms_of
from recorder.web.deps import ConsoleDeps
from storage.errors import DatabaseError

ACCOUNTS_CHANGED = "accounts_changed"
ACCOUNTS_UNAVAILABLE = "accounts_unavailable"
INDEX_UNAVAILABLE = "index_unavailable"
ASSURANCE_SHARE_RISEN = "assurance_share_risen"
CALL_RECORDS_MISSING = "call_records_missing"


def console_alarms(deps: ConsoleDeps) -> dict[str, int]:
    """Return the console's alarms by name, each with a number over 0. Reads databases; one that is away is an alarm."""
    alarms = deps.alarms.copy()
    try:
        alarms |= alarms_of(deps.repos.erasures, deps.repos.index, deps.now())
        if deps.watch.assurance.trend().has_risen:
            alarms[ASSURANCE_SHARE_RISEN] = 1
        if deps.watch.assurance.has_stopped():
            alarms[CALL_RECORDS_MISSING] = 1
    except DatabaseError:
        alarms[INDEX_UNAVAILABLE] = 1
    try:
        if changed := len(disagreements_of(deps.hearing)):
            alarms[ACCOUNTS_CHANGED] = changed
    except AccountsAwayError:
        alarms[ACCOUNTS_UNAVAILABLE] = 1
    return alarms
