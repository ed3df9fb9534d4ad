"""The reasons that hold a pause, and who may clear them. Pure.

A pause is a set of reasons; recording goes on when the set is empty. This module knows neither time nor SIP: only
people resume.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


class PauseKind(enum.StrEnum):
    """The kinds of pause reason."""

    AGENT = "agent"
    CARD_DIGITS = "card_digits"
    PAYMENT_APP = "payment_app"
    MANAGER = "manager"
    HOLD = "hold"


AGENT = PauseKind.AGENT.value
CARD_DIGITS = PauseKind.CARD_DIGITS.value
MANAGER = PauseKind.MANAGER.value
HOLD = PauseKind.HOLD.value


class Authority(enum.StrEnum):
    """On whose behalf an act is done."""

    OFFICER = "officer"
    MANAGER = "manager"
    TOKEN = "token"  # noqa: S105 - not a secret
    RULE = "rule"


class Clears(enum.Enum):
    """Whether an authority may clear a reason."""

    YES = "yes"
    NO = "no"
    OWN = "own"
    """Only the token that gave the reason."""


_YES, _NO, _OWN = Clears.YES, Clears.NO, Clears.OWN
_COLUMNS = (Authority.OFFICER, Authority.MANAGER, Authority.TOKEN, Authority.RULE)
_ROWS: Mapping[PauseKind, tuple[Clears, Clears, Clears, Clears]] = {
    #                       officer manager token rule
    PauseKind.AGENT:        (_YES,  _YES,   _NO,  _NO),
    PauseKind.CARD_DIGITS:  (_YES,  _YES,   _NO,  _NO),
    PauseKind.PAYMENT_APP:  (_NO,   _YES,   _OWN, _NO),
    PauseKind.MANAGER:      (_NO,   _YES,   _NO,  _NO),
    PauseKind.HOLD:         (_NO,   _YES,   _NO,  _YES),
}  # fmt: skip

MAY_CLEAR: Mapping[tuple[PauseKind, Authority], Clears] = MappingProxyType(
    {(kind, authority): clears for kind, row in _ROWS.items() for authority, clears in zip(_COLUMNS, row, strict=True)}
)
"""Who may clear which reason; every pair is decided. The rule is SIP hold: it clears only what it gave."""

CARD_TRIGGERS = frozenset({PauseKind.AGENT, PauseKind.CARD_DIGITS, PauseKind.PAYMENT_APP})
"""Reasons that mean a card payment. If the service discards such calls, each of them does so."""


def payment_app(token: str) -> str:
    """Return the pause reason of a payment application's token."""
    return f"{PauseKind.PAYMENT_APP}:{token}"


def erased_before_s(erase_s: float, *, late_s: float, look_back_s: float) -> float:
    """Return how long before a pause is erased, seconds.

    Args:
        erase_s: ``[pause] erase_s``, or more where the whole recording goes.
        late_s: Time from the request until the recorder acted on it; erased as well.
        look_back_s: The newest audio, which is in memory only and can still be erased. ``late_s`` reaches no further.
    """
    return max(erase_s, min(erase_s + late_s, look_back_s))


def kind_of(reason: str) -> PauseKind:
    """Return the kind of a reason.

    Raises:
        ValueError: There is no such kind.
    """
    return PauseKind(reason.partition(":")[0])


def may_clear(authority: Authority, reason: str, *, token: str | None = None) -> bool:
    """Tell whether an authority may clear a reason, by `MAY_CLEAR`."""
    clears = MAY_CLEAR[kind_of(reason), authority]
    if clears is Clears.OWN:
        return token is not None and reason == payment_app(token)
    return clears is Clears.YES


class Final(enum.StrEnum):
    """Ends of recording that no act can undo for that part of the call."""

    OPTED_OUT = "opted_out"
    DISCARDED = "discarded"
    OUT_OF_SCOPE = "out_of_scope"
    VOICEMAIL = "voicemail"


AWAY = frozenset({Final.OUT_OF_SCOPE, Final.VOICEMAIL})
"""Ends of only a part of the call: it may come back to somebody whose calls are recorded."""


class PauseState(enum.StrEnum):
    """The state that `pause`, `resume` and the read-back answer."""

    RECORDING = "recording"
    PAUSED = "paused"
    OPTED_OUT = "opted_out"
    DISCARDED = "discarded"
    OUT_OF_SCOPE = "out_of_scope"
    VOICEMAIL = "voicemail"
    FAX_SUSPECTED = "fax_suspected"


_BY_PEOPLE = frozenset({Authority.OFFICER, Authority.MANAGER})
"""Authorities that can hear whether a call is a fax."""

_BY_NOBODY = frozenset({""})
"""Stands for the acts of a reason without known acts; an id is never empty."""


class RefusedError(Exception):
    """An act on the recording was refused; the message is a sentence for the person who tried. Nothing changed."""


@dataclass(slots=True)
class PauseReasons:
    """The reasons that hold one call's recording, and the acts that gave them.

    One act may give its reason to several calls. A resume of one of these calls then clears it in all of them, and
    leaves reasons that other acts gave.
    """

    reasons: set[str] = field(default_factory=set)
    final: Final | None = None
    acts: dict[str, frozenset[str]] = field(default_factory=dict)
    """By reason: the ids of the acts that gave it. A reason without known acts is not listed."""
    was_paid: bool = False
    """A payment application has paused since this was last read."""
    is_fax_suspected: bool = False
    """Recording has stopped by itself and goes on by itself. This is no pause; a pause or an end clears it."""

    @property
    def state(self) -> PauseState:
        """Return the state as the API names it."""
        if self.final is not None:
            return PauseState(self.final.value)
        if self.reasons:
            return PauseState.PAUSED
        return PauseState.FAX_SUSPECTED if self.is_fax_suspected else PauseState.RECORDING

    def suspect_fax(self) -> bool:
        """Suspect a fax; tell whether that stops recording. A pause or an end stays in force."""
        if self.state is not PauseState.RECORDING:
            return False
        self.is_fax_suspected = True
        return True

    def clear_suspicion(self) -> bool:
        """End the suspicion of a fax; tell whether recording goes on because of that."""
        was_suspected, self.is_fax_suspected = self.state is PauseState.FAX_SUSPECTED, False
        return was_suspected

    def credit(self, reason: str, acts: Iterable[str]) -> None:
        """Note that acts gave a reason."""
        self.acts[reason] = self.acts.get(reason, frozenset()).union(acts)

    def pause(self, reason: str) -> bool:
        """Add a reason; tell whether the recording gate has to be shut now. Pausing twice is no error.

        Raises:
            RefusedError: The recording has ended.
        """
        self.check_open()
        was_open = not self.reasons
        self.reasons.add(reason)
        self.is_fax_suspected = False
        self.was_paid |= kind_of(reason) is PauseKind.PAYMENT_APP
        return was_open

    def resume(self, authority: Authority, *, token: str | None = None, acts: frozenset[str] | None = None) -> bool:
        """Clear the reasons that the authority may clear; tell whether recording goes on.

        Args:
            authority: On whose behalf.
            token: The name of the payment application's token, if the authority is one.
            acts: Clear only reasons that no other acts gave; None clears them whoever gave them.

        Raises:
            RefusedError: Nothing is paused, only others' reasons are left, or the recording has ended.
        """
        self.reasons = set(self.left_after(authority, token=token, acts=acts))
        self.acts = {reason: given for reason, given in self.acts.items() if reason in self.reasons}
        self.is_fax_suspected = False
        return not self.reasons

    def acts_of(self, authority: Authority, *, token: str | None = None) -> frozenset[str]:
        """Return the acts that gave the reasons which an authority may clear."""
        given = (acts for reason, acts in self.acts.items() if may_clear(authority, reason, token=token))
        return frozenset().union(*given)

    def is_closed_by(self, acts: frozenset[str]) -> bool:
        """Tell whether a reason is held by these acts alone."""
        return any(given and given <= acts for reason, given in self.acts.items() if reason in self.reasons)

    def withdraw(self, acts: frozenset[str]) -> None:
        """Remove acts from the reasons that other acts hold too."""
        self.acts = {reason: given if given <= acts else given - acts for reason, given in self.acts.items()}

    def left_after(
        self, authority: Authority, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> frozenset[str]:
        """Return the reasons that a resume would leave, without doing it.

        Raises:
            RefusedError: As for `resume`.
        """
        self.check_open()
        if self.state is PauseState.FAX_SUSPECTED and authority in _BY_PEOPLE:
            return frozenset()
        if not self.reasons:
            raise RefusedError("the call is not paused")
        mine = {reason for reason in self.reasons if may_clear(authority, reason, token=token)}
        if acts is not None:
            mine = {reason for reason in mine if self.acts.get(reason, _BY_NOBODY) <= acts}
        if not mine:
            held = ", ".join(sorted(self.reasons))
            raise RefusedError(f"the pause is held by {held}, which {authority} may not clear; ask a manager")
        return frozenset(self.reasons - mine)

    def end(self, final: Final) -> None:
        """End the recording of this part of the call.

        Raises:
            RefusedError: It has ended already.
        """
        if self.final not in AWAY:  # an end must still hold when the call comes back
            self.check_open()
        self.final, self.is_fax_suspected = final, False

    @property
    def is_away(self) -> bool:
        """Tell whether the call is with somebody whose calls are not recorded."""
        return self.final in AWAY

    def leave_scope(self, final: Final = Final.OUT_OF_SCOPE) -> bool:
        """Note that the call went to somebody whose calls are not recorded; tell whether that changes anything.

        Pause reasons are kept in case the call comes back: only people resume.
        """
        if self.final is final or (self.final is not None and not self.is_away):
            return False
        self.final, self.is_fax_suspected = final, False
        return True

    def enter_scope(self) -> bool:
        """Note that the call is back with somebody whose calls are recorded; tell whether it was away."""
        if not self.is_away:
            return False
        self.final = None
        return True

    def check_open(self) -> None:
        """Check that there is a recording to pause.

        Raises:
            RefusedError: The recording has ended, or the call is away.
        """
        if self.is_away:
            raise RefusedError("this call was transferred to an extension whose calls are not recorded")
        if self.final is not None:
            raise RefusedError(f"recording of this call has ended for good: {self.final.value.replace('_', ' ')}")
