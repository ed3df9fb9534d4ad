"""Relates recording sessions of one call, by the names that their clients give them. Call thread only.

A session that failed over, the two halves of a phone's built-in bridge, and the parts of a transferred call are
sessions of their own. Their recordings are related to each other.

Sessions that share a session name are twins: each act on one is passed on to the others. Sessions that share only a
group (RFC 7865 section 6.2) are mates: an opt-out or a discard of one ends the others too.
"""

from collections.abc import Iterable

from recorder.calls.group_acts import carry_final_over, carry_over
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.conversation import Match
from storage.types import RecordingId

BY_GROUP = "rule:same_group"
"""The actor in the audit log when an opt-out or a discard is applied to another session of the group."""
MOST = 2000
"""Most names of ended sessions that are kept; the oldest are removed first."""


class SessionLinks:
    """The sessions in progress and their names."""

    def __init__(self) -> None:
        self._names: dict[str, list[RecordingId]] = {}
        self._live: dict[RecordingId, RecordingControls] = {}
        self._session_names: dict[RecordingId, frozenset[str]] = {}
        self._group_names: dict[RecordingId, frozenset[str]] = {}

    def add_names(self, controls: RecordingControls, sessions: Iterable[str], groups: Iterable[str]) -> None:
        """Note the names of a session, and relate its recording to those of sessions that share a name.

        Its pause state is applied to sessions in progress that become its twins, its final state to those that become
        its mates. It has theirs already, from the session register.
        """
        recording = controls.recording
        self._live[recording.id] = controls
        sessions, before = frozenset(sessions), self._session_names.get(recording.id, frozenset())
        groups, groups_before = tuple(groups), self._group_names.get(recording.id, frozenset())
        self._session_names[recording.id], self._group_names[recording.id] = sessions, frozenset(groups)
        for name in (*sorted(sessions), *groups):
            known = self._names.pop(name, [])
            for other in known:
                if other != recording.id:
                    recording.relates_to(other)
                    if (live := self._live.get(other)) is not None:
                        live.recording.relates_to(recording.id)
            self._names[name] = known if recording.id in known else [*known, recording.id]
        self._remove_old()
        if sessions == before and groups_before.issuperset(groups):
            return  # the usual update
        for twin in self.twins(controls):
            if before.isdisjoint(self._session_names[twin.id]):
                carry_over(controls, twin, Match.SAME)
        self.end_mates(controls)

    def twins(self, controls: RecordingControls) -> list[RecordingControls]:
        """Return the other recordings in progress whose sessions share a session name."""
        own = self._session_names.get(controls.id, frozenset())
        others = self._session_names.items()
        return [self._live[other] for other, names in others if other != controls.id and own & names]

    def mates(self, controls: RecordingControls) -> list[RecordingControls]:
        """Return the other recordings in progress whose sessions share a group, and no session name."""
        own, others = self._group_names.get(controls.id, frozenset()), self._group_names.items()
        twins = self.twins(controls)
        mates = [self._live[other] for other, names in others if other != controls.id and own & names]
        return [mate for mate in mates if mate not in twins]

    def end_mates(self, controls: RecordingControls) -> None:
        """Apply a final state of a session to its mates; nothing if recording goes on, or for mates that have one."""
        for mate in self.mates(controls):
            carry_final_over(controls, mate, BY_GROUP)

    def end(self, controls: RecordingControls) -> None:
        """Note that a session has ended; its names are kept for sessions that follow."""
        self._live.pop(controls.id, None)
        self._session_names.pop(controls.id, None)
        self._group_names.pop(controls.id, None)

    def _remove_old(self) -> None:
        for name in list(self._names)[: max(len(self._names) - MOST, 0)]:
            if not any(recording in self._live for recording in self._names[name]):
                del self._names[name]
