"""Acts on the recording of a session: what is done to one is done to all sessions that are the same conversation."""

import contextlib
from collections.abc import Callable, Collection, Sequence

from recorder import permissions as access
from recorder.calls.acts import Act, ActEntry, all_of, audited
from recorder.calls.recording import Recording
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.siprec.links import SessionLinks
from recorder.rules.pausing import HOLD, Authority, RefusedError


class SessionControls(RecordingControls):
    """What people and rules do to the recording of one session and its twins.

    Args:
        recording: The recording.
        on_reopened: As for `RecordingControls`.
        links: Knows which sessions are twins.
    """

    def __init__(self, recording: Recording, on_reopened: Callable[[], None], links: SessionLinks) -> None:
        super().__init__(recording, on_reopened)
        self._links = links

    @property
    def twins(self) -> Sequence[RecordingControls]:
        """Return those of the other sessions that are the same conversation."""
        return self._links.twins(self)

    def pause(self, reason: str, by: str, *, acts: Collection[str] = (), may_discard: bool = True) -> Act:
        """Pause the recording of this session and of its twins."""

        def shut(one: RecordingControls) -> Act:
            return RecordingControls.pause(one, reason, by, acts=acts, may_discard=may_discard)

        return shut(self) if reason == HOLD else all_of(shut(self), self._on_twins(access.Act.PAUSE, by, shut))

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> Act:
        """Take away what an authority may clear, of this session and of its twins."""

        def clear(one: RecordingControls) -> Act:
            return RecordingControls.resume(one, authority, by, token=token, acts=acts)

        if authority is Authority.RULE:
            return clear(self)
        return all_of(clear(self), self._on_twins(access.Act.RESUME, by, clear))

    def opt_out(self, reason: str, by: str) -> Act:
        """Stop recording this session and its twins."""

        def end(one: RecordingControls) -> Act:
            return one.opt_out_only(reason, by)

        return all_of(end(self), self._on_twins(access.Act.OPT_OUT, by, end))

    def pause_retroactively(
        self, seconds: float | None, by: str, *, acts: Collection[str] = (), may_erase_alone: bool = True
    ) -> Act:
        """Pause, and order the last seconds to be erased, of this session and of its twins."""

        def forget(one: RecordingControls) -> Act:
            return RecordingControls.pause_retroactively(one, seconds, by, acts=acts, may_erase_alone=may_erase_alone)

        return all_of(forget(self), self._on_twins(access.Act.RETROACTIVE_PAUSE, by, forget))

    def _on_twins(self, name: access.Act, by: str, act: Callable[[RecordingControls], Act]) -> list[Act]:
        """Do the same to the twins; each has an entry of its own in the audit log, which names this call."""
        acts = []
        for twin in self.twins:
            with contextlib.suppress(RefusedError):
                acts.append(act(twin))
                details = {"as_twin_of": self.recording.id}
                signature = ActEntry(act=name.value, actor=by, subject=twin.recording.id, details=details)
                audited(self.recording.services, acts[-1], signature)
        return acts
