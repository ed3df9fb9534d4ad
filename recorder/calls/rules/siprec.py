"""The rules of recording sessions: whether to record, for whom, and which m-line is whose. Pure (RFC 7865, RFC 7866).

The policy is that of every other call (P1, P5): a nominated extension takes part, and everybody has heard the notice.
The metadata say who takes part. The configuration attests that the session recording client (SRC) plays the notice.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from recorder.rules.policy import Direction, Extension, Nomination
from recorder.rules.routing import EmergencyNumbers
from sip.metadata import Metadata, SessionParticipant
from storage.phone_numbers import normalise_number


class Remark(enum.StrEnum):
    """How a recording of a session was made, for people who listen to it."""

    SIPREC = "siprec"
    """An SRC copied the call to the recorder; audio that it did not send is missing."""
    WITHOUT_METADATA = "without_metadata"
    """The SRC did not say who took part; the channels follow the order of the lines."""
    METADATA_UNREADABLE = "metadata_unreadable"
    """Metadata could not be read; the document is kept as it came."""
    METADATA_REPAIRED = "metadata_repaired"
    """Metadata were damaged or misspelled, and read in part; the document is kept as it came."""
    NOT_NOMINATED = "all_sessions_nominated"
    """No nominated extension took part; all sessions of this SRC are recorded."""
    MIXED = "mixed"
    """Both voices are on one line; the other channel is silent."""
    ONE_LINE = "one_line"
    """Only one party's voice was sent; the other channel is silent."""
    SIDES_BY_ORDER = "sides_by_order"
    """The metadata do not say whose the lines are; the first is taken as the caller's."""
    MORE_LINES = "more_lines"
    """The SRC sent more than two lines at a time; two were recorded."""
    RETURNED = "returned"
    """The session returned, and began with its last pause state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Positions of the recorded m-lines: the outside party's on the left, the officer's on the right."""

    left: int | None
    right: int | None
    remarks: frozenset[Remark] = frozenset()

    @property
    def are_known(self) -> bool:
        """Tell whether each line is of one known party; only then are keys on the right the officer's."""
        return not self.remarks & {Remark.MIXED, Remark.SIDES_BY_ORDER}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDecision:
    """How a session is to be recorded now.

    Attributes:
        closed: Why nothing may be recorded; None if it may.
        nomination: The nomination; None while it is not known.
        caller: The caller's number, as far as known.
        called: The called number, as far as known.
        remarks: How the recording differs from others.
    """

    closed: str | None
    nomination: Nomination | None = None
    caller: str = ""
    called: str = ""
    sides: Sides
    remarks: frozenset[Remark] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPolicy:
    """The configured policy for the sessions of one SRC.

    Attributes:
        extensions: Nominated extensions by number.
        emergency: Numbers whose calls are never recorded.
        is_attested: Whether a named owner attests that the notice is played.
        fallback: The extension of sessions that name no nominated extension; None if they are not recorded.
    """

    extensions: Mapping[str, Extension]
    emergency: EmergencyNumbers
    is_attested: bool
    fallback: Extension | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLines:
    """The lines on which the SRC sends.

    Attributes:
        now: Positions of the lines on which it sends now, by its session description.
        before: Positions of the lines that were recorded until now.
    """

    now: frozenset[int]
    before: frozenset[int] = frozenset()


def decide(
    metadata: Metadata | None,
    labels: Sequence[str | None],
    *,
    dialled: tuple[str, str],
    policy: SessionPolicy,
    sent: SentLines | None = None,
) -> SessionDecision:
    """Decide how a session is recorded.

    Args:
        metadata: The merged metadata, or None before any came.
        labels: a=label of each m-line in order, "" if it has none; None for a line that cannot be recorded.
        dialled: User parts of From and To of the SRC's INVITE: many SRCs put the two parties there.
        policy: The policy for this SRC.
        sent: The lines on which the SRC sends; None is all.
    """
    named = _people(metadata)
    people = named or (_from_headers(dialled) if policy.fallback is not None else ())
    officers = [person for person in people if extension_of(person, policy.extensions) is not None]
    caller, other = _in_order(people, dialled, metadata.callers if metadata is not None else frozenset())
    officer = _officer(officers, caller)
    sides = _sides(metadata, labels, officer, people, sent)
    nomination = _nomination(officer, officers, caller, policy)
    closed = _closed(named, dialled, nomination, policy)
    remarks = set(sides.remarks)
    if nomination is None and policy.fallback is not None:
        nomination = Nomination(direction=Direction.INBOUND, extension=policy.fallback)
        remarks.add(Remark.NOT_NOMINATED)
    if not named:
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
    people: Sequence[SessionParticipant], dialled: tuple[str, str], nomination: Nomination | None, policy: SessionPolicy
) -> str | None:
    if any(policy.emergency.has(user) for user in (*dialled, *(user for person in people for user in person.users))):
        return "emergency"
    if not policy.is_attested:
        return "notice_not_attested"
    if nomination is None and policy.fallback is None:
        return "not_nominated" if people else "no_metadata"
    return None


def _people(metadata: Metadata | None) -> tuple[SessionParticipant, ...]:
    return tuple(person for person in metadata.present if person.users) if metadata is not None else ()


def _from_headers(dialled: tuple[str, str]) -> tuple[SessionParticipant, ...]:
    """Return the parties that From and To name: a guess, used only if all sessions of the SRC are recorded."""
    return tuple(SessionParticipant(id=f"header:{user}", aors=(user,)) for user in dialled if user)


def extension_of(participant: SessionParticipant, extensions: Mapping[str, Extension]) -> Extension | None:
    """Return the nominated extension of a participant, by any of their addresses, as written or as E.164; or None."""
    by_e164 = {normalise_number(number): extension for number, extension in extensions.items()}
    for user in participant.users:
        found = extensions.get(user) or by_e164.get(normalise_number(user))
        if found is not None:
            return found
    return None


def _in_order(
    people: Sequence[SessionParticipant], dialled: tuple[str, str], callers: frozenset[str]
) -> tuple[SessionParticipant | None, SessionParticipant | None]:
    """Return the caller and the called participant.

    RFC 7865 has no element for this. Some SRCs have one of their own. Otherwise From and To of the INVITE decide, if
    they name a participant. Otherwise the first participant is taken as the caller, which is the order that SRCs use.
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
    """Return the officer who has the call: of two nominated extensions the called one, as for every other call."""
    return next((person for person in officers if person is not caller), officers[0] if officers else None)


def _nomination(
    officer: SessionParticipant | None,
    officers: Sequence[SessionParticipant],
    caller: SessionParticipant | None,
    policy: SessionPolicy,
) -> Nomination | None:
    extension = extension_of(officer, policy.extensions) if officer is not None else None
    if extension is None:
        return None
    others = (extension_of(person, policy.extensions) for person in officers if person is not officer)
    second = next((other for other in others if other is not None and other != extension), None)
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
    """Return the lines to record: the officer's on the right, the first other party's on the left.

    Lines on which the SRC sends come before lines on hold, so that nobody who talks is left out.
    """
    usable = [at for at, label in enumerate(labels) if label is not None]
    sent = sent or SentLines(now=frozenset(usable))
    senders = {at: metadata.senders(labels[at] or "") if metadata is not None else () for at in usable}
    if len(usable) == 1:
        return _one_line(usable[0], senders[usable[0]], officer)
    ranked = sorted(usable, key=lambda at: (at not in sent.now, at not in sent.before, at))
    right = next((at for at in ranked if officer is not None and senders[at] == (officer,)), None)
    left = _others_line(ranked, senders, [person for person in people if person is not officer], sent.now)
    unassigned = [at for at in ranked if at in sent.now and not senders[at]]
    left = _unless_idle(left, sent.now, len(unassigned) - (left is None) - (right is None))
    right = _unless_idle(right, sent.now, len(unassigned) - (left is None) - (right is None))
    remarks = {Remark.MORE_LINES} if len(sent.now) > 2 else set()
    if right is None or left is None or officer is None:
        by_position = _by_position(ranked, senders, officer, people, sent.now)
        left, right, is_guess = by_position or _by_order(ranked, senders, left, right)
        remarks |= {Remark.SIDES_BY_ORDER} if is_guess else set()
    return Sides(left=left, right=right, remarks=frozenset(remarks))


def _unless_idle(line: int | None, now: frozenset[int], spare: int) -> int | None:
    """Return a line; None if nothing is sent on it and ``spare`` lines with audio are left over."""
    return line if line in now or spare <= 0 else None


def _others_line(
    ranked: Sequence[int],
    senders: Mapping[int, Sequence[SessionParticipant]],
    others: Sequence[SessionParticipant],
    now: frozenset[int],
) -> int | None:
    """Return the line of the first other party with a line that is sent, else of the first with any line."""
    lines = [at for person in others for at in ranked if senders[at] == (person,)]
    return next((at for at in lines if at in now), lines[0] if lines else None)


def _one_line(line: int, senders: Sequence[SessionParticipant], officer: SessionParticipant | None) -> Sides:
    """Return the sides of a session with one line.

    A line with both voices goes to the left, where digits are silenced; a line of the officer alone to the right.
    """
    if officer is not None and senders == (officer,):
        return Sides(left=None, right=line, remarks=frozenset({Remark.ONE_LINE}))
    remark = Remark.ONE_LINE if len(senders) == 1 and officer is not None else Remark.MIXED
    return Sides(left=line, right=None, remarks=frozenset({remark}))


def _by_position(
    ranked: Sequence[int],
    senders: Mapping[int, Sequence[SessionParticipant]],
    officer: SessionParticipant | None,
    people: Sequence[SessionParticipant],
    now: frozenset[int],
) -> tuple[int | None, int | None, bool] | None:
    """Assign two lines without known senders to two participants in the same order; None if that does not apply."""
    lines = sorted(ranked[:2])
    is_two = len(lines) == len(people) == 2 and (len(ranked) == 2 or len(now) <= 2)
    if officer is None or not is_two or any(senders[at] for at in lines):
        return None
    position = people.index(officer)
    return lines[1 - position], lines[position], True


def _by_order(
    ranked: Sequence[int], senders: Mapping[int, Sequence[SessionParticipant]], left: int | None, right: int | None
) -> tuple[int | None, int | None, bool]:
    """Fill empty sides with the best-ranked remaining lines; return left, right, and whether both were guessed."""
    spare = [at for at in ranked if at not in (left, right)]
    unassigned = [at for at in spare if not senders[at]] or spare
    is_guess = left is None and right is None
    chosen = sorted(unassigned[: (left is None) + (right is None)])
    if left is None and chosen:
        left = chosen.pop(0)
    if right is None and chosen:
        right = chosen.pop(0)
    return left, right, is_guess


# --- the stages of a session


class Stage(enum.Enum):
    """The stages of a session."""

    WAITING = "waiting for who takes part"
    RECORDED = "recorded"
    AWAY = "with somebody whose calls are not recorded"
    ENDED = "ended"


class SessionAction(enum.Enum):
    """What follows from a decision."""

    NOTHING = "nothing"
    OPEN = "begin to record"
    FOLLOW = "record the current participants"
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
"""The next stage and the action, by the stage and whether recording is permitted; complete."""
