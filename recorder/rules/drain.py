"""The states of the daemon between taking calls and leaving: running, draining, stopping, ending. Pure.

Every pair of state and event is in `TABLE`, or in `IGNORED` with the reason. `recorder.service.draining` carries out
the actions.
"""

import enum
from dataclasses import dataclass


class DrainState(enum.StrEnum):
    """Whether the daemon takes new calls, and whether it leaves."""

    RUNNING = "running"
    """New calls are taken."""
    DRAINING = "draining"
    """New calls are refused, until somebody takes that back or stops the daemon."""
    STOPPING = "stopping"
    """New calls are refused; the daemon leaves when the last call has ended, or when the limit is over."""
    ENDING = "ending"
    """The calls that are left are being ended; the daemon leaves."""

    @property
    def refuses_calls(self) -> bool:
        """Tell whether new calls are refused, emergency calls excepted."""
        return self is not DrainState.RUNNING


class DrainEvent(enum.Enum):
    """An event that concerns the state."""

    DRAIN_ASKED = "a person asks for a drain"
    TAKEN_BACK = "a person takes the drain back"
    STOP_ASKED = "a person asks the daemon to stop when the last call has ended"
    SIGNALLED = "SIGTERM or SIGINT"
    EMPTIED = "the last call has ended"
    LIMIT_OVER = "the limit of the stop is over"


class DrainAction(enum.Enum):
    """An action that follows a change of state."""

    REFUSE_CALLS = "refuse new calls and OPTIONS"
    TAKE_CALLS = "take new calls again"
    START_LIMIT = "start the limit of the stop"
    END_CALLS = "end the calls that are left, and leave"


@dataclass(frozen=True, slots=True)
class Transition:
    """The next state, and the actions in order."""

    state: DrainState
    actions: tuple[DrainAction, ...] = ()


_RUNNING, _DRAINING, _STOPPING, _ENDING = DrainState
_REFUSE, _TAKE, _LIMIT, _END = DrainAction

TABLE: dict[tuple[DrainState, DrainEvent], Transition] = {
    (_RUNNING, DrainEvent.DRAIN_ASKED): Transition(_DRAINING, (_REFUSE,)),
    (_RUNNING, DrainEvent.STOP_ASKED): Transition(_STOPPING, (_REFUSE, _LIMIT)),
    (_RUNNING, DrainEvent.SIGNALLED): Transition(_STOPPING, (_REFUSE, _LIMIT)),
    (_DRAINING, DrainEvent.TAKEN_BACK): Transition(_RUNNING, (_TAKE,)),
    (_DRAINING, DrainEvent.STOP_ASKED): Transition(_STOPPING, (_LIMIT,)),
    (_DRAINING, DrainEvent.SIGNALLED): Transition(_STOPPING, (_LIMIT,)),
    # A person may give a stop another limit, but only a signal ends calls before it: a repeated request must not.
    (_STOPPING, DrainEvent.STOP_ASKED): Transition(_STOPPING, (_LIMIT,)),
    (_STOPPING, DrainEvent.SIGNALLED): Transition(_ENDING, (_END,)),
    (_STOPPING, DrainEvent.EMPTIED): Transition(_ENDING, (_END,)),
    (_STOPPING, DrainEvent.LIMIT_OVER): Transition(_ENDING, (_END,)),
}
"""The transition for each state and event."""

IGNORED: frozenset[tuple[DrainState, DrainEvent]] = frozenset(
    {
        # A drain without a stop has no end of its own.
        *((state, event) for state in (_RUNNING, _DRAINING) for event in (DrainEvent.EMPTIED, DrainEvent.LIMIT_OVER)),
        (_RUNNING, DrainEvent.TAKEN_BACK),  # there is nothing to take back
        (_DRAINING, DrainEvent.DRAIN_ASKED),
        (_STOPPING, DrainEvent.DRAIN_ASKED),  # new calls are refused already
        # Whoever asked for the stop, such as systemd, kills a daemon that does not leave.
        (_STOPPING, DrainEvent.TAKEN_BACK),
        *((_ENDING, event) for event in DrainEvent),
    }
)
"""Pairs of state and event without effect."""


class UndecidedDrainError(Exception):
    """The table has no entry for an event in a state: a defect of the recorder."""


def after(state: DrainState, event: DrainEvent) -> Transition:
    """Return what an event leads to; without effect, the same state and no action.

    Raises:
        UndecidedDrainError: The table has no row for this state and event.
    """
    if (state, event) in TABLE:
        return TABLE[state, event]
    if (state, event) in IGNORED:
        return Transition(state)
    raise UndecidedDrainError(f"no rule for {event.name} in state {state.name}")
