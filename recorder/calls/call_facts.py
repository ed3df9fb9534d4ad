"""What the rules of `recorder.rules.live_access` need to know of a call in progress."""

from typing import Protocol

from recorder.calls.rules.crew import Crew
from recorder.calls.works import Works
from recorder.rules.live_access import CallFacts, Segment
from recorder.rules.policy import Extension, Nomination, Service
from storage.types import Officer, RecordingId


class KnownCall(Protocol):
    """Of which call; `recorder.calls.taped_call.TapedCall` is the real one."""

    id: RecordingId
    works: Works
    nomination: Nomination
    crew: Crew
    service: Service

    @property
    def numbers(self) -> frozenset[str]:
        """Return the nominated extensions that are on the call now."""


def segment_of(call: KnownCall) -> Segment:
    """Return who has a call now."""
    there = _extensions_on(call)
    return Segment(
        teams=frozenset(one.team for one in there or [call.nomination.extension]),
        extensions=call.numbers,
        operators=call.crew.at(call.numbers),
        configured=frozenset(one.number for one in there if call.crew.at((one.number,)) <= {one.operator}),
        proven=call.crew.proven_at(call.numbers),
    )


def _nominated(call: KnownCall) -> dict[str, Extension]:
    return {one.number: one for one in (call.nomination.extension, call.nomination.second) if one is not None}


def _extensions_on(call: KnownCall) -> list[Extension]:
    """Return the nominated extensions that are on a call now."""
    known = _nominated(call)
    if not call.numbers <= known.keys():  # rarely: every call in progress is listed, and there may be many extensions
        known = {**call.works.config.extensions, **known}
    return [known[number] for number in call.numbers if number in known]


def officers_of(call: KnownCall) -> tuple[Officer, ...]:
    """Return everybody on a call whose calls are recorded, in the order of their extensions.

    Of a call that comes back from somebody whose calls are not recorded those for whom it goes on.
    """
    there = _extensions_on(call) or list(_nominated(call).values())
    return tuple(
        Officer(extension=one.number, operator=operator, team=one.team)
        for one in sorted(there, key=lambda one: one.number)
        for operator in call.crew.at((one.number,))
    )


def facts_of(call: KnownCall) -> CallFacts:
    """Return what the rules need to know of a call."""
    return CallFacts(
        call=call.id,
        team=call.nomination.extension.team,
        extensions=frozenset(call.crew.extensions),
        operators=frozenset(call.crew.operators),
        erase_on_opt_out=call.service.erase_on_opt_out,
        segment=segment_of(call),
    )
