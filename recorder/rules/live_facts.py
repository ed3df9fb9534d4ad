"""Facts of a live call that the rules need: its officers, past and present, and a person's relation to it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recorder.permissions import Person
from storage.types import RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentOfficers:
    """The officers who have a call now.

    Attributes:
        teams: Teams of the extensions on the call; "" is a team without a name.
        extensions: Nominated extensions on the call; none while it is with somebody who is not recorded.
        operators: Officers at these extensions.
        configured: Those of the extensions where nobody was signed on when the call came.
        proven: Those of the operators whose own phone it is, or who keyed a code there.
    """

    teams: frozenset[str]
    extensions: frozenset[str]
    operators: frozenset[str]
    configured: frozenset[str]
    proven: frozenset[str]

    def as_json(self) -> dict[str, Any]:
        """Return the fields that the daemon lists with a call."""
        return {
            "teams_now": sorted(self.teams),
            "extensions_now": sorted(self.extensions),
            "operators_now": sorted(self.operators),
            "configured_now": sorted(self.configured),
            "proven_now": sorted(self.proven),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """The facts of a call that the rules need.

    Attributes:
        team: Team of its extension; empty if the extension has none.
        extensions: Every nominated extension that had it; two for an internal call.
        operators: Every officer who had it.
        erase_on_opt_out: The rule of its service.
        segment: Who has it now; None for everybody who had it.
    """

    call: RecordingId
    team: str
    extensions: frozenset[str]
    operators: frozenset[str]
    erase_on_opt_out: bool = False
    segment: CurrentOfficers | None = None

    @property
    def now(self) -> CurrentOfficers:
        """Return who has the call now."""
        return self.segment or CurrentOfficers(
            teams=frozenset({self.team}),
            extensions=self.extensions,
            operators=self.operators,
            configured=self.extensions,
            proven=self.operators,
        )


def facts_listed(listed: Mapping[str, Any]) -> CallFacts:
    """Return the facts of a call from the daemon's list of calls or opt-out requests."""
    every = {what: frozenset(listed.get(what) or ()) for what in ("extensions", "operators")}
    now = {what: frozenset(listed.get(f"{what}_now") or ()) for what in ("teams", "configured", "proven", *every)}
    return CallFacts(
        call=RecordingId(str(listed.get("call"))),
        team=str(listed.get("team") or ""),
        extensions=every["extensions"] | now["extensions"],
        operators=every["operators"] | now["operators"],
        erase_on_opt_out=bool(listed.get("erase_on_opt_out")),
        segment=CurrentOfficers(**now),
    )


def is_theirs(person: Person, call: CallFacts) -> bool:
    """Tell whether a person is on the call now, as its officer."""
    now = call.now
    return (person.display_name != "" and person.display_name in now.operators) or person.extension in now.configured


def is_at_own_phone(person: Person, call: CallFacts) -> bool:
    """Tell whether a person is on the call at their own phone: configured as theirs, or they keyed a code there.

    A sign-on from elsewhere makes calls theirs, but proves nothing.
    """
    now = call.now
    return (person.display_name != "" and person.display_name in now.proven) or person.extension in now.configured


def was_on(person: Person, call: CallFacts) -> bool:
    """Tell whether a person or their extension is, or was, on the call: nobody decides on their own opt-out."""
    return person.extension in call.extensions or person.display_name in call.operators
