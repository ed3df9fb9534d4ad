"""Requests to hear recordings: who may ask for what, who decides, and how long leave lasts (P10 to P15). Pure.

Nobody listens or takes a copy by their role alone. A person asks, another one decides, and what was granted is for that
person, those recordings and some days.
"""

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from recorder.permissions import (
    MAX_REASON_CHARACTERS,
    MIN_REASON_CHARACTERS,
    DeniedError,
    Fault,
    Person,
    Role,
)
from recorder.rules.call_parts import may_hear, whole_for
from recorder.rules.spans import Spans, common, merged
from storage.types import RecordingId, RecordingRow

LEAVE_DAYS = 7
"""For how long leave lasts when whoever decides says nothing else."""
MOST_LEAVE_DAYS = 90
MOST_RECORDINGS = 200
"""In one request: who decides has to look at each."""
MAX_REFERENCE_CHARACTERS = 100

BREAK_GLASS_FOR = timedelta(minutes=30)
"""P11: one recording, for so long, and no copy."""
BREAK_GLASS_A_DAY = 3
"""So many recordings at most are heard without approval within 24 hours, by everybody together."""


class Category(enum.StrEnum):
    """For what a recording is to be heard (P10)."""

    ACCURACY = "accuracy"
    COMPLAINT = "complaint"
    TRAINING = "training"
    QUALITY = "quality"
    EVIDENCE = "evidence"
    SUBJECT_ACCESS = "subject_access"
    DISCLOSURE = "disclosure"
    ABOUT_ME = "about_me"
    AUTHORISED = "authorised"


CATEGORY_WORDS: dict[Category, str] = {
    Category.ACCURACY: "Checking what was said",
    Category.COMPLAINT: "Answering a complaint",
    Category.TRAINING: "Training",
    Category.QUALITY: "Quality of service",
    Category.EVIDENCE: "Evidence of unacceptable behaviour",
    Category.SUBJECT_ACCESS: "A subject access request",
    Category.DISCLOSURE: "Disclosure to police, court or insurer",
    Category.ABOUT_ME: "The call is about me (elected members)",
    Category.AUTHORISED: "With the caller's written authorisation (elected members)",
}

MEMBER_GROUNDS = frozenset({Category.ABOUT_ME, Category.AUTHORISED})
"""The only grounds of an elected member, and of nobody else (P15)."""


class Leave(enum.StrEnum):
    """What is asked for and granted."""

    LISTEN = "listen"
    COPY = "listen_and_export"

    def covers(self, wanted: "Leave") -> bool:
        """Tell whether this leave is enough."""
        return self is wanted or self is Leave.COPY


class RequestState(enum.StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    GRANTED = "granted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWish:
    """What somebody asks for.

    Attributes:
        recordings: Which.
        category: For what.
        reason: Why, in words.
        leave: To listen, or to take copies too.
        reference: A case's, or that of an authorisation; elected members must give one.
    """

    recordings: tuple[RecordingId, ...]
    category: Category
    reason: str
    leave: Leave = Leave.LISTEN
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """A request as it stands.

    Attributes:
        id: Eight hexadecimal digits.
        account: Who asks.
        wish: For what.
        asked_at: When, UTC.
        state: Where it stands.
        decided_by: The account of who decided, or None.
        decided_at: When, UTC, or None.
        words: What they said.
        until: When granted leave ends, UTC, or None.
        spans: What is asked for, and once it is granted what may be heard, of recordings of which it is not all.
    """

    id: str
    account: str
    wish: RequestWish
    asked_at: datetime
    state: RequestState = RequestState.WAITING
    decided_by: str | None = None
    decided_at: datetime | None = None
    words: str = ""
    until: datetime | None = None
    spans: Mapping[RecordingId, Spans] = field(default_factory=dict)

    def heard(self, recording: RecordingId) -> Spans | None:
        """Return what of a recording it is about; None is all of it."""
        return self.spans.get(recording)

    def gives(self, wanted: Leave, now: datetime) -> bool:
        """Tell whether it is leave for something at a time."""
        return (
            self.state is RequestState.GRANTED
            and self.until is not None
            and now < self.until
            and self.wish.leave.covers(wanted)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvers:
    """Who there is to decide.

    Attributes:
        people: Everybody with an account that can be used.
        absent: Accounts that are marked absent.
        deputy: The account of the named officer who stands in for the data protection officer, or None.
    """

    people: tuple[Person, ...]
    absent: frozenset[str] = field(default_factory=frozenset)
    deputy: str | None = None

    def with_role(self, role: Role) -> frozenset[str]:
        """Return the accounts of a role."""
        return frozenset(person.name for person in self.people if role in person.roles)

    @property
    def leaders(self) -> frozenset[str]:
        """Return the team leaders, absent ones too."""
        return self.with_role(Role.TEAM_LEADER)

    @property
    def deputies(self) -> frozenset[str]:
        """Return the named officer, if their account can be used and they run neither accounts nor the machine."""
        return frozenset(
            person.name for person in self.people if person.name == self.deputy and may_be_deputy(person.roles)
        )

    def is_deputy(self, person: Person) -> bool:
        """Tell whether somebody who is signed in stands in now: nobody does so on a password alone."""
        return person.is_proven and person.name in self.deputies

    @property
    def protectors(self) -> frozenset[str]:
        """Return the accounts that speak for data protection: officers for it who are not ICT too, and the deputy."""
        return (self.with_role(Role.DPO) - self.with_role(Role.ICT)) | self.deputies


def may_be_deputy(roles: frozenset[Role]) -> bool:
    """Tell whether somebody may stand in for the data protection officer, who watches over ICT and administrators."""
    return not roles & {Role.ICT, Role.ADMIN}


def deciders(requester: Person, approvers: Approvers) -> frozenset[str]:
    """Return the accounts that may decide a person's request now (P14).

    The team leader; while every team leader is absent, the data protection officer or their deputy. A team leader's own
    go to the data protection officer, and the data protection officer's to the deputy. Nobody decides their own.
    """
    leaders = approvers.leaders
    if Role.DPO in requester.roles:
        chosen = approvers.deputies
    elif requester.name in leaders:
        chosen = approvers.with_role(Role.DPO)
    elif leaders - approvers.absent:
        chosen = leaders - approvers.absent
    else:
        chosen = approvers.protectors
    return chosen - {requester.name}


def check_wish(
    requester: Person, wish: RequestWish, rows: Iterable[RecordingRow], approvers: Approvers
) -> dict[RecordingId, Spans]:
    """Decide whether a person may ask for this, and for how much of it (P10, P12, P13, P15).

    Args:
        requester: Who asks.
        wish: For what.
        rows: Those of the recordings asked for of which something was kept.
        approvers: Who there is to decide.

    Returns:
        What is asked for of recordings of which it is not all.

    Raises:
        DeniedError: They may not, or something is missing.
    """
    _check_words(wish)
    _check_grounds(requester, wish)
    parts = {row.id: may_ask_for(requester, wish, row) for row in rows}
    for recording in wish.recordings:
        if parts.get(recording, ()) == ():  # the same words for one that is not there: ids are not to be guessed at
            raise DeniedError(
                Fault.NOT_ALLOWED, f"There is no recording {recording} that you may ask for: {_limits(requester)}."
            )
    if not deciders(requester, approvers):
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "There is nobody who may decide your request: `recorder requests deputy NAME` proposes somebody for that.",
        )
    return {recording: spans for recording, spans in parts.items() if spans is not None}


def _check_words(wish: RequestWish) -> None:
    if not wish.recordings:
        raise DeniedError(Fault.INCOMPLETE, "Say which recordings.")
    if len(wish.recordings) > MOST_RECORDINGS:
        raise DeniedError(
            Fault.INCOMPLETE, f"{len(wish.recordings)} recordings: ask for {MOST_RECORDINGS} at most at a time."
        )
    if not MIN_REASON_CHARACTERS <= len(wish.reason.strip()) <= MAX_REASON_CHARACTERS:
        raise DeniedError(
            Fault.INCOMPLETE,
            f"A request takes a reason of {MIN_REASON_CHARACTERS} to {MAX_REASON_CHARACTERS} characters: "
            "say why, in words that can be checked later.",
        )
    if len(wish.reference) > MAX_REFERENCE_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, f"A reference has at most {MAX_REFERENCE_CHARACTERS} characters.")


def _check_grounds(requester: Person, wish: RequestWish) -> None:
    is_member_only = Role.MEMBER in requester.roles and not requester.roles & {
        Role.OFFICER, Role.MANAGER, Role.TEAM_LEADER, Role.DPO,
    }  # fmt: skip
    if is_member_only and wish.category not in MEMBER_GROUNDS:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "An elected member may hear a call only if it is about them or with the caller's written authorisation.",
        )
    if wish.category not in MEMBER_GROUNDS:
        return
    if Role.MEMBER not in requester.roles:
        raise DeniedError(Fault.NOT_ALLOWED, "Only elected members ask on this ground: choose another.")
    if not wish.reference.strip():
        raise DeniedError(
            Fault.INCOMPLETE, "Give the reference of the authorisation, or of the case that the call is about."
        )


def may_ask_for(requester: Person, wish: RequestWish, row: RecordingRow) -> Spans | None:
    """Return what of a recording a person may ask for; None is all of it, and no span is nothing."""
    return whole_for(row, may_hear(requester, row, is_as_member=wish.category in MEMBER_GROUNDS))


def _limits(requester: Person) -> str:
    if Role.MANAGER in requester.roles:
        return "a manager asks for the parts of calls of people who were in their team at the time of the call"
    if Role.OFFICER in requester.roles:
        return "an officer asks for the parts of calls that they took part in"
    return "give the whole id of a recording that is still kept"


def check_decision(
    decider: Person,
    request: AccessRequest,
    requester: Person | None,
    approvers: Approvers,
    *,
    granted: bool,
    words: str,
    is_whole: bool = False,
) -> None:
    """Decide whether a person may decide a request so.

    Args:
        decider: Who decides.
        request: What.
        requester: Who asked; None when their account is gone.
        approvers: Who there is to decide.
        granted: How.
        words: What they say; demanded of a refusal, and of whoever grants more than was asked for.
        is_whole: Whether all of each call is granted, whatever part was asked for.

    Raises:
        DeniedError: They may not, or it is too late.
    """
    if request.state is not RequestState.WAITING:
        raise DeniedError(Fault.TOO_LATE, f"Request {request.id} is {request.state} already.")
    if decider.name == request.account:
        raise DeniedError(Fault.NOT_ALLOWED, "Nobody decides their own request.")
    allowed: Collection[str] = deciders(requester, approvers) if requester else approvers.with_role(Role.DPO)
    if decider.name not in allowed:
        raise DeniedError(Fault.NOT_ALLOWED, f"Request {request.id} is for {_names(allowed)} to decide.")
    if granted and requester is None:
        raise DeniedError(Fault.TOO_LATE, "Whoever asked has no account any more: decline the request.")
    if not granted and len(words.strip()) < MIN_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, "A refusal takes a reason: say why.")
    if granted and is_whole:
        _check_whole(request, words)
    if len(words) > MAX_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, f"The reason is longer than {MAX_REASON_CHARACTERS} characters.")


def _check_whole(request: AccessRequest, words: str) -> None:
    if request.wish.category is not Category.COMPLAINT:
        raise DeniedError(Fault.NOT_ALLOWED, "The whole call is granted for a complaint only: have it asked for so.")
    if len(words.strip()) < MIN_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, "To grant the whole call takes a reason: say why their part is not enough.")


def granted_spans(requester: Person, request: AccessRequest, rows: Iterable[RecordingRow]) -> dict[RecordingId, Spans]:
    """Return what a request gives that is granted now: what was asked for, as far as they may still ask for it.

    Args:
        requester: Who asked; what they answer for may have changed since.
        request: What.
        rows: Its recordings that there are still.

    Returns:
        What may be heard of recordings of which it is not all.

    Raises:
        DeniedError: Nothing of it is left that they may hear.
    """
    now = {row.id: may_ask_for(requester, request.wish, row) for row in rows}
    found: dict[RecordingId, Spans] = {}
    for recording in request.wish.recordings:
        asked, allowed = request.heard(recording), now.get(recording, ())
        if asked is not None and allowed is not None:
            found[recording] = common(asked, allowed)
        elif asked is not None or allowed is not None:
            found[recording] = merged(asked or allowed or ())
    if all(found.get(recording) == () for recording in request.wish.recordings):
        raise DeniedError(Fault.TOO_LATE, "Nothing of it is left that they may hear: decline the request.")
    return found


def _names(accounts: Collection[str]) -> str:
    return " or ".join(sorted(accounts)) or "nobody"


def leave_until(now: datetime, days: int | None) -> datetime:
    """Return when leave ends that is granted now.

    Raises:
        DeniedError: That is no number of days that leave may last.
    """
    if days is not None and not 1 <= days <= MOST_LEAVE_DAYS:
        raise DeniedError(Fault.INCOMPLETE, f"Leave lasts 1 to {MOST_LEAVE_DAYS} days.")
    return now + timedelta(days=LEAVE_DAYS if days is None else days)
