"""Which recording sessions are one call: by the names that their clients give them. Call thread only.

A failed-over session, the two halves of a telephone's built-in bridge, the parts of a call that was transferred: each
is a session of its own, and their recordings name one another.
"""

from collections.abc import Iterable

from recorder.calls.recording_controls import RecordingControls
from storage.types import RecordingId

MOST = 2000
"""Names that are remembered beyond the end of their sessions; the oldest go first."""


class SessionLinks:
    """The sessions in progress and their names."""

    def __init__(self) -> None:
        self._names: dict[str, list[RecordingId]] = {}
        self._live: dict[RecordingId, RecordingControls] = {}
        self._twins: dict[RecordingId, frozenset[str]] = {}

    def name(self, controls: RecordingControls, sessions: Iterable[str], groups: Iterable[str]) -> None:
        """Note the names of a call, and relate its recording to those of calls that share one."""
        mine = controls.recording
        self._live[mine.id] = controls
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

    def twins(self, controls: RecordingControls) -> list[RecordingControls]:
        """Return the other calls in progress that are the same session: what is done to one is done to all."""
        mine = self._twins.get(controls.id, frozenset())
        return [self._live[other] for other, names in self._twins.items() if other != controls.id and mine & names]

    def end(self, controls: RecordingControls) -> None:
        """Note that a call is over; its names are remembered for the calls that follow."""
        self._live.pop(controls.id, None)
        self._twins.pop(controls.id, None)

    def _forget_old(self) -> None:
        for name in list(self._names)[: max(len(self._names) - MOST, 0)]:
            if not any(one in self._live for one in self._names[name]):
                del self._names[name]
