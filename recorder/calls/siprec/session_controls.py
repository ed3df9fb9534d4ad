"""Acts on the recording of a session, which are passed on to its twins: other sessions of the same conversation."""

import contextlib
from collections.abc import Callable, Collection, Sequence

from recorder import permissions as access
from recorder.calls.acts import ActEntry, PendingAct, all_of, audited
from recorder.calls.recording import Recording
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.siprec.links import SessionLinks
from recorder.rules.pausing import HOLD, Authority, RefusedError


class SessionControls(RecordingControls):
    """The acts of people and rules on the recording of one session and on its twins."""

    def __init__(self, recording: Recording, on_reopened: Callable[[], None], links: SessionLinks) -> None:
        super().__init__(recording, on_reopened)
        self._links = links

    @property
    def twins(self) -> Sequence[RecordingControls]:
        """Return the controls of the twins."""
        return self._links.twins(self)

    @property
    def mates(self) -> Sequence[RecordingControls]:
        """Return the controls of the other sessions of its groups."""
        return self._links.mates(self)

    def pause(self, reason: str, by: str, *, acts: Collection[str] = (), may_discard: bool = True) -> PendingAct:
        """Pause the recording of this session and of its twins."""

        def shut(controls: RecordingControls) -> PendingAct:
            return RecordingControls.pause(controls, reason, by, acts=acts, may_discard=may_discard)

        return shut(self) if reason == HOLD else all_of(shut(self), self._on_twins(access.Act.PAUSE, by, shut))

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> PendingAct:
        """Clear the reasons that an authority may clear, of this session and of its twins."""

        def clear(controls: RecordingControls) -> PendingAct:
            return RecordingControls.resume(controls, authority, by, token=token, acts=acts)

        if authority is Authority.RULE:
            return clear(self)
        return all_of(clear(self), self._on_twins(access.Act.RESUME, by, clear))

    def opt_out(self, reason: str, by: str) -> PendingAct:
        """Stop recording this session and its twins for the rest of the call."""

        def end(controls: RecordingControls) -> PendingAct:
            return controls.opt_out_only(reason, by)

        return all_of(end(self), self._on_twins(access.Act.OPT_OUT, by, end))

    def pause_retroactively(
        self, seconds: float | None, by: str, *, acts: Collection[str] = (), may_erase_alone: bool = True
    ) -> PendingAct:
        """Pause this session and its twins, and order the erasure of the last seconds."""

        def pause(controls: RecordingControls) -> PendingAct:
            return RecordingControls.pause_retroactively(
                controls, seconds, by, acts=acts, may_erase_alone=may_erase_alone
            )

        return all_of(pause(self), self._on_twins(access.Act.RETROACTIVE_PAUSE, by, pause))

    def _on_twins(self, name: access.Act, by: str, act: Callable[[RecordingControls], PendingAct]) -> list[PendingAct]:
        """Apply an act to the twins; each gets an audit entry of its own, which names this recording."""
        acts = []
        for twin in self.twins:
            with contextlib.suppress(RefusedError):
                acts.append(act(twin))
                details = {"as_twin_of": self.recording.id}
                entry = ActEntry(act=name.value, actor=by, subject=twin.recording.id, details=details)
                audited(self.recording.services, acts[-1], entry)
        return acts
