"""What the rules of `recorder.domain.live_access` need to know of a call in progress."""

from typing import Protocol

from recorder.calls.works import Works
from recorder.domain.crew import Crew
from recorder.domain.live_access import CallFacts, Segment
from recorder.domain.policy import Nomination, Service
from storage.types import RecordingId


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
    first, second = call.nomination.extension, call.nomination.second
    known = {one.number: one for one in (first, second) if one is not None}
    if not call.numbers <= known.keys():  # rarely: every call in progress is listed, and there may be many extensions
        known = {**call.works.config.extensions, **known}
    there = [known[number] for number in call.numbers if number in known]
    return Segment(
        teams=frozenset(one.team for one in there or [first]),
        extensions=call.numbers,
        operators=call.crew.at(call.numbers),
        configured=frozenset(one.number for one in there if call.crew.at((one.number,)) <= {one.operator}),
        proven=call.crew.proven_at(call.numbers),
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
