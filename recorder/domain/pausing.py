"""What holds a pause, and who may end it. Pure (design section 5).

A pause is a set of reasons; recording goes on when the set is empty. Nothing here knows of time or SIP: only people
resume.
"""

import enum
from dataclasses import dataclass, field

AGENT = "agent"
CARD_DIGITS = "card_digits"
MANAGER = "manager"
HOLD = "hold"
_APP = "payment_app:"


class Authority(enum.StrEnum):
    """On whose behalf an act is done."""

    OFFICER = "officer"
    MANAGER = "manager"
    TOKEN = "token"  # noqa: S105 - the word for an application's credential, not one
    RULE = "rule"


def payment_app(token: str) -> str:
    """Return the reason that a payment application's token holds."""
    return _APP + token


def may_clear(authority: Authority, reason: str, *, token: str | None = None) -> bool:
    """Tell whether somebody may take a reason away.

    A token clears only its own; the officer clears ``agent`` and ``card_digits``; a manager clears all; a rule (the
    end of a hold) clears only ``hold``.
    """
    if authority is Authority.MANAGER:
        return True
    if authority is Authority.OFFICER:
        return reason in (AGENT, CARD_DIGITS)
    if authority is Authority.TOKEN:
        return token is not None and reason == payment_app(token)
    return reason == HOLD


class Final(enum.StrEnum):
    """Ends of recording that no act undoes for that part of the call."""

    OPTED_OUT = "opted_out"
    DISCARDED = "discarded"
    OUT_OF_SCOPE = "out_of_scope"


class PauseState(enum.StrEnum):
    """What `pause`, `resume` and the read-back answer."""

    RECORDING = "recording"
    PAUSED = "paused"
    OPTED_OUT = "opted_out"
    DISCARDED = "discarded"
    OUT_OF_SCOPE = "out_of_scope"


class RefusedError(Exception):
    """An act on the recording was refused; the message is a sentence for the person who tried. Nothing changed."""


@dataclass(slots=True)
class PauseBook:
    """The reasons that hold one call's recording."""

    reasons: set[str] = field(default_factory=set)
    final: Final | None = None

    @property
    def state(self) -> PauseState:
        """Return the state in the words of the API."""
        if self.final is not None:
            return PauseState(self.final.value)
        return PauseState.PAUSED if self.reasons else PauseState.RECORDING

    def pause(self, reason: str) -> bool:
        """Add a reason; tell whether the gate has to be shut now. Pausing twice is no error.

        Raises:
            RefusedError: The recording has ended for good.
        """
        self._refuse_final()
        was_open = not self.reasons
        self.reasons.add(reason)
        return was_open

    def resume(self, authority: Authority, *, token: str | None = None) -> bool:
        """Take away every reason that the authority may clear; tell whether recording goes on.

        Raises:
            RefusedError: Nothing is paused, only others' reasons are left, or the recording has ended for good.
        """
        self.reasons = set(self.left_after(authority, token=token))
        return not self.reasons

    def left_after(self, authority: Authority, *, token: str | None = None) -> frozenset[str]:
        """Return the reasons that a resume would leave, without doing it.

        Raises:
            RefusedError: As `resume`.
        """
        self._refuse_final()
        if not self.reasons:
            raise RefusedError("the call is not paused")
        mine = {reason for reason in self.reasons if may_clear(authority, reason, token=token)}
        if not mine:
            held = ", ".join(sorted(self.reasons))
            raise RefusedError(f"the pause is held by {held}, which {authority} may not clear; ask a manager")
        return frozenset(self.reasons - mine)

    def end(self, final: Final) -> None:
        """End the recording of this part of the call for good.

        Raises:
            RefusedError: It has ended for good already.
        """
        self._refuse_final()
        self.final = final

    def _refuse_final(self) -> None:
        if self.final is not None:
            raise RefusedError(f"recording of this call has ended for good: {self.final.value.replace('_', ' ')}")
