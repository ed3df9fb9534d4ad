"""Which recording sessions are one call: by the names that their clients give them. Call thread only.

A failed-over session, the two halves of a telephone's built-in bridge, the parts of a call that was transferred: each
is a session of its own, and their recordings name one another.
"""

from collections.abc import Iterable
from typing import Protocol

from storage.types import RecordingId

MOST = 2000
"""Names that are remembered beyond the end of their sessions; the oldest go first."""


class LinkedCall(Protocol):
    """What is linked; `recorder.calls.siprec.siprec_call.SiprecCall` is the real one."""

    id: RecordingId

    def belongs_with(self, other: RecordingId) -> None:
        """Take it that another recording is of the same call."""


class Links:
    """The sessions in progress and their names."""

    def __init__(self) -> None:
        self._names: dict[str, list[RecordingId]] = {}
        self._live: dict[RecordingId, LinkedCall] = {}
        self._twins: dict[RecordingId, frozenset[str]] = {}

    def name(self, call: LinkedCall, sessions: Iterable[str], groups: Iterable[str]) -> None:
        """Take it that a call has these names; it and those that share one are told of each other."""
        self._live[call.id] = call
        sessions = frozenset(sessions)
        self._twins[call.id] = sessions
        for name in (*sorted(sessions), *groups):
            known = self._names.pop(name, [])
            for other in known:
                if other != call.id:
                    call.belongs_with(other)
                    if (live := self._live.get(other)) is not None:
                        live.belongs_with(call.id)
            self._names[name] = known if call.id in known else [*known, call.id]
        self._forget_old()

    def twins(self, call: LinkedCall) -> list[LinkedCall]:
        """Return the other calls in progress that are the same session: what is done to one is done to all."""
        mine = self._twins.get(call.id, frozenset())
        return [self._live[other] for other, names in self._twins.items() if other != call.id and mine & names]

    def end(self, call: LinkedCall) -> None:
        """Take it that a call is over; its names are remembered for those that follow."""
        self._live.pop(call.id, None)
        self._twins.pop(call.id, None)

    def _forget_old(self) -> None:
        for name in list(self._names)[: max(len(self._names) - MOST, 0)]:
            if not any(one in self._live for one in self._names[name]):
                del self._names[name]
