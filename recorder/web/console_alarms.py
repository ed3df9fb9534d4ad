"""The console's own alarms, from databases that the daemon does not open."""

from recorder.notifications.watch import disagreements_of
from recorder.retention.eraser import alarms_of
from recorder.web.deps import ConsoleDeps

ACCOUNTS_CHANGED = "accounts_changed"


def console_alarms(deps: ConsoleDeps) -> dict[str, int]:
    """Return the console's alarms by name, each with a number over 0. Reads databases."""
    changed = len(disagreements_of(deps.hearing))
    return {**deps.alarms.copy(), **alarms_of(deps.repos.erasures), **({ACCOUNTS_CHANGED: changed} if changed else {})}
