"""Facts about a call in progress for the rules of `recorder.rules.live_access`."""

from recorder.calls.recording import Recording
from recorder.rules.live_facts import CallFacts, CurrentOfficers


def segment_of(recording: Recording) -> CurrentOfficers:
    """Return the officers who are on a call now."""
    extensions = recording.extensions
    return CurrentOfficers(
        teams=frozenset(extension.team for extension in extensions or [recording.nomination.extension]),
        extensions=recording.call.numbers,
        operators=recording.operators.at(recording.call.numbers),
        configured=frozenset(
            extension.number
            for extension in extensions
            if recording.operators.at((extension.number,)) <= {extension.operator}
        ),
        proven=recording.operators.proven_at(recording.call.numbers),
    )


def facts_of(recording: Recording) -> CallFacts:
    """Return the facts about a call that has a recording."""
    return CallFacts(
        call=recording.id,
        team=recording.nomination.extension.team,
        extensions=frozenset(recording.operators.extensions),
        operators=frozenset(recording.operators.names),
        erase_on_opt_out=recording.service.erase_on_opt_out,
        segment=segment_of(recording),
    )
