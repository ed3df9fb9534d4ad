"""HTTP interface for the health of console and daemon, under /api/."""

from typing import Any

from fastapi import APIRouter

from recorder.common.problems import ProblemError
from recorder.permissions import Act, Refusal
from recorder.rules.authorisation import may
from recorder.web.api import PROBLEMS
from recorder.web.console_alarms import console_alarms
from recorder.web.parts import ApiReader, Console

router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.get("/health")
def health(console: Console, caller: ApiReader) -> dict[str, Any]:
    """Alarms by name, empty if there are none, and the daemon's health report.

    ``daemon`` is null, with ``problem``, while the daemon does not answer. Callers who may see live calls but not the
    state of the recorder get the console's own alarms only.
    """
    alarms = console_alarms(console.deps)
    if isinstance(may(caller.actor, Act.SEE_SYSTEM), Refusal):
        console.audit_service.authorise(caller.actor, Act.SEE_LIVE)
        return {"alarms": alarms}
    try:
        daemon = console.live.health()
    except ProblemError as error:
        return {"alarms": alarms, "daemon": None, "problem": error.detail}
    return {"alarms": {**daemon["alarms"], **alarms}, "daemon": daemon, "problem": ""}
