"""The table of a call: every pair decided, whole calls as scripts, and what must hold in any order of events."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from docs.make_state_diagram import DESIGN, PROBES, beginnings, reachable, updated
from recorder.calls.rules.call_events import (
    EVENTS,
    After,
    AnswerA,
    Answered,
    Begin,
    CallState,
    Command,
    Dial,
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
)
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.call_table import IGNORED, TABLE, UndecidedError, handle
from recorder.rules.policy import Direction, NoticeWhen
from tests.helpers.call_scripts import make, play

A, B = Side.A, Side.B
HEARD, CUT = NoticeEnded(complete=True), NoticeEnded(complete=False)
NOTICE, SECOND, RINGBACK, HOLD, FAILED = Play.NOTICE, Play.SECOND, Play.RINGBACK, Play.HOLD, Play.FAILED
PAIRS = [(state, event) for state in CallState for event in EVENTS]


def after_answer(**changes: Any) -> CallProgress:
    return make(notice_when=NoticeWhen.AFTER_ANSWER, **changes)


def to(state: CallState) -> CallProgress:
    """Return some call that has really come to a state."""
    return copy.copy(reachable().first[state])


# --- every pair


@pytest.mark.parametrize(("state", "event"), PAIRS, ids=lambda value: getattr(value, "name", None) or value.__name__)
def test_every_pair_is_decided_once(state: CallState, event: type[Event]) -> None:
    assert ((state, event) in TABLE) != ((state, event) in IGNORED)


def test_the_tables_hold_nothing_else() -> None:
    assert set(TABLE) | IGNORED == set(PAIRS)


@pytest.mark.parametrize(
    ("state", "probe"), [(state, probe) for state in CallState for probe in PROBES if (state, type(probe)) in IGNORED]
)
def test_what_is_ignored_changes_nothing(state: CallState, probe: Event) -> None:
    call = to(state)
    before = copy.copy(call)
    assert handle(call, probe) == []
    assert call == before


def test_every_event_is_probed() -> None:
    assert {type(probe) for probe in PROBES} == set(EVENTS)


def test_every_state_can_be_reached() -> None:
    assert set(reachable().first) == set(CallState)


def test_a_pair_that_nobody_decided_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TABLE, (CallState.OFFERED, Begin))
    call = make()
    with pytest.raises(UndecidedError, match="no rule for Begin in state OFFERED"):
        handle(call, Begin())
    assert call == make()


# --- whole calls: notice first


def test_before_ring_from_the_offer_to_the_hang_up() -> None:
    call = make()
    play(
        call,
        [
            (Begin(), [AnswerA(), PlayTo(A, NOTICE)]),
            (HEARD, [PlayTo(A, RINGBACK), Dial(0)]),
            (Rang(), []),
            (Answered(), [StopPlaying(), Join()]),
            (Left(A), [HangUp(B), Finish("caller_hung_up")]),
        ],
    )
    assert call.was_joined
    assert call.notice_complete is True


def test_the_officer_hangs_up() -> None:
    call = make(state=CallState.JOINED)
    play(call, [(Left(B), [HangUp(A), Finish("officer_hung_up")])])


@pytest.mark.parametrize("state", CallState)
@pytest.mark.parametrize("side", Side)
def test_nobody_hangs_up_who_does_not_answer_any_more(state: CallState, side: Side) -> None:
    """But an INVITE that expires before it is answered is given up."""
    call = to(state)
    call.end, transferor = "busy", call.transferor
    handle(call, Left(side, is_lost=True))
    if state in (
        CallState.OFFERED,
        CallState.RINGING_FIRST,
        CallState.THROUGH_RINGING,
        CallState.CLEARING,
        CallState.ENDED,
    ):
        assert not call.was_cut_off
    elif call.state is CallState.ENDED:
        assert call.was_cut_off
        assert call.end == ("caller_unreachable" if side is call.outside else "officer_unreachable")
    else:
        assert side is transferor, "the other one is called already"


def test_a_notice_that_was_cut_short_is_remembered() -> None:
    call = make(state=CallState.NOTICE)
    play(call, [(CUT, [PlayTo(A, RINGBACK), Dial(0)]), (Answered(), [StopPlaying(), Join()])])
    assert call.notice_complete is False


def test_somebody_else_answers_who_hears_the_notice_first() -> None:
    call = make(state=CallState.RINGING, direction=Direction.INTERNAL, notice_complete=True)
    play(
        call,
        [
            (Answered(After.ANNOUNCE, A), [StopPlaying(), PlayTo(B, NOTICE), PlayTo(A, HOLD)]),
            (HEARD, [StopPlaying(), Join()]),
        ],
    )
    assert (call.officer, call.state, call.notice_complete) == (A, CallState.JOINED, True)


def test_second_message_asked_for_during_the_notice() -> None:
    call = make(state=CallState.NOTICE)
    play(
        call,
        [
            (SecondWanted(), []),
            (SecondWanted(), []),
            (HEARD, [PlayTo(A, SECOND)]),
            (SecondWanted(), []),
            (SecondEnded(), [PlayTo(A, RINGBACK), Dial(0)]),
            (SecondWanted(), []),
        ],
    )
    assert call.second_played


def test_second_message_asked_for_while_it_rings() -> None:
    call = make(state=CallState.RINGING)
    play(
        call,
        [
            (SecondWanted(), [PlayTo(A, SECOND)]),
            (Rang(has_media=True), []),  # its end matters more than early media
            (SecondEnded(), [PlayTo(A, RINGBACK)]),
            (SecondWanted(), []),  # once
            (Answered(), [StopPlaying(), Join()]),
        ],
    )


def test_the_officer_answers_during_the_second_message_and_is_held() -> None:
    call = make(state=CallState.RINGING)
    play(
        call,
        [
            (SecondWanted(), [PlayTo(A, SECOND)]),
            (Answered(), [PlayTo(B, HOLD)]),
            (SecondEnded(), [StopPlaying(), Join()]),
        ],
    )


def test_without_a_second_message_its_key_does_nothing() -> None:
    call = make(has_second=False, state=CallState.NOTICE)
    play(call, [(SecondWanted(), []), (HEARD, [PlayTo(A, RINGBACK), Dial(0)]), (SecondWanted(), [])])
    assert not call.second_played


def test_early_media_after_the_notice_is_heard() -> None:
    play(make(state=CallState.RINGING), [(Rang(has_media=True), [JoinEarly()]), (Answered(), [StopPlaying(), Join()])])


@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504])
def test_the_next_target_is_tried_when_one_fails(status: int) -> None:
    call = make(state=CallState.RINGING, targets=3)
    play(
        call,
        [
            (Refused(status), [Dial(1)]),
            (Refused(status), [Dial(2)]),
            (Refused(status), [PlayTo(A, FAILED)]),
        ],
    )


def test_after_early_media_of_a_target_that_redirects_the_caller_hears_ringing_again() -> None:
    call = make(state=CallState.RINGING)
    ringback = PlayTo(A, RINGBACK)
    play(call, [(Rang(has_media=True), [JoinEarly()]), (Redirected(), [ringback]), (Redirected(), [])])


def test_after_early_media_of_a_failed_target_the_caller_hears_ringing_again() -> None:
    call = make(state=CallState.RINGING, targets=2)
    play(
        call,
        [
            (Rang(has_media=True), [JoinEarly()]),
            (Refused(503), [PlayTo(A, RINGBACK), Dial(1)]),
            (Refused(486), [PlayTo(A, FAILED)]),
        ],
    )


def test_busy_is_not_tried_elsewhere_and_the_caller_hears_so() -> None:
    call = make(state=CallState.RINGING, targets=2)
    play(
        call,
        [
            (Refused(486), [PlayTo(A, FAILED)]),
            (ToneEnded(), [HangUp(A, "SIP;cause=486"), Finish("busy")]),
        ],
    )


def test_a_caller_who_hangs_up_during_the_tone_leaves_the_reason() -> None:
    call = make(state=CallState.RINGING)
    play(call, [(Refused(480), [PlayTo(A, FAILED)]), (Left(A), [HangUp(B), Finish("no_answer")])])


# --- whole calls: answered first


def test_after_answer_from_the_offer_to_the_hang_up() -> None:
    play(
        after_answer(),
        [
            (Begin(), [Dial(0)]),
            (Rang(), [Ring(early=False)]),
            (Rang(has_media=True), [Ring(early=True)]),
            (Answered(), [AnswerA(), PlayTo(A, NOTICE), PlayTo(B, HOLD)]),
            (SecondWanted(), []),
            (HEARD, [PlayTo(A, SECOND)]),
            (SecondEnded(), [StopPlaying(), Join()]),
            (Left(B), [HangUp(A), Finish("officer_hung_up")]),
        ],
    )


def test_after_answer_without_the_second_message() -> None:
    call = after_answer(state=CallState.NOTICE_HELD)
    play(call, [(CUT, [StopPlaying(), Join()])])
    assert call.notice_complete is False


def test_after_answer_busy_goes_back_as_it_came() -> None:
    play(after_answer(), [(Begin(), [Dial(0)]), (Refused(486), [RefuseA(486), Finish("busy")])])


def test_after_answer_fails_over() -> None:
    play(
        after_answer(targets=2),
        [
            (Begin(), [Dial(0)]),
            (Refused(503), [Dial(1)]),
            (Answered(), [AnswerA(), PlayTo(A, NOTICE), PlayTo(B, HOLD)]),
        ],
    )


@pytest.mark.parametrize("notice_when", NoticeWhen)
def test_outbound_the_called_party_hears_the_notice(notice_when: NoticeWhen) -> None:
    call = make(direction=Direction.OUTBOUND, notice_when=notice_when)
    play(
        call,
        [
            (Begin(), [Dial(0)]),
            (Rang(), [Ring(early=False)]),
            (Answered(), [AnswerA(), PlayTo(B, NOTICE), PlayTo(A, HOLD)]),
            (SecondWanted(), []),
            (HEARD, [PlayTo(B, SECOND)]),
            (SecondEnded(), [StopPlaying(), Join()]),
            (Left(A), [HangUp(B), Finish("officer_hung_up")]),
        ],
    )


def test_internal_the_calling_side_hears_the_notice() -> None:
    play(make(direction=Direction.INTERNAL), [(Begin(), [AnswerA(), PlayTo(A, NOTICE)])])


# --- whole calls: passed on


def test_a_call_of_nobody_nominated_is_passed_on() -> None:
    play(
        make(is_nominated=False),
        [
            (Begin(), [Dial(0)]),
            (Rang(has_media=True), [Ring(early=True)]),
            (Answered(), [AnswerA()]),
            (SecondWanted(), []),
            (Left(B), [HangUp(A), Finish("officer_hung_up")]),
        ],
    )


def test_a_passed_call_fails_over_and_is_refused_in_the_last_targets_words() -> None:
    play(
        make(is_nominated=False, targets=2),
        [(Begin(), [Dial(0)]), (Refused(503), [Dial(1)]), (Refused(404), [RefuseA(404), Finish("unknown_number")])],
    )


# --- hang-ups and stops in every state

ENDS: dict[CallState, tuple[str, Command]] = {
    CallState.OFFERED: ("while_ringing", RefuseA(503)),
    CallState.NOTICE: ("during_notice", HangUp(A)),
    CallState.SECOND: ("during_second_message", HangUp(A)),
    CallState.RINGING: ("while_ringing", HangUp(A)),
    CallState.RINGING_FIRST: ("while_ringing", RefuseA(503)),
    CallState.NOTICE_HELD: ("during_notice", HangUp(A)),
    CallState.SECOND_HELD: ("during_second_message", HangUp(A)),
    CallState.THROUGH_RINGING: ("while_ringing", RefuseA(503)),
}


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("state", ENDS)
def test_giving_up_before_the_joining(state: CallState, side: Side) -> None:
    party = "caller" if side is A else "officer"
    play(make(state=state), [(Left(side), [HangUp(side.other), Finish(f"{party}_gave_up_{ENDS[state][0]}")])])


def test_giving_up_of_an_outbound_call_names_the_parties_the_other_way_round() -> None:
    call = make(direction=Direction.OUTBOUND, state=CallState.NOTICE_HELD)
    play(call, [(Left(B), [HangUp(A), Finish("caller_gave_up_during_notice")])])


@pytest.mark.parametrize("state", [state for state in CallState if state is not CallState.ENDED])
def test_a_stop_ends_both_sides(state: CallState) -> None:
    first = ENDS[state][1] if state in ENDS else HangUp(A)
    commands: list[Command] = [first, HangUp(B), Finish("daemon_stopped")]
    play(make(state=state), [(Stopped("daemon_stopped"), commands)])


# --- what holds whatever happens

ANY_CALL = st.sampled_from(list(beginnings()))
ANY_EVENTS = st.lists(st.sampled_from(PROBES), max_size=25)


@given(ANY_CALL, ANY_EVENTS)
def test_in_any_order_of_events(call: CallProgress, events: list[Event]) -> None:
    call = copy.copy(call)
    done: list[Command] = []
    untold = False  # somebody answered who has to hear the notice, which the caller has heard
    for event in [Begin(), *events, Stopped("test")]:
        untold |= call.state is CallState.RINGING and isinstance(event, Answered) and event.after is After.ANNOUNCE
        commands = handle(call, event)
        done += commands
        if Join() in commands:
            assert call.is_nominated
            assert call.notice_complete is not None, "joined before the notice had ended"
    kinds = [type(command) for command in done]
    assert kinds.count(Finish) == 1
    assert kinds[-1] is Finish
    assert kinds.count(AnswerA) + kinds.count(RefuseA) <= 1, "A is answered or refused, once"
    replaced = [command for command in done if isinstance(command, Replace)]
    announced = sum(command.after is After.ANNOUNCE for command in replaced) + untold
    assert kinds.count(Join) <= 1 + len(replaced), "joined once, and once more with each newcomer"
    assert [c.index for c in done if isinstance(c, Dial)] == list(range(kinds.count(Dial))), "targets in order, once"
    notices = sum(command in (PlayTo(A, NOTICE), PlayTo(B, NOTICE)) for command in done)
    assert notices <= 1 + announced, "the notice is played once a call, and once to each newcomer who has to hear it"
    if not replaced and not untold:
        assert done.count(PlayTo(call.outside, SECOND)) <= 1
        assert PlayTo(call.officer, NOTICE) not in done
    if not call.is_nominated:
        assert not {PlayTo, StopPlaying, Join, JoinEarly} & set(kinds), "a passed call is not touched"


# --- the picture of it


def test_the_diagram_in_design_md_is_as_the_table_is() -> None:
    text = DESIGN.read_text()
    assert updated(text) == text, "run python -m docs.make_state_diagram"


def test_a_design_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the lines"):
        updated("nothing here")
