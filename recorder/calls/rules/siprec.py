"""Recording sessions: which are recorded, whose they are, and which line is whose voice. Pure (RFC 7865, RFC 7866).

The policy is that of every other call (P1, P5): a nominated extension takes part, and everybody was told. What differs
is how that is known: by the names in the metadata, and by somebody's word that the client plays the notice.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from recorder.rules.policy import Direction, Extension, Nomination
from recorder.rules.routing import EmergencyNumbers
from sip.metadata import Metadata, SessionParticipant
from storage.rows import normalise_number


class Remark(enum.StrEnum):
    """What somebody who listens to a recording should know of how it was made."""

    SIPREC = "siprec"
    """A client copied the call to us: what it did not send was never here."""
    WITHOUT_METADATA = "without_metadata"
    """The client did not say who took part; the sides are those of its lines, in order."""
    METADATA_UNREADABLE = "metadata_unreadable"
    """What it said could not be read; it is kept as it came."""
    METADATA_REPAIRED = "metadata_repaired"
    """What it said was damaged or misspelled, and read as far as it could be; it is kept as it came."""
    NOT_NOMINATED = "all_sessions_nominated"
    """No nominated extension took part; it was recorded since all sessions of its client are."""
    MIXED = "mixed"
    """Both voices came on one line; the other channel is silent."""
    ONE_LINE = "one_line"
    """Only one party's voice came; the other channel is silent."""
    SIDES_BY_ORDER = "sides_by_order"
    """Nothing said whose line is whose; the first is taken for the caller's."""
    MORE_LINES = "more_lines"
    """More lines were sent at a time than the two that were recorded."""
    RETURNED = "returned"
    """The session had been here before, and began as it had been left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Positions of the m-lines that are recorded: the caller's on the left, the officer's on the right."""

    left: int | None
    right: int | None
    remarks: frozenset[Remark] = frozenset()

    @property
    def are_known(self) -> bool:
        """Tell whether each line is one known party's: only then are keys on the right the officer's."""
        return not self.remarks & {Remark.MIXED, Remark.SIDES_BY_ORDER}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDecision:
    """What is to become of a session as it now stands.

    Attributes:
        closed: Why nothing may be recorded, or None: it may.
        nomination: Whose call it is; None while nobody knows.
        caller: Number that calls, as far as known.
        called: Number that was called, likewise.
        sides: The lines to record.
        remarks: Why the recording is not like others.
    """

    closed: str | None
    nomination: Nomination | None = None
    caller: str = ""
    called: str = ""
    sides: Sides
    remarks: frozenset[Remark] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """What was decided beforehand about the sessions of a client.

    Attributes:
        extensions: Nominated extensions by number.
        emergency: Numbers whose calls are never recorded.
        is_attested: Somebody answers for the notice.
        fallback: For sessions that name no nominated extension, or None: they are not recorded.
    """

    extensions: Mapping[str, Extension]
    emergency: EmergencyNumbers
    is_attested: bool
    fallback: Extension | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLines:
    """Which lines the client sends on.

    Attributes:
        now: Positions of the lines that it sends on now, by its session description.
        before: Positions of the lines that have been recorded so far.
    """

    now: frozenset[int]
    before: frozenset[int] = frozenset()


def decide(
    metadata: Metadata | None,
    labels: Sequence[str | None],
    *,
    dialled: tuple[str, str],
    terms: SessionPolicy,
    sent: SentLines | None = None,
) -> SessionDecision:
    """Decide about a session.

    Args:
        metadata: What is known of it, or None before anything was.
        labels: a=label of each m-line in order, "" where it has none; None for one that cannot be recorded.
        dialled: User parts of From and To of the client's INVITE: many clients put the two parties there.
        terms: What was decided beforehand.
        sent: Which lines the client sends on; None: on all of them.
    """
    told = _people(metadata)
    people = told or (_from_headers(dialled) if terms.fallback is not None else ())
    officers = [one for one in people if extension_of(one, terms.extensions) is not None]
    caller, other = _in_order(people, dialled, metadata.callers if metadata is not None else frozenset())
    officer = _officer(officers, caller)
    sides = _sides(metadata, labels, officer, people, sent)
    nomination = _nomination(officer, officers, caller, terms)
    closed = _closed(told, dialled, nomination, terms)
    remarks = set(sides.remarks)
    if nomination is None and terms.fallback is not None:
        nomination = Nomination(direction=Direction.INBOUND, extension=terms.fallback)
        remarks.add(Remark.NOT_NOMINATED)
    if not told:
        remarks.add(Remark.WITHOUT_METADATA)
    return SessionDecision(
        closed=closed,
        nomination=nomination,
        caller=_number(caller) or dialled[0],
        called=_number(other) or dialled[1],
        sides=sides,
        remarks=frozenset(remarks),
    )


def _closed(
    people: Sequence[SessionParticipant], dialled: tuple[str, str], nomination: Nomination | None, terms: SessionPolicy
) -> str | None:
    if any(terms.emergency.has(user) for user in (*dialled, *(user for one in people for user in one.users))):
        return "emergency"
    if not terms.is_attested:
        return "notice_not_attested"
    if nomination is None and terms.fallback is None:
        return "not_nominated" if people else "no_metadata"
    return None


def _people(metadata: Metadata | None) -> tuple[SessionParticipant, ...]:
    return tuple(one for one in metadata.present if one.users) if metadata is not None else ()


def _from_headers(dialled: tuple[str, str]) -> tuple[SessionParticipant, ...]:
    """Return the parties as From and To name them: a guess that is good enough only where all sessions are recorded."""
    return tuple(SessionParticipant(id=f"header:{user}", aors=(user,)) for user in dialled if user)


def extension_of(participant: SessionParticipant, extensions: Mapping[str, Extension]) -> Extension | None:
    """Return the nominated extension that one of somebody's addresses is: as written, or as E.164."""
    by_e164 = {normalise_number(number): extension for number, extension in extensions.items()}
    for user in participant.users:
        found = extensions.get(user) or by_e164.get(normalise_number(user))
        if found is not None:
            return found
    return None


def _in_order(
    people: Sequence[SessionParticipant], dialled: tuple[str, str], callers: frozenset[str]
) -> tuple[SessionParticipant | None, SessionParticipant | None]:
    """Return who called and who was called.

    RFC 7865 has no word for it. Some clients have, in elements of their own; else whoever stands in From or To of the
    INVITE is the caller or the one who was called; else the first to be named is taken for the caller, as clients have
    it.
    """
    first, second = [*people[:2], None, None][:2]
    if first is None or second is None:
        return first, second
    if (first.id in callers) is not (second.id in callers):
        return (first, second) if first.id in callers else (second, first)
    calling, called = (normalise_number(user) for user in dialled)
    if calling in _numbers(second) or (called in _numbers(first) and calling not in _numbers(first)):
        return second, first
    return first, second


def _numbers(participant: SessionParticipant) -> set[str]:
    return {normalise_number(user) for user in participant.users}


def _number(participant: SessionParticipant | None) -> str:
    return participant.users[0] if participant is not None else ""


def _officer(officers: Sequence[SessionParticipant], caller: SessionParticipant | None) -> SessionParticipant | None:
    """Return whose call it is: of two nominated extensions the one that was called, as for every other call."""
    return next((one for one in officers if one is not caller), officers[0] if officers else None)


def _nomination(
    officer: SessionParticipant | None,
    officers: Sequence[SessionParticipant],
    caller: SessionParticipant | None,
    terms: SessionPolicy,
) -> Nomination | None:
    extension = extension_of(officer, terms.extensions) if officer is not None else None
    if extension is None:
        return None
    others = (extension_of(one, terms.extensions) for one in officers if one is not officer)
    second = next((one for one in others if one is not None and one != extension), None)
    if second is not None:
        return Nomination(direction=Direction.INTERNAL, extension=extension, second=second)
    direction = Direction.OUTBOUND if officer is caller else Direction.INBOUND
    return Nomination(direction=direction, extension=extension)


# --- lines


def _sides(
    metadata: Metadata | None,
    labels: Sequence[str | None],
    officer: SessionParticipant | None,
    people: Sequence[SessionParticipant],
    sent: SentLines | None,
) -> Sides:
    """Return which lines are recorded: the officer's on the right, the first other party's on the left.

    A line that the client sends on goes before one that it holds, so that nobody is missed who talks.
    """
    usable = [at for at, label in enumerate(labels) if label is not None]
    sent = sent or SentLines(now=frozenset(usable))
    whose = {at: metadata.senders(labels[at] or "") if metadata is not None else () for at in usable}
    if len(usable) == 1:
        return _one_line(usable[0], whose[usable[0]], officer)
    ranked = sorted(usable, key=lambda at: (at not in sent.now, at not in sent.before, at))
    right = next((at for at in ranked if officer is not None and whose[at] == (officer,)), None)
    left = _others_line(ranked, whose, [one for one in people if one is not officer], sent.now)
    strange = [at for at in ranked if at in sent.now and not whose[at]]  # somebody talks there, and nobody knows who
    left = _unless_idle(left, sent.now, len(strange) - (left is None) - (right is None))
    right = _unless_idle(right, sent.now, len(strange) - (left is None) - (right is None))
    remarks = {Remark.MORE_LINES} if len(sent.now) > 2 else set()
    if right is None or left is None or officer is None:
        by_place = _by_place(ranked, whose, officer, people, sent.now)
        left, right, is_guess = by_place or _by_order(ranked, whose, left, right)
        remarks |= {Remark.SIDES_BY_ORDER} if is_guess else set()
    return Sides(left=left, right=right, remarks=frozenset(remarks))


def _unless_idle(line: int | None, now: frozenset[int], spare: int) -> int | None:
    """Return a line, or None where it is not sent and there is one to spare that is."""
    return line if line in now or spare <= 0 else None


def _others_line(
    ranked: Sequence[int],
    whose: Mapping[int, Sequence[SessionParticipant]],
    others: Sequence[SessionParticipant],
    now: frozenset[int],
) -> int | None:
    """Return the line of the first other party who has one that is sent, else of the first who has one at all."""
    lines = [at for one in others for at in ranked if whose[at] == (one,)]
    return next((at for at in lines if at in now), lines[0] if lines else None)


def _one_line(line: int, senders: Sequence[SessionParticipant], officer: SessionParticipant | None) -> Sides:
    """Return the sides of a session of one line.

    One that both speak on goes to the left, where what is keyed is silenced; the officer's alone to the right.
    """
    if officer is not None and senders == (officer,):
        return Sides(left=None, right=line, remarks=frozenset({Remark.ONE_LINE}))
    remark = Remark.ONE_LINE if len(senders) == 1 and officer is not None else Remark.MIXED
    return Sides(left=line, right=None, remarks=frozenset({remark}))


def _by_place(
    ranked: Sequence[int],
    whose: Mapping[int, Sequence[SessionParticipant]],
    officer: SessionParticipant | None,
    people: Sequence[SessionParticipant],
    now: frozenset[int],
) -> tuple[int | None, int | None, bool] | None:
    """Take two lines that nobody is known on for those of the two who take part, each in their place."""
    lines = sorted(ranked[:2])
    is_two = len(lines) == len(people) == 2 and (len(ranked) == 2 or len(now) <= 2)
    if officer is None or not is_two or any(whose[at] for at in lines):
        return None
    place = people.index(officer)
    return lines[1 - place], lines[place], True


def _by_order(
    ranked: Sequence[int], whose: Mapping[int, Sequence[SessionParticipant]], left: int | None, right: int | None
) -> tuple[int | None, int | None, bool]:
    """Fill the sides that nobody is known on with the likeliest lines that are left; tell whether that was a guess."""
    spare = [at for at in ranked if at not in (left, right)]
    unknown = [at for at in spare if not whose[at]] or spare
    is_guess = left is None and right is None
    chosen = sorted(unknown[: (left is None) + (right is None)])
    if left is None and chosen:
        left = chosen.pop(0)
    if right is None and chosen:
        right = chosen.pop(0)
    return left, right, is_guess


# --- the life of a session


class Stage(enum.Enum):
    """Where a session is."""

    WAITING = "waiting for who takes part"
    RECORDED = "recorded"
    AWAY = "with somebody whose calls are not recorded"
    ENDED = "ended"


class SessionAction(enum.Enum):
    """What a decision asks to be done."""

    NOTHING = "nothing"
    OPEN = "begin to record"
    FOLLOW = "record whoever takes part now"
    LEAVE = "stop: the part that follows is out of scope"
    RETURN = "go on recording"


STAGE_TABLE: Mapping[tuple[Stage, bool], tuple[Stage, SessionAction]] = MappingProxyType({
    (Stage.WAITING, True): (Stage.RECORDED, SessionAction.OPEN),
    (Stage.WAITING, False): (Stage.WAITING, SessionAction.NOTHING),
    (Stage.RECORDED, True): (Stage.RECORDED, SessionAction.FOLLOW),
    (Stage.RECORDED, False): (Stage.AWAY, SessionAction.LEAVE),
    (Stage.AWAY, True): (Stage.RECORDED, SessionAction.RETURN),
    (Stage.AWAY, False): (Stage.AWAY, SessionAction.NOTHING),
    (Stage.ENDED, True): (Stage.ENDED, SessionAction.NOTHING),
    (Stage.ENDED, False): (Stage.ENDED, SessionAction.NOTHING),
})  # fmt: skip
"""What follows from a decision, by where the session is and whether recording is permitted: every pair is decided."""
