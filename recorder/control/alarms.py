"""The routes of alarms: which stand, which have ended, and their acknowledgement by a person."""

from datetime import timedelta
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from recorder.calls.call_services import CallServices
from recorder.common.clock import utc_now
from recorder.common.problems import ProblemError
from recorder.control.bodies import PersonalBody, WhoCalls
from recorder.control.call_thread_gateway import CallThreadGateway
from recorder.control.routes import routes_of
from recorder.permissions import Act, Refusal
from recorder.rules.alarm_book import (
    LONGEST_ACKNOWLEDGED_HOURS,
    LONGEST_REMARK,
    SHORTEST_REMARK,
    Acknowledgement,
    acknowledgement_problem,
    ended_to_json,
    standing_to_json,
)
from recorder.rules.authorisation import may

ACKNOWLEDGED = "alarm.acknowledged"


class AcknowledgeBody(PersonalBody):
    """Who acknowledges an alarm.

    Attributes:
        alarm: Its name.
        remark: What they found or do about it.
        hours: For how long nobody else has to act.
    """

    model_config = ConfigDict(extra="forbid")

    alarm: Annotated[str, Field(min_length=1, max_length=60)]
    remark: Annotated[str, Field(min_length=SHORTEST_REMARK, max_length=LONGEST_REMARK)]
    hours: Annotated[float, Field(gt=0, le=LONGEST_ACKNOWLEDGED_HOURS)] = 24.0


class LiveAlarms:
    """The routes of alarms."""

    def __init__(self, services: CallServices, gateway: CallThreadGateway) -> None:
        self._services, self._gateway = services, gateway

    async def alarms(self) -> dict[str, Any]:
        """Return the alarms that stand, and those that have ended, newest first."""
        book = self._services.alarms
        return {
            "standing": [standing_to_json(one) for one in book.standing()],
            "ended": [ended_to_json(one) for one in book.ended()],
        }

    async def acknowledge(self, body: AcknowledgeBody, who: WhoCalls) -> dict[str, Any]:
        """Acknowledge an alarm that stands."""
        person = body.person_of(who)
        decision = may(person, Act.SEE_SYSTEM)
        if isinstance(decision, Refusal):
            raise ProblemError(403, decision.reason)
        if (problem := acknowledgement_problem(body.remark, body.hours)) is not None:
            raise ProblemError(422, problem[1])
        now = utc_now()
        said = Acknowledgement(
            by=who.actor, at=now, until=now + timedelta(hours=body.hours), remark=" ".join(body.remark.split())
        )
        try:
            found = self._services.alarms.acknowledge(body.alarm, said)
        except KeyError:
            raise ProblemError(404, f"There is no alarm {body.alarm} now; `recorder alarms list` shows them.") from None
        details = {"alarm": body.alarm, "remark": said.remark, "hours": body.hours}
        await self._gateway.confirm(self._services.enter_later(ACKNOWLEDGED, who.actor, details))
        return standing_to_json(found)


ROUTES = routes_of(
    LiveAlarms,
    (
        ("GET", "/api/alarms", LiveAlarms.alarms),
        ("POST", "/api/alarms/acknowledge", LiveAlarms.acknowledge),
    ),
)
