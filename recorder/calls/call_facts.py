"""What the rules of `recorder.rules.live_access` need to know of a call in progress."""

from recorder.calls.recording import Recording
from recorder.rules.live_facts import CallFacts, CurrentOfficers


def segment_of(recording: Recording) -> CurrentOfficers:
    """Return who has a call now."""
    there = recording.extensions
    return CurrentOfficers(
        teams=frozenset(one.team for one in there or [recording.nomination.extension]),
        extensions=recording.call.numbers,
        operators=recording.operators.at(recording.call.numbers),
        configured=frozenset(one.number for one in there if recording.operators.at((one.number,)) <= {one.operator}),
        proven=recording.operators.proven_at(recording.call.numbers),
    )


def facts_of(recording: Recording) -> CallFacts:
    """Return what the rules need to know of a recording."""
    return CallFacts(
        call=recording.id,
        team=recording.nomination.extension.team,
        extensions=frozenset(recording.operators.extensions),
        operators=frozenset(recording.operators.names),
        erase_on_opt_out=recording.service.erase_on_opt_out,
        segment=segment_of(recording),
    )
