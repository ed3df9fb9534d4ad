"""Access requests: who may ask for what, who decides, and how long a grant lasts (P10 to P15). Pure.

No role alone permits listening or copying. A person asks, another person decides, and the grant covers that person,
those recordings and some days.
"""

import enum
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from recorder.common.plain_text import name_problem
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
from recorder.rules.vouching import NOBODY, Vouched
from storage.types import RecordingId, RecordingRow

GRANT_DAYS = 7
"""How long a grant lasts when the decider names no other time."""
MOST_GRANT_DAYS = 90
MOST_RECORDINGS = 200
"""In one request: the decider has to look at each."""
MAX_REFERENCE_CHARACTERS = 100
GRANT_ENDED = (
    "Your permission ended because your role or your teams have changed since it was granted. "
    "If you still need this recording, ask again."
)
"""Why a grant whose day has not come cannot be used."""

BREAK_GLASS_FOR = timedelta(minutes=30)
"""How long one recording may be heard by break-glass, without copies (P11)."""
BREAK_GLASS_A_DAY = 3
"""Break-glass hearings within 24 hours, by everybody together."""


class Category(enum.StrEnum):
    """The purposes for which a recording may be heard (P10)."""

    ACCURACY = "accuracy"
    COMPLAINT = "complaint"
    TRAINING = "training"
    QUALITY = "quality"
    EVIDENCE = "evidence"
    SUBJECT_ACCESS = "subject_access"
    DISCLOSURE = "disclosure"
    ABOUT_ME = "about_me"
    AUTHORISED = "authorised"


MEMBER_GROUNDS = frozenset({Category.ABOUT_ME, Category.AUTHORISED})
"""Grounds on which elected members ask, and only they (P15)."""


class AccessKind(enum.StrEnum):
    """The access that is asked for and granted."""

    LISTEN = "listen"
    COPY = "listen_and_export"

    def covers(self, wanted: "AccessKind") -> bool:
        """Tell whether this access includes the wanted one."""
        return self is wanted or self is AccessKind.COPY


class RequestState(enum.StrEnum):
    """The states of a request."""

    WAITING = "waiting"
    GRANTED = "granted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWish:
    """What a person asks for.

    Attributes:
        leave: To listen, or to take copies too.
        reference: Of a case or an authorisation; required of elected members.
    """

    recordings: tuple[RecordingId, ...]
    category: Category
    reason: str
    leave: AccessKind = AccessKind.LISTEN
    reference: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """An access request in its current state.

    Attributes:
        asked_at: When, UTC.
        decided_at: When, UTC, or None.
        words: The decider's reason.
        until: When the grant ends, UTC, or None.
        spans: By recording: the spans asked for, and after the decision those granted. A recording asked for as a whole
            is not listed.
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
        """Return the spans of a recording that the request covers; None for all of it."""
        return self.spans.get(recording)

    def gives(self, wanted: AccessKind, now: datetime) -> bool:
        """Tell whether the request is a grant for some access at a time."""
        return (
            self.state is RequestState.GRANTED
            and self.until is not None
            and now < self.until
            and self.wish.leave.covers(wanted)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvers:
    """The people who may decide.

    Attributes:
        absent: Accounts marked absent.
        deputy: Account of the data protection officer's deputy, or None.
        vouched: Who vouched for each account.
    """

    people: tuple[Person, ...]
    absent: frozenset[str] = field(default_factory=frozenset)
    deputy: str | None = None
    vouched: Vouched = NOBODY

    def with_role(self, role: Role) -> frozenset[str]:
        """Return the accounts with a role."""
        return frozenset(person.name for person in self.people if role in person.roles)

    @property
    def leaders(self) -> frozenset[str]:
        """Return the team leaders, absent ones too."""
        return self.with_role(Role.TEAM_LEADER)

    @property
    def deputies(self) -> frozenset[str]:
        """Return the deputy, if their account is active and they are neither administrator nor ICT."""
        return frozenset(
            person.name for person in self.people if person.name == self.deputy and may_be_deputy(person.roles)
        )

    def is_deputy(self, person: Person) -> bool:
        """Tell whether a signed-in person is the deputy and gave a second factor."""
        return person.is_proven and person.name in self.deputies

    @property
    def protectors(self) -> frozenset[str]:
        """Return the data protection officers who are not ICT as well, and the deputy."""
        return (self.with_role(Role.DPO) - self.with_role(Role.ICT)) | self.deputies


def may_be_deputy(roles: frozenset[Role]) -> bool:
    """Tell whether roles allow to be deputy of the data protection officer, who watches over ICT and administrators."""
    return not roles & {Role.ICT, Role.ADMIN}


def deciders(requester: Person, approvers: Approvers) -> frozenset[str]:
    """Return the accounts that may decide a person's request now (P14).

    The team leader decides; while every team leader is absent, the data protection officer or their deputy. A team
    leader's own request goes to the data protection officer, and the data protection officer's to the deputy. Nobody
    decides their own.
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
    """Decide whether a person may ask for these recordings, and for how much of each (P10, P12, P13, P15).

    Args:
        requester: Who asks.
        wish: For what.
        rows: Rows of those recordings of which something was kept.
        approvers: Who may decide.

    Returns:
        The spans asked for, by recording. A recording asked for as a whole is not listed.

    Raises:
        DeniedError: They may not, or something is missing.
    """
    _check_words(wish)
    _check_grounds(requester, wish)
    parts = {row.id: may_ask_for(requester, wish, row) for row in rows}
    for recording in wish.recordings:
        if parts.get(recording, ()) == ():  # as for a missing one, so that ids cannot be guessed
            raise DeniedError(
                Fault.NOT_ALLOWED, f"There is no recording {recording} that you may ask for: {_limits(requester)}."
            )
    if not deciders(requester, approvers):
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "Nobody may decide your request now. Propose a deputy with `recorder approvers deputy NAME`.",
        )
    return {recording: spans for recording, spans in parts.items() if spans is not None}


def _check_words(wish: RequestWish) -> None:
    if not wish.recordings:
        raise DeniedError(Fault.INCOMPLETE, "Select the recordings that you are asking for.", "recordings")
    if len(wish.recordings) > MOST_RECORDINGS:
        raise DeniedError(
            Fault.INCOMPLETE,
            f"You selected {len(wish.recordings)} recordings. Ask for {MOST_RECORDINGS} or fewer at a time.",
            "recordings",
        )
    if not MIN_REASON_CHARACTERS <= len(wish.reason.strip()) <= MAX_REASON_CHARACTERS:
        raise DeniedError(
            Fault.INCOMPLETE,
            f"Enter a reason of {MIN_REASON_CHARACTERS} to {MAX_REASON_CHARACTERS} characters, in words that can be "
            "checked later.",
            "reason",
        )
    if len(wish.reference) > MAX_REFERENCE_CHARACTERS:
        raise DeniedError(
            Fault.INCOMPLETE, f"The reference must be {MAX_REFERENCE_CHARACTERS} characters or fewer.", "reference"
        )
    if (problem := name_problem(wish.reference, "A reference")) is not None:
        raise DeniedError(Fault.INCOMPLETE, problem, "reference")


_OF_THE_COUNCIL = frozenset({Role.OFFICER, Role.MANAGER, Role.TEAM_LEADER, Role.DPO})
"""Roles whose purposes for hearing a recording are not those of elected members."""


def categories_for(requester: Person) -> list[Category]:
    """Return the purposes that a person may ask for, in the order of their table."""
    is_member, is_staff = Role.MEMBER in requester.roles, bool(requester.roles & _OF_THE_COUNCIL)
    return [one for one in Category if (is_member if one in MEMBER_GROUNDS else is_staff or not is_member)]


def _check_grounds(requester: Person, wish: RequestWish) -> None:
    is_member_only = Role.MEMBER in requester.roles and not requester.roles & _OF_THE_COUNCIL
    if is_member_only and wish.category not in MEMBER_GROUNDS:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "An elected member may listen to a call only if it is about them, or the caller authorised it in writing.",
        )
    if wish.category not in MEMBER_GROUNDS:
        return
    if Role.MEMBER not in requester.roles:
        raise DeniedError(Fault.NOT_ALLOWED, "Only elected members can choose this purpose. Choose another.")
    if not wish.reference.strip():
        raise DeniedError(
            Fault.INCOMPLETE,
            "Enter the reference of the authorisation, or of the case that the call is about.",
            "reference",
        )


def may_ask_for(requester: Person, wish: RequestWish, row: RecordingRow) -> Spans | None:
    """Return the spans of a recording that a person may ask for; None for all of it, empty for nothing."""
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
    """Decide whether a person may decide a request in this way.

    Args:
        decider: Who decides.
        request: The request.
        requester: Who asked; None if their account is gone.
        approvers: Who may decide.
        granted: True to grant, False to decline.
        words: Their reason; required to decline, and to grant more than was asked for.
        is_whole: Whether all of each call is granted, whatever part was asked for.

    Raises:
        DeniedError: They may not, or it is too late.
    """
    if request.state is not RequestState.WAITING:
        raise DeniedError(Fault.TOO_LATE, f"Request {request.id} is already {request.state}.")
    if decider.name == request.account:
        raise DeniedError(Fault.NOT_ALLOWED, "You cannot decide your own request.")
    allowed: Collection[str] = deciders(requester, approvers) if requester else approvers.with_role(Role.DPO)
    if decider.name not in allowed:
        raise DeniedError(Fault.NOT_ALLOWED, f"Only {_names(allowed)} can decide request {request.id}.")
    if granted:
        approvers.vouched.check({request.account}, decider.name)
    if granted and requester is None:
        raise DeniedError(Fault.TOO_LATE, "The person who asked no longer has an account. Decline the request.")
    if not granted and len(words.strip()) < MIN_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, "Enter a reason for declining the request.", "words")
    if granted and is_whole:
        _check_whole(request, words)
    if len(words) > MAX_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, f"The reason must be {MAX_REASON_CHARACTERS} characters or fewer.", "words")


def _check_whole(request: AccessRequest, words: str) -> None:
    if request.wish.category is not Category.COMPLAINT:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "You can grant the whole call only for a complaint. Ask for a new request for that purpose.",
        )
    if len(words.strip()) < MIN_REASON_CHARACTERS:
        raise DeniedError(Fault.INCOMPLETE, "Enter why their part of the call is not enough.", "words")


def standing(person: Person, request: AccessRequest, row: RecordingRow) -> AccessRequest | None:
    """Return a grant as far as the person could still ask for this recording; None if they could not.

    Roles and teams may have changed since it was granted, so each use is judged by the rule by which they asked. A
    whole call that was granted for a complaint stays whole while a part of it is theirs: the decider chose that.

    Args:
        person: Who uses it, with the roles and teams that they have now.
        request: The grant.
        row: The recording.
    """
    granted, allowed = request.heard(row.id), _still(person, request.wish, row)
    if allowed == () or granted == ():
        return None
    if allowed is None or (granted is None and request.wish.category is Category.COMPLAINT):
        return request
    heard = allowed if granted is None else common(granted, allowed)
    return replace(request, spans={**request.spans, row.id: heard}) if heard else None


def _still(person: Person, wish: RequestWish, row: RecordingRow) -> Spans | None:
    """Return the spans of a recording that a person may ask for with the purpose that they gave; None for all."""
    try:
        _check_grounds(person, wish)
    except DeniedError:
        return ()
    return may_ask_for(person, wish, row)


def granted_spans(requester: Person, request: AccessRequest, rows: Iterable[RecordingRow]) -> dict[RecordingId, Spans]:
    """Return the spans that a grant covers: those asked for, as far as the person may still ask for them.

    Args:
        requester: Who asked; their roles and teams may have changed since.
        request: The request.
        rows: Rows of its recordings that still exist.

    Returns:
        The spans that may be heard, by recording. A recording that may be heard as a whole is not listed.

    Raises:
        DeniedError: Nothing is left that they may hear.
    """
    now = {row.id: _still(requester, request.wish, row) for row in rows}
    found: dict[RecordingId, Spans] = {}
    for recording in request.wish.recordings:
        asked, allowed = request.heard(recording), now.get(recording, ())
        if asked is not None and allowed is not None:
            found[recording] = common(asked, allowed)
        elif asked is not None or allowed is not None:
            found[recording] = merged(asked or allowed or ())
    if all(found.get(recording) == () for recording in request.wish.recordings):
        raise DeniedError(Fault.TOO_LATE, "There is nothing left that they may listen to. Decline the request.")
    return found


def _names(accounts: Collection[str]) -> str:
    return " or ".join(sorted(accounts)) or "nobody"


def grant_until(now: datetime, days: int | None) -> datetime:
    """Return when a grant made now ends.

    Raises:
        DeniedError: A grant may not last that number of days.
    """
    if days is not None and not 1 <= days <= MOST_GRANT_DAYS:
        raise DeniedError(Fault.INCOMPLETE, f"Enter a number of days from 1 to {MOST_GRANT_DAYS}.", "days")
    return now + timedelta(days=GRANT_DAYS if days is None else days)
