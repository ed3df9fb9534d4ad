"""Which calls in progress an actor may act on, for the daemon's socket; `recorder.rules.live_access` decides.

Call thread only: it knows who has a call now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from recorder.calls.call_facts import facts_of
from recorder.calls.call_services import CallServices
from recorder.calls.recorded_part import RecordedPart
from recorder.calls.recording_controls import RecordingControls
from recorder.common.problems import ProblemError
from recorder.control.bodies import ActBody, SocketCaller
from recorder.permissions import Act, Actor, DeniedError, Person
from recorder.rules.live_access import Around, HiddenError, Permit, require
from recorder.rules.pausing import Authority
from recorder.rules.seats import own_teams

WITHOUT_ACCOUNT = "paused_without_account"
"""The alarm: a user of the machine paused a call without naming an account."""


@dataclass(frozen=True, slots=True)
class Permitted:
    """The calls that an actor may act on, and the permit that holds for all of them."""

    calls: Sequence[RecordedPart]
    permit: Permit

    @property
    def gates(self) -> list[RecordingControls]:
        """Return the recording controls of the calls."""
        return [call.controls for call in self.calls]


class Permits:
    """Decides what an actor may do."""

    def __init__(self, services: CallServices) -> None:
        self._services = services

    def of(self, calls: Sequence[RecordedPart], act: Act, body: ActBody, who: SocketCaller) -> Permitted:
        """Return those of some calls that an actor may act on: not all at an extension need be theirs.

        Raises:
            HiddenError: They may act on none, and know of none.
            DeniedError: They may act on none.
        """
        actor = body.actor_of(who)
        around = self.around(actor, body)
        may_act: list[tuple[RecordedPart, Permit]] = []
        denied: list[DeniedError] = []
        for call in calls:
            try:
                may_act.append((call, require(actor, act, facts_of(call.recording), around)))
            except DeniedError as error:
                denied.append(error)
        if not may_act:
            raise next((error for error in denied if not isinstance(error, HiddenError)), denied[0])
        permits = [permit for _, permit in may_act]
        if any(permit.is_alarmed for permit in permits):
            self._services.alarm(WITHOUT_ACCOUNT)
            self._services.publish({"event": "alarm", "alarm": WITHOUT_ACCOUNT, "id": may_act[0][0].id})
        return Permitted([call for call, _ in may_act], _narrowest(permits))

    def around(self, actor: Actor, body: ActBody) -> Around:
        """Return what is known of the actor besides their account."""
        return body.around(self._teams(actor) if isinstance(actor, Person) else frozenset())

    def _teams(self, person: Person) -> frozenset[str]:
        """Return the teams of the phones configured as a person's; sign-ons do not count."""
        return own_teams(person, self._services.config.extension)


def require_named(who: SocketCaller, what: str = "This shows who calls: it") -> None:
    """Check that the caller gave a name: to see numbers and names, or to change who is at a phone.

    Args:
        who: Who asks.
        what: What takes a person; the beginning of a sentence.

    Raises:
        ProblemError: 403: they have not.
    """
    if not who.name:
        raise ProblemError(403, f"{what} takes a person with an account, give --as NAME.")


def _narrowest(permits: Sequence[Permit]) -> Permit:
    """Return the permit for an act on several calls: no more than each of them gives."""
    first = permits[0]
    authority = first.authority if all(one.authority is first.authority for one in permits) else Authority.OFFICER
    return Permit(
        authority=authority,
        may_discard=all(one.may_discard for one in permits),
        may_erase_alone=all(one.may_erase_alone for one in permits),
    )
