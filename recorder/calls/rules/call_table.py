"""The state table of one call. Pure: events in, commands out.

``A`` is the leg that was offered to the recorder, ``B`` the leg that it dialled. The *outside* party hears the notice;
the *officer* has the keys. The outside party is on A in inbound and internal calls, and on B in outbound calls.

Every pair of state and event is in `TABLE`, or in `IGNORED` with the reason. Any other pair is an error. The diagram
in DESIGN.md is drawn from the table. `recorder.calls.rules.call_events` has sides, states, events and commands.
"""

from collections.abc import Callable

from recorder.calls.rules.call_events import (
    EVENTS,
    After,
    AnswerA,
    Answered,
    Begin,
    CallState,
    Command,
    Dial,
    DropTransferTarget,
    Event,
    Finish,
    HangUp,
    Join,
    JoinEarly,
    Left,
    NoticeEnded,
    Play,
    PlayTo,
    Rang,
    Redirected,
    RefuseA,
    Refused,
    Replace,
    Ring,
    SecondEnded,
    SecondWanted,
    Side,
    Stopped,
    StopPlaying,
    ToneEnded,
    TransferBegan,
    TransferTargetAnswered,
    TransferTargetRefused,
)
from recorder.calls.rules.call_progress import CallProgress
from recorder.rules.outcome import refusal_reason
from recorder.rules.policy import Direction, NoticeWhen
from recorder.rules.routing import FAILOVER


class UndecidedError(Exception):
    """The table has no entry for an event in a state: a defect of the recorder."""


Transition = Callable[[CallProgress, "Event"], list[Command]]


def _begin(call: CallProgress, _event: Event) -> list[Command]:
    if not call.is_nominated:
        call.state = CallState.THROUGH_RINGING
        return [Dial(0)]
    if call.direction is Direction.OUTBOUND or call.notice_when is NoticeWhen.AFTER_ANSWER:
        call.state = CallState.RINGING_FIRST
        return [Dial(0)]
    call.state = CallState.NOTICE
    return [AnswerA(), PlayTo(Side.A, Play.NOTICE)]


def _remember_second(call: CallProgress, _event: Event) -> list[Command]:
    call.second_wanted = call.has_second
    return []


def _play_second(call: CallProgress) -> list[Command]:
    call.second_wanted, call.second_played, call.is_second_playing = False, True, True
    call.is_early_heard = False
    return [PlayTo(call.outside, Play.SECOND)]


def _dial_officer(call: CallProgress) -> list[Command]:
    call.state = CallState.RINGING
    return [PlayTo(Side.A, Play.RINGBACK), Dial(0)]


def _notice_ended(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, NoticeEnded)
    call.notice_complete = event.complete
    if call.second_wanted:
        call.state = CallState.SECOND
        return _play_second(call)
    return _dial_officer(call)


def _second_ended(call: CallProgress, _event: Event) -> list[Command]:
    call.is_second_playing = False
    return _dial_officer(call)


def _second_while_ringing(call: CallProgress, _event: Event) -> list[Command]:
    if not call.has_second or call.second_played:
        return []
    return _play_second(call)


def _second_ended_ringing(call: CallProgress, _event: Event) -> list[Command]:
    call.is_second_playing = False
    return [PlayTo(Side.A, Play.RINGBACK)]


def _rang_after_notice(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Rang)
    if not event.has_media or call.is_second_playing:
        return []
    call.is_early_heard = True
    return [JoinEarly()]


def _rang_first(_call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Rang)
    return [Ring(early=event.has_media)]


def _join(call: CallProgress) -> list[Command]:
    call.state, call.was_joined = CallState.JOINED, True
    return [StopPlaying(), Join()]


def _take_keys(call: CallProgress, event: Event) -> After:
    """Set the officer's side from the party who answered, and return what follows for the recording."""
    assert isinstance(event, Answered)
    call.keys = event.officer or call.keys
    return event.after


def _announce_again(call: CallProgress) -> list[Command]:
    """Play the notice to an outside party who has not heard it, while the officer is held."""
    call.state, call.notice_complete = CallState.NOTICE_HELD, None
    call.second_wanted = call.second_played = call.is_second_playing = False
    return [PlayTo(call.outside, Play.NOTICE), PlayTo(call.officer, Play.HOLD)]


def _answered_after_notice(call: CallProgress, event: Event) -> list[Command]:
    if _take_keys(call, event) is After.ANNOUNCE:
        return [StopPlaying(), *_announce_again(call)]
    if call.is_second_playing:
        call.state = CallState.SECOND_HELD
        return [PlayTo(Side.B, Play.HOLD)]
    return _join(call)


def _answered_first(call: CallProgress, event: Event) -> list[Command]:
    _take_keys(call, event)
    call.state = CallState.NOTICE_HELD
    return [AnswerA(), PlayTo(call.outside, Play.NOTICE), PlayTo(call.officer, Play.HOLD)]


def _held_notice_ended(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, NoticeEnded)
    call.notice_complete = event.complete
    if call.second_wanted:
        call.state = CallState.SECOND_HELD
        return _play_second(call)
    return _join(call)


def _held_second_ended(call: CallProgress, _event: Event) -> list[Command]:
    call.is_second_playing = False
    return _join(call)


def _next_target(call: CallProgress, status: int) -> list[Command] | None:
    if status not in FAILOVER or call.target + 1 >= call.targets:
        return None
    call.target += 1
    return [Dial(call.target)]


def _redirected_after_notice(call: CallProgress, _event: Event) -> list[Command]:
    return _ring_again(call)


def _ring_again(call: CallProgress) -> list[Command]:
    """Play ringback to A instead of the early media of a target that refused or redirected."""
    if not call.is_early_heard:
        return []
    call.is_early_heard = False
    return [PlayTo(Side.A, Play.RINGBACK)]


def _refused_after_notice(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Refused)
    again = _next_target(call, event.status)
    if again is not None:
        return [*_ring_again(call), *again]
    call.state, call.end, call.cause = CallState.CLEARING, refusal_reason(event.status), event.status
    return [PlayTo(Side.A, Play.FAILED)]


def _refused_first(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Refused)
    return _next_target(call, event.status) or _finish(call, refusal_reason(event.status), RefuseA(event.status))


def _tone_ended(call: CallProgress, _event: Event) -> list[Command]:
    return _finish(call, call.end, HangUp(call.alone, _because(call.cause)))


def _pass_rang(_call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Rang)
    return [Ring(early=event.has_media)]


def _pass_answered(call: CallProgress, _event: Event) -> list[Command]:
    call.state, call.was_joined = CallState.THROUGH_JOINED, True
    return [AnswerA()]


def _transfer_began(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, TransferBegan)
    call.state, call.transferor = CallState.TRANSFERRING, event.side
    return []


def _transfer_target_answered(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, TransferTargetAnswered)
    side = _end_transfer(call)
    replace = Replace(side, event.after)
    if not call.is_nominated:
        return [replace]
    call.keys = event.officer
    if event.after is not After.ANNOUNCE:
        return [StopPlaying(), replace, Join()]
    return [StopPlaying(), replace, *_announce_again(call)]


def _transfer_target_refused(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, TransferTargetRefused)
    was_left = call.state is CallState.LEFT_ALONE
    stays = _end_transfer(call).other
    if not was_left:
        return []  # the sides are still joined
    reason = refusal_reason(event.status)
    if not call.is_nominated:
        return _finish(call, reason, HangUp(stays, _because(event.status)))
    call.state, call.end, call.alone, call.cause = CallState.CLEARING, reason, stays, event.status
    return [PlayTo(stays, Play.FAILED)]


def _because(status: int) -> str:
    """Return the Reason for a party who cannot get the final status of an attempt as such (RFC 3326 section 2)."""
    return f"SIP;cause={status}"


def _end_transfer(call: CallProgress) -> Side:
    """Go back to the joined state, and return the side of the transferor."""
    side, call.transferor = call.transferor, None
    assert side is not None
    call.state = CallState.JOINED if call.is_nominated else CallState.THROUGH_JOINED
    return side


def _left_transferring(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Left)
    if event.side is not call.transferor:
        return _finish(call, _leaving(call, event), DropTransferTarget(), HangUp(event.side.other))
    call.state = CallState.LEFT_ALONE
    return [PlayTo(event.side.other, Play.RINGBACK)] if call.is_nominated else []


def _left_alone(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Left)
    if event.side is call.transferor:
        return []  # they have left already
    return _finish(call, _leaving(call, event), DropTransferTarget())


def _finish(call: CallProgress, end: str, *commands: Command) -> list[Command]:
    call.state, call.end = CallState.ENDED, end
    return [*commands, Finish(end)]


def _left(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Left)
    return _finish(call, _leaving(call, event), HangUp(event.side.other))


def _leaving(call: CallProgress, event: Left) -> str:
    party = "caller" if event.side is call.outside else "officer"
    if event.is_lost and call.state not in _UNANSWERED:
        call.was_cut_off = True
        return f"{party}_unreachable"
    if call.state in (CallState.JOINED, CallState.THROUGH_JOINED, CallState.TRANSFERRING, CallState.LEFT_ALONE):
        return f"{party}_hung_up"
    if call.state is CallState.CLEARING:
        return call.end
    during = {
        CallState.NOTICE: "during_notice",
        CallState.NOTICE_HELD: "during_notice",
        CallState.SECOND: "during_second_message",
        CallState.SECOND_HELD: "during_second_message",
    }.get(call.state, "while_ringing")
    return f"{party}_gave_up_{during}"


_UNANSWERED = (CallState.OFFERED, CallState.RINGING_FIRST, CallState.THROUGH_RINGING, CallState.CLEARING)
"""States in which a lost leg is a caller who gave up: A is not answered yet, or the call has failed already."""


def _stopped(call: CallProgress, event: Event) -> list[Command]:
    assert isinstance(event, Stopped)
    a_is_open = call.state in (CallState.OFFERED, CallState.RINGING_FIRST, CallState.THROUGH_RINGING)
    first: Command = RefuseA(503) if a_is_open else HangUp(Side.A)
    target = [DropTransferTarget()] if call.transferor is not None else []
    return _finish(call, event.reason, *target, first, HangUp(Side.B))


_CALLING = (CallState.TRANSFERRING, CallState.LEFT_ALONE)
_LIVE = tuple(state for state in CallState if state is not CallState.ENDED)

TABLE: dict[tuple[CallState, type[Event]], Transition] = {
    (CallState.OFFERED, Begin): _begin,
    (CallState.NOTICE, NoticeEnded): _notice_ended,
    (CallState.NOTICE, SecondWanted): _remember_second,
    (CallState.SECOND, SecondEnded): _second_ended,
    (CallState.RINGING, Rang): _rang_after_notice,
    (CallState.RINGING, SecondWanted): _second_while_ringing,
    (CallState.RINGING, SecondEnded): _second_ended_ringing,
    (CallState.RINGING, Answered): _answered_after_notice,
    (CallState.RINGING, Refused): _refused_after_notice,
    (CallState.RINGING, Redirected): _redirected_after_notice,
    (CallState.RINGING_FIRST, Rang): _rang_first,
    (CallState.RINGING_FIRST, Answered): _answered_first,
    (CallState.RINGING_FIRST, Refused): _refused_first,
    (CallState.NOTICE_HELD, NoticeEnded): _held_notice_ended,
    (CallState.NOTICE_HELD, SecondWanted): _remember_second,
    (CallState.SECOND_HELD, SecondEnded): _held_second_ended,
    (CallState.CLEARING, ToneEnded): _tone_ended,
    (CallState.THROUGH_RINGING, Rang): _pass_rang,
    (CallState.THROUGH_RINGING, Answered): _pass_answered,
    (CallState.THROUGH_RINGING, Refused): _refused_first,
    **{(state, Left): _left for state in _LIVE},
    (CallState.JOINED, TransferBegan): _transfer_began,
    (CallState.THROUGH_JOINED, TransferBegan): _transfer_began,
    **{(state, TransferTargetAnswered): _transfer_target_answered for state in _CALLING},
    **{(state, TransferTargetRefused): _transfer_target_refused for state in _CALLING},
    (CallState.TRANSFERRING, Left): _left_transferring,
    (CallState.LEFT_ALONE, Left): _left_alone,
    **{(state, Stopped): _stopped for state in _LIVE},
}
"""The transition for each state and event."""

IGNORED: frozenset[tuple[CallState, type[Event]]] = frozenset(
    # A stopped prompt reports its end after the state has changed. A key may be pressed at any time.
    {(state, event) for state in CallState for event in (NoticeEnded, SecondWanted, SecondEnded, ToneEnded)}
    # Responses of B may cross a request to B, and come late.
    | {(state, event) for state in CallState for event in (Rang, Answered, Refused, Redirected)}
    # There is no transfer before the sides are joined, and one at a time. Events of a released target come late.
    | {
        (state, event)
        for state in CallState
        for event in (TransferBegan, TransferTargetAnswered, TransferTargetRefused)
    }
    # A call begins once.
    | {(state, Begin) for state in CallState if state is not CallState.OFFERED}
    # A call that has ended ignores every event.
    | {(CallState.ENDED, event) for event in EVENTS}
) - frozenset(TABLE)
"""Pairs of state and event without effect."""


def handle(call: CallProgress, event: Event) -> list[Command]:
    """Apply an event to a call; return the commands to carry out, in order.

    Raises:
        UndecidedError: The table has no row for this state and event; the call is unchanged.
    """
    transition = TABLE.get((call.state, type(event)))
    if transition is not None:
        return transition(call, event)
    if (call.state, type(event)) in IGNORED:
        return []
    raise UndecidedError(f"no rule for {type(event).__name__} in state {call.state.name}")
