"""What holds a pause, and who may end it. Pure (design section 5).

A pause is a set of reasons; recording goes on when the set is empty. Nothing here knows of time or SIP: only people
resume.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


class PauseKind(enum.StrEnum):
    """Kinds of reasons for which a recording is paused."""

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
    TOKEN = "token"  # noqa: S105 - the word for an application's credential, not one
    RULE = "rule"


class Clears(enum.Enum):
    """Whether an authority may take a reason away."""

    YES = "yes"
    NO = "no"
    OWN = "own"
    """Only where it is the one who gave it."""


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
"""Who may take which reason away: every pair is decided. A rule is SIP's hold: it clears what it gave, never more."""

CARD_TRIGGERS = frozenset({PauseKind.AGENT, PauseKind.CARD_DIGITS, PauseKind.PAYMENT_APP})
"""Reasons that mean a card payment; where a service discards such calls, each of them does so."""


def payment_app(token: str) -> str:
    """Return the reason that a payment application's token holds."""
    return f"{PauseKind.PAYMENT_APP}:{token}"


def kind_of(reason: str) -> PauseKind:
    """Return the kind of a reason.

    Raises:
        ValueError: There is no such kind.
    """
    return PauseKind(reason.partition(":")[0])


def may_clear(authority: Authority, reason: str, *, token: str | None = None) -> bool:
    """Tell whether somebody may take a reason away, by `MAY_CLEAR`."""
    clears = MAY_CLEAR[kind_of(reason), authority]
    if clears is Clears.OWN:
        return token is not None and reason == payment_app(token)
    return clears is Clears.YES


class Final(enum.StrEnum):
    """Ends of recording that no act undoes for that part of the call."""

    OPTED_OUT = "opted_out"
    DISCARDED = "discarded"
    OUT_OF_SCOPE = "out_of_scope"
    VOICEMAIL = "voicemail"


AWAY = frozenset({Final.OUT_OF_SCOPE, Final.VOICEMAIL})
"""Ends only of a part of the call: it may come back to somebody whose calls are recorded."""


class PauseState(enum.StrEnum):
    """What `pause`, `resume` and the read-back answer."""

    RECORDING = "recording"
    PAUSED = "paused"
    OPTED_OUT = "opted_out"
    DISCARDED = "discarded"
    OUT_OF_SCOPE = "out_of_scope"
    VOICEMAIL = "voicemail"
    FAX_SUSPECTED = "fax_suspected"


_BY_PEOPLE = frozenset({Authority.OFFICER, Authority.MANAGER})
"""They hear that it is no fax."""

_BY_NOBODY = frozenset({""})
"""Stands for the acts of a reason that none of the known acts gave: an id is never empty."""


class RefusedError(Exception):
    """An act on the recording was refused; the message is a sentence for the person who tried. Nothing changed."""


@dataclass(slots=True)
class PauseReasons:
    """The reasons that hold one call's recording, and the acts that gave them.

    An act may give its reason to several calls at once; then a resume of one of them takes it from all of them, and
    leaves what other acts gave.
    """

    reasons: set[str] = field(default_factory=set)
    final: Final | None = None
    acts: dict[str, frozenset[str]] = field(default_factory=dict)
    """By reason: the ids of the acts that gave it. A reason that no act gave is not here."""
    was_paid: bool = False
    """A payment application has paused since somebody last looked."""
    is_fax_suspected: bool = False
    """Recording has stopped by itself, and goes on by itself: no pause, and nothing that a pause or an end leaves."""

    @property
    def state(self) -> PauseState:
        """Return the state in the words of the API."""
        if self.final is not None:
            return PauseState(self.final.value)
        if self.reasons:
            return PauseState.PAUSED
        return PauseState.FAX_SUSPECTED if self.is_fax_suspected else PauseState.RECORDING

    def suspect_fax(self) -> bool:
        """Suspect a fax; tell whether that stops recording. A pause and an end stay as they are."""
        if self.state is not PauseState.RECORDING:
            return False
        self.is_fax_suspected = True
        return True

    def clear_suspicion(self) -> bool:
        """Suspect a fax no longer; tell whether recording goes on by that."""
        was_suspected, self.is_fax_suspected = self.state is PauseState.FAX_SUSPECTED, False
        return was_suspected

    def credit(self, reason: str, acts: Iterable[str]) -> None:
        """Note that acts gave a reason."""
        self.acts[reason] = self.acts.get(reason, frozenset()).union(acts)

    def pause(self, reason: str) -> bool:
        """Add a reason; tell whether the gate has to be shut now. Pausing twice is no error.

        Raises:
            RefusedError: The recording has ended for good.
        """
        self.check_open()
        was_open = not self.reasons
        self.reasons.add(reason)
        self.is_fax_suspected = False
        self.was_paid |= kind_of(reason) is PauseKind.PAYMENT_APP
        return was_open

    def resume(self, authority: Authority, *, token: str | None = None, acts: frozenset[str] | None = None) -> bool:
        """Take away the reasons that the authority may clear; tell whether recording goes on.

        Args:
            authority: On whose behalf.
            token: The name of the payment application's token, where it is one.
            acts: Only reasons that none but these acts gave; None: whoever gave them.

        Raises:
            RefusedError: Nothing is paused, only others' reasons are left, or the recording has ended for good.
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
        """Tell whether a reason is held by these acts and by no other."""
        return any(given and given <= acts for reason, given in self.acts.items() if reason in self.reasons)

    def withdraw(self, acts: frozenset[str]) -> None:
        """Withdraw acts from the reasons that other acts hold as well."""
        self.acts = {reason: given if given <= acts else given - acts for reason, given in self.acts.items()}

    def left_after(
        self, authority: Authority, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> frozenset[str]:
        """Return the reasons that a resume would leave, without doing it.

        Raises:
            RefusedError: As `resume`.
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
        """End the recording of this part of the call for good.

        Raises:
            RefusedError: It has ended for good already.
        """
        if self.final not in AWAY:  # of what may come back nothing more is to be recorded
            self.check_open()
        self.final, self.is_fax_suspected = final, False

    @property
    def is_away(self) -> bool:
        """Tell whether the call is with somebody whose calls are not recorded."""
        return self.final in AWAY

    def leave_scope(self, final: Final = Final.OUT_OF_SCOPE) -> bool:
        """Note that the call went to somebody whose calls are not recorded; tell whether that changes anything.

        What holds the pause is kept for the case that the call comes back: only people resume.
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
        """Make sure that there is something to pause.

        Raises:
            RefusedError: The recording has ended for good, or the call is away.
        """
        if self.is_away:
            raise RefusedError("this call was transferred to an extension whose calls are not recorded")
        if self.final is not None:
            raise RefusedError(f"recording of this call has ended for good: {self.final.value.replace('_', ' ')}")
