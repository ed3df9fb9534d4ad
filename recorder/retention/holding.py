"""Holds: placed, reviewed, released and taken back here, by commands and console alike.

Each act is in the audit log, with all that it takes to replay it, before it is done.
"""

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from recorder.audit.ledger import Ledger
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, Allowed, Person, Refused
from recorder.recordings.kept_live import is_being_discarded
from recorder.recordings.known import begun_row, check_known, none_such
from recorder.retention.rights import keeps
from recorder.rules.authorisation import knows_all
from recorder.rules.holds import (
    GRACE,
    HeldCall,
    HoldWish,
    held_call,
    may_place,
    may_reinstate,
    may_release,
    may_review,
    may_see,
    problem_with,
    problem_with_owner,
    review_day,
)
from storage.audit import AuditLog
from storage.claims import Claims
from storage.errors import HoldStateError, NotFoundError, OutsideError, StorageError
from storage.format import is_recording_id
from storage.hold_journal import (
    PLACED,
    REINSTATED,
    RELEASED,
    REVIEWED,
    changed_details,
    placed_details,
    settling,
    steady,
)
from storage.holds import HoldEvent, Holds, check, new_hold_id
from storage.index import Index
from storage.rows import time_to_json
from storage.tombstones import Deletions
from storage.types import Hold, HoldKind, RecordingId, RecordingRow
from storage.vault import Vault

_log = logging.getLogger(__name__)

LISTED = 500
"""Holds that a list shows at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldBooks:
    """What holds are placed and released with.

    Attributes:
        index: Recordings.
        holds: Holds.
        audit: The audit log.
        vault: Knows the calls in progress.
        people: Everybody with an account that can be used.
        state: The home's folder of states.
        now: The clock, UTC.
        origin: Facts for the audit log: from where the acts come.
        needed: Says why a hold may not be released yet, a sentence, or None: its case goes on.
    """

    index: Index
    holds: Holds
    audit: AuditLog
    vault: Vault
    people: Callable[[], Iterable[Person]]
    state: Path
    now: Callable[[], datetime]
    origin: Mapping[str, str] = field(default_factory=dict)
    needed: Callable[[Hold], str | None] = lambda _hold: None

    @property
    def ledger(self) -> Ledger:
        """Return what writes the acts down."""
        return Ledger(audit=self.audit, origin=self.origin)


def hold_to_json(hold: Hold, now: datetime) -> dict[str, Any]:
    """Return a hold as JSON-able values; ``state`` is where it stands now."""
    return {
        "id": hold.id,
        "recording": hold.recording,
        "kind": str(hold.kind),
        "state": str(hold.state_at(now)),
        "reason": hold.reason,
        "case_reference": hold.case_reference,
        "owner": hold.owner,
        "against": list(hold.against),
        "placed_by": hold.placed_by,
        "placed_at": time_to_json(hold.placed_at),
        "review_on": hold.review_on.isoformat(),
        "released_by": hold.released_by,
        "released_at": time_to_json(hold.released_at),
        "grace_until": time_to_json(hold.grace_until),
    }


def place_hold(books: HoldBooks, actor: Actor, recording: str, wish: HoldWish) -> Hold:
    """Keep a recording, be it finished or in progress.

    Raises:
        ProblemError: 403, 404, 409 or 422: refused, with a sentence, and nothing was changed. 503: nothing was changed,
            or the hold is in the audit log and will stand as soon as the database answers; the sentence says which.
    """
    person = books.ledger.require(actor, Act.PLACE_HOLD, recording, reason=wish.reason)
    call = call_to_hold(books, recording, person)
    _allow(books, person, Act.PLACE_HOLD, recording, may_place(person, wish.kind, call, reason=wish.reason))
    hold = _wished(books, person, RecordingId(recording), wish, call)
    with steady_books(books):
        call_to_hold(books, recording)  # it may have been deleted meanwhile; from here on it cannot
        with settling_books(books):
            books.ledger.note(PLACED, person.actor, recording, placed_details(hold), text=hold.reason)
            books.holds.place(hold)
    return hold


def release_hold(books: HoldBooks, actor: Actor, hold_id: str, *, reason: str) -> Hold:
    """Release a hold: its recording is kept for 14 days more, in which that can be taken back.

    Raises:
        ProblemError: As `place_hold`.
    """

    def released(hold: Hold, at: datetime, person: Person) -> Hold:
        if sentence := books.needed(hold) or _needed_by_claim(books, hold):
            raise books.ledger.refusal(person, Act.RELEASE_HOLD, hold.recording, sentence)
        return replace(hold, released_by=person.actor, released_at=at, grace_until=at + GRACE)

    change = _Change(RELEASED, Act.RELEASE_HOLD, HoldEvent.RELEASE, may_release, released)
    return _changed(books, actor, hold_id, change, reason)


def reinstate_hold(books: HoldBooks, actor: Actor, hold_id: str, *, reason: str) -> Hold:
    """Take a release back, within its days of grace.

    Raises:
        ProblemError: As `place_hold`.
    """

    def reinstated(hold: Hold, _at: datetime, _person: Person) -> Hold:
        return replace(hold, released_by=None, released_at=None, grace_until=None)

    change = _Change(REINSTATED, Act.PLACE_HOLD, HoldEvent.REINSTATE, may_reinstate, reinstated)
    return _changed(books, actor, hold_id, change, reason)


def review_hold(
    books: HoldBooks, actor: Actor, hold_id: str, *, reason: str, review_on: date | None = None, owner: str = ""
) -> Hold:
    """Say that a hold is still needed, and when to look at it again.

    Args:
        books: Where holds are kept.
        actor: Who reviewed it.
        hold_id: The hold.
        reason: Why it is still needed.
        review_on: The next day to look at it; None is what suits the kind.
        owner: Who looks after it from now on; empty is whoever did.

    Raises:
        ProblemError: As `place_hold`.
    """

    def reviewed(hold: Hold, at: datetime, _person: Person) -> Hold:
        hold = replace(hold, review_on=_day(hold, review_on, at))
        return replace(hold, owner=_owner(books, owner, hold, _known_call(books, hold))) if owner else hold

    change = _Change(REVIEWED, Act.PLACE_HOLD, HoldEvent.REVIEW, may_review, reviewed)
    return _changed(books, actor, hold_id, change, reason)


def holds_shown(books: HoldBooks, actor: Actor, row: RecordingRow) -> list[Hold]:
    """Return the holds of a recording that somebody may see, those that are over too; none for most roles.

    Raises:
        ProblemError: 503: the database does not answer.
    """
    if not isinstance(actor, Person):
        return []
    with _database():
        return [hold for hold in books.holds.of_recording(row.id) if may_see(actor, hold, held_call(row))]


def holds_listed(books: HoldBooks, actor: Actor, *, is_due: bool, limit: int = LISTED) -> list[Hold]:
    """Return the holds that somebody may see, by the day of their review; that they looked is written down.

    Args:
        books: Where holds are kept.
        actor: Who asks.
        is_due: Only those that somebody must review.
        limit: The most.

    Raises:
        ProblemError: 403: not theirs to see. 503: the audit log or the database does not answer.
    """
    person = books.ledger.require(actor, Act.PLACE_HOLD, "")
    books.ledger.note("hold.view", person.actor, "", {"due": is_due})
    now = books.now()
    with _database():
        if is_due:
            holds = books.holds.due_for_review(now.date(), limit=limit)
        else:
            holds = books.holds.all_standing(now, limit=limit)
        return [hold for hold in holds if may_see(person, hold, _known_call(books, hold))]


def holds_of(books: HoldBooks, actor: Actor, recording: str) -> list[Hold]:
    """Return the holds of one recording that somebody may see, those over too; that they looked is written down.

    Raises:
        ProblemError: 403: not theirs to see. 503: the audit log or the database does not answer.
    """
    person = books.ledger.require(actor, Act.PLACE_HOLD, recording)
    books.ledger.note("hold.view", person.actor, recording, {})
    with _database():
        found = books.holds.of_recording(RecordingId(recording))
        return [hold for hold in found if may_see(person, hold, _known_call(books, hold))]


def check_of(books: HoldBooks, hold_id: str, recording: str) -> None:
    """Make sure that a hold is one of a recording.

    Raises:
        ProblemError: 404: it is not, or there is none; 503: the database does not answer.
    """
    if _known(books, hold_id).recording != recording:
        raise none_such("hold")


def settle_holds(state: Path, holds: Holds, audit: AuditLog) -> None:
    """Put into the table what a killed act left in the audit log alone; what cannot be now is at the next act."""
    try:
        with steady(state, holds, audit):
            pass
    except (StorageError, OSError) as error:
        _log.error("holds that are in the audit log alone cannot be put into their table: %s", error)


# --- how a hold is placed


def call_to_hold(books: HoldBooks, recording: str, person: Person | None = None) -> HeldCall:
    """Return the call of a recording that can be held.

    Args:
        books: Where holds are kept.
        recording: Its id.
        person: Who wants to hold it; None where it is known already that they may know of it.

    Raises:
        ProblemError: There is none, or none that they may know of; nothing was kept of it, or it was deleted. 503: that
            cannot be known.
    """
    if not is_recording_id(recording):
        raise none_such()
    with _database():
        try:
            row = books.index.get(recording)
        except NotFoundError as error:
            begun = begun_row(books.vault, RecordingId(recording))
            if begun is not None:
                _check_known(books, person, recording, held_call(begun))
                if is_being_discarded(books.state, recording):
                    raise ProblemError(
                        409, "The recording is being discarded for a card payment, so it cannot be held."
                    ) from error
                return held_call(begun)
            if person is not None and not knows_all(person):
                raise none_such() from error
            tombstone = Deletions(books.index.database).get(RecordingId(recording))
            if tombstone is not None:
                raise ProblemError(
                    409, f"The recording was deleted on {tombstone.deleted_at:%Y-%m-%d}, so it cannot be held."
                ) from error
            raise none_such() from error
    _check_known(books, person, recording, held_call(row))
    if row.path is None:
        raise ProblemError(409, f"Nothing was kept of this call ({row.outcome}, {row.reason}), so it cannot be held.")
    if not _is_there(books, row.path):
        raise ProblemError(409, "The recording was deleted: its file is gone, so it cannot be held.")
    return held_call(row)


def _is_there(books: HoldBooks, path: str) -> bool:
    try:
        return books.vault.locate(path).exists()
    except OutsideError:
        return True  # somebody changed the row: all the more reason to keep what there is


def _check_known(books: HoldBooks, person: Person | None, recording: str, call: HeldCall) -> None:
    if person is not None:
        _check_call_known(books, person, Act.PLACE_HOLD, recording, call)


def _check_call_known(
    books: HoldBooks, person: Person, act: Act, recording: str, call: HeldCall, *, what: str = "recording"
) -> None:
    team = min(call.teams.intersection(person.teams), default=call.team)
    check_known(books.ledger, person, act, recording, operators=call.operators, team=team, what=what)


def _wished(books: HoldBooks, person: Person, recording: RecordingId, wish: HoldWish, call: HeldCall) -> Hold:
    problem = problem_with(wish)
    if problem is not None:
        raise ProblemError(422, problem)
    now = books.now()
    hold = Hold(
        id=new_hold_id(),
        recording=recording,
        kind=wish.kind,
        reason=wish.reason.strip(),
        case_reference=wish.case_reference,
        owner=person.name,
        placed_by=person.actor,
        placed_at=now,
        review_on=now.date(),
        against=tuple(_against(books, name, call) for name in wish.against),
    )
    hold = replace(hold, review_on=_day(hold, wish.review_on, now))
    return replace(hold, owner=_owner(books, wish.owner or person.name, hold, call))


def _against(books: HoldBooks, name: str, call: HeldCall) -> str:
    """Return by which name somebody is known here; a name that nobody has would bar nobody."""
    account = _account(books, name)
    if account is not None:
        return account.name
    for operator in call.operators:
        if name.strip().casefold() == operator.casefold():
            return operator
    raise ProblemError(422, "Whoever the complaint is against must have an account, or be the operator of the call.")


def _owner(books: HoldBooks, name: str, hold: Hold, call: HeldCall) -> str:
    account = _account(books, name)
    if account is None:
        raise ProblemError(422, "The owner of a hold must have an account here.")
    problem = problem_with_owner(account, hold, call)
    if problem is not None:
        raise ProblemError(422, problem)
    return account.name


def _account(books: HoldBooks, name: str) -> Person | None:
    wanted = name.strip().casefold()
    found = [p for p in books.people() if wanted in (p.name.casefold(), p.display_name.casefold())]
    return next((p for p in found if p.name.casefold() == wanted), found[0] if found else None)


def _day(hold: Hold, wished: date | None, now: datetime) -> date:
    day = review_day(hold.kind, wished, today=now.date())
    if isinstance(day, str):
        raise ProblemError(422, day)
    return day


# --- how a hold is changed


def _needed_by_claim(books: HoldBooks, hold: Hold) -> str | None:
    """Say which claim keeps a recording, so that it decides and not whoever releases its hold. None: none does."""
    if hold.kind is not HoldKind.RESTRICTION:
        return None
    found = [one for one in Claims(books.index.database).of_recording(hold.recording) if one.hold == hold.id]
    if any(keeps(one) for one in found):
        return f"Claim {found[0].id} keeps this recording: decide or lift that (`recorder rights`)."
    return None


@dataclass(frozen=True, slots=True)
class _Change:
    """An act on a hold: its name in the audit log, who may, what it is to the hold, and what comes of it."""

    name: str
    act: Act
    event: HoldEvent
    rule: Callable[..., Allowed | Refused]
    apply: Callable[[Hold, datetime, Person], Hold]


def _changed(books: HoldBooks, actor: Actor, hold_id: str, change: _Change, reason: str) -> Hold:
    person = books.ledger.require(actor, change.act, hold_id, reason=reason)
    with steady_books(books):
        hold = _known(books, hold_id)
        call = _known_call(books, hold)
        _check_call_known(books, person, change.act, hold.recording, call, what="hold")
        decision = change.rule(person, hold, call, reason=reason)
        _allow(books, person, change.act, hold.recording, decision)
        now = books.now()
        try:
            check(hold, change.event, now)
        except HoldStateError as error:
            raise ProblemError(409, str(error)) from error
        after = change.apply(hold, now, person)
        with settling_books(books):
            books.ledger.note(change.name, person.actor, hold.recording, changed_details(hold, after, now), text=reason)
            books.holds.save([after])
    return after


def _known(books: HoldBooks, hold_id: str) -> Hold:
    with _database():
        try:
            return books.holds.get(hold_id)
        except NotFoundError as error:
            raise none_such("hold") from error


def _known_call(books: HoldBooks, hold: Hold) -> HeldCall:
    """Return the call of a hold; one that nobody knows any more is nobody's, and of no team."""
    with _database():
        try:
            return held_call(books.index.get(hold.recording))
        except NotFoundError:
            row = begun_row(books.vault, hold.recording)
            return HeldCall(operators=frozenset(), extensions=frozenset(), team="") if row is None else held_call(row)


def _allow(books: HoldBooks, person: Person, act: Act, subject: str, decision: Allowed | Refused) -> None:
    if isinstance(decision, Refused):
        raise books.ledger.refusal(person, act, subject, decision.reason)


@contextlib.contextmanager
def steady_books(books: HoldBooks) -> Iterator[None]:
    """Keep the table of holds as it is but for this act, and say it where nothing could be done."""
    with _database(), steady(books.state, books.holds, books.audit):
        yield


@contextlib.contextmanager
def settling_books(books: HoldBooks) -> Iterator[None]:
    """Say what became of an act that is in the audit log and could not be put into the table."""
    with settling(books.state):
        try:
            yield
        except (StorageError, OSError) as error:
            raise ProblemError(
                503, "It is in the audit log, and will be done by itself as soon as the database answers again."
            ) from error


@contextlib.contextmanager
def _database() -> Iterator[None]:
    try:
        yield
    except (StorageError, OSError) as error:
        if isinstance(error, NotFoundError | HoldStateError):
            raise
        raise ProblemError(503, f"Nothing was done: {error}.") from error
