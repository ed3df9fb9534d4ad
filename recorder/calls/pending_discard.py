"""A pause that may turn into a discard, while it is not known yet whether something keeps the recording."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from recorder.calls.acts import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDiscard:
    """A card payment that is to discard a recording unless a hold or a claim stands.

    Attributes:
        reason: What holds the pause until then.
        by: Who paused, as the audit log names them.
        was_held: The same reason held the pause before.
        at_s: The position from which nothing is kept.
        paused: The pause itself.
        if_kept: What is done where the recording is kept; gets the pause.
        done: What whoever paused waits for.
    """

    reason: str
    by: str
    was_held: bool
    at_s: float
    paused: Act
    if_kept: Callable[[Act], Act]
    done: Act = field(default_factory=Act)

    def end_as(self, act: Act, *, is_kept: bool = False) -> None:
        """Answer as another act is answered, unless the answer was given already."""
        hand_on(act, self.done, is_kept=is_kept)

    def refuse(self, error: BaseException) -> None:
        """Answer with an error, unless the answer was given already."""
        if not self.done.done():
            self.done.set_exception(error)


def hand_on(act: Act, done: Act, *, is_kept: bool = False) -> None:
    """Have an act end as another one does, unless it has ended already."""

    def ended(of: Act) -> None:
        error = of.exception()
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(replace(of.result(), is_kept=is_kept))

    act.add_done_callback(ended)
