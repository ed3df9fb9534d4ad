"""What the rules need to know of a live call: whose it was, who has it now, and what it is to somebody. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recorder.permissions import Person
from storage.types import RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentOfficers:
    """Who has a call now.

    Attributes:
        teams: Teams of the extensions that are on it; "" is a team without a name.
        extensions: The nominated extensions that are on it; none while it is with somebody who is not recorded.
        operators: Who sits at them.
        configured: Those of the extensions at which nobody had signed on when the call came.
        proven: Those of the operators whose own phone it is, or who keyed a code at it.
    """

    teams: frozenset[str]
    extensions: frozenset[str]
    operators: frozenset[str]
    configured: frozenset[str]
    proven: frozenset[str]

    def as_json(self) -> dict[str, Any]:
        """Return it as the daemon lists it with a call."""
        return {
            "teams_now": sorted(self.teams),
            "extensions_now": sorted(self.extensions),
            "operators_now": sorted(self.operators),
            "configured_now": sorted(self.configured),
            "proven_now": sorted(self.proven),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What the rules need to know of a call.

    Attributes:
        call: Its id.
        team: Team of its extension; empty where the extension has none.
        extensions: Every nominated extension that had it: two for an internal call.
        operators: Everybody whose call it was.
        erase_on_opt_out: The rule of its service.
        segment: Who has it now; None: all who had it.
    """

    call: RecordingId
    team: str
    extensions: frozenset[str]
    operators: frozenset[str]
    erase_on_opt_out: bool = False
    segment: CurrentOfficers | None = None

    @property
    def now(self) -> CurrentOfficers:
        """Return who has it now."""
        return self.segment or CurrentOfficers(
            teams=frozenset({self.team}),
            extensions=self.extensions,
            operators=self.operators,
            configured=self.extensions,
            proven=self.operators,
        )


def facts_listed(listed: Mapping[str, Any]) -> CallFacts:
    """Return what the rules need to know of a call, out of what the daemon lists of it or of a request."""
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
    """Tell whether somebody is on the call now, as its officer."""
    now = call.now
    return (person.display_name != "" and person.display_name in now.operators) or person.extension in now.configured


def is_at_own_phone(person: Person, call: CallFacts) -> bool:
    """Tell whether somebody is on the call at their own phone: it is configured as theirs, or they keyed a code there.

    A sign-on from elsewhere makes calls somebody's, and proves nothing.
    """
    now = call.now
    return (person.display_name != "" and person.display_name in now.proven) or person.extension in now.configured


def was_on(person: Person, call: CallFacts) -> bool:
    """Tell whether somebody is, or was, on the call, or their extension: nobody decides on their own opt-out."""
    return person.extension in call.extensions or person.display_name in call.operators
