"""Which recording sessions are one call: by the names that their clients give them. Call thread only.

A failed-over session, the two halves of a telephone's built-in bridge, the parts of a call that was transferred: each
is a session of its own, and their recordings name one another.
"""

from collections.abc import Iterable

from recorder.calls.gate_acts import GateActs
from storage.types import RecordingId

MOST = 2000
"""Names that are remembered beyond the end of their sessions; the oldest go first."""


class Links:
    """The sessions in progress and their names."""

    def __init__(self) -> None:
        self._names: dict[str, list[RecordingId]] = {}
        self._live: dict[RecordingId, GateActs] = {}
        self._twins: dict[RecordingId, frozenset[str]] = {}

    def name(self, gate: GateActs, sessions: Iterable[str], groups: Iterable[str]) -> None:
        """Note the names of a call, and relate its recording to those of calls that share one."""
        mine = gate.recording
        self._live[mine.id] = gate
        sessions = frozenset(sessions)
        self._twins[mine.id] = sessions
        for name in (*sorted(sessions), *groups):
            known = self._names.pop(name, [])
            for other in known:
                if other != mine.id:
                    mine.relates_to(other)
                    if (live := self._live.get(other)) is not None:
                        live.recording.relates_to(mine.id)
            self._names[name] = known if mine.id in known else [*known, mine.id]
        self._forget_old()

    def twins(self, gate: GateActs) -> list[GateActs]:
        """Return the other calls in progress that are the same session: what is done to one is done to all."""
        mine = self._twins.get(gate.id, frozenset())
        return [self._live[other] for other, names in self._twins.items() if other != gate.id and mine & names]

    def end(self, gate: GateActs) -> None:
        """Note that a call is over; its names are remembered for the calls that follow."""
        self._live.pop(gate.id, None)
        self._twins.pop(gate.id, None)

    def _forget_old(self) -> None:
        for name in list(self._names)[: max(len(self._names) - MOST, 0)]:
            if not any(one in self._live for one in self._names[name]):
                del self._names[name]
