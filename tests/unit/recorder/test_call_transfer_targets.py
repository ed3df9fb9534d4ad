"""The table of a call when somebody takes the place of a side: transfers, as scripts."""

import copy

from recorder.calls.rules.call_events import (
    After,
    CallState,
    DropTransferTarget,
    Finish,
    HangUp,
    Join,
    Left,
    NoticeEnded,
    Play,
    PlayTo,
    Replace,
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
from recorder.rules.policy import Direction
from tests.helpers.call_scripts import make, play

A, B = Side.A, Side.B
HEARD = NoticeEnded(complete=True)
NOTICE, SECOND, RINGBACK, HOLD, FAILED = Play.NOTICE, Play.SECOND, Play.RINGBACK, Play.HOLD, Play.FAILED


def test_a_newcomer_takes_the_officers_place() -> None:
    call = make(state=CallState.JOINED, notice_complete=True)
    play(
        call,
        [
            (TransferBegan(B), []),
            (TransferBegan(A), []),  # one at a time
            (TransferTargetAnswered(After.RECORD, B), [StopPlaying(), Replace(B, After.RECORD), Join()]),
            (TransferBegan(B), []),
            (TransferTargetAnswered(After.OUT_OF_SCOPE, B), [StopPlaying(), Replace(B, After.OUT_OF_SCOPE), Join()]),
            (Left(A), [HangUp(B), Finish("caller_hung_up")]),
        ],
    )


def test_a_newcomer_who_was_not_told_hears_the_notice_and_the_keys_go_to_the_other_side() -> None:
    call = make(state=CallState.JOINED, direction=Direction.INTERNAL, notice_complete=True, second_played=True)
    play(
        call,
        [
            (TransferBegan(B), []),
            (
                TransferTargetAnswered(After.ANNOUNCE, A),
                [StopPlaying(), Replace(B, After.ANNOUNCE), PlayTo(B, NOTICE), PlayTo(A, HOLD)],
            ),
            (TransferBegan(A), []),  # not during a notice
            (SecondWanted(), []),
            (HEARD, [PlayTo(B, SECOND)]),
            (SecondEnded(), [StopPlaying(), Join()]),
        ],
    )
    assert (call.outside, call.officer, call.notice_complete) == (B, A, True)


def test_a_transfer_that_fails_changes_nothing() -> None:
    call = make(state=CallState.JOINED, notice_complete=True)
    before = copy.copy(call)
    play(call, [(TransferBegan(B), []), (TransferTargetRefused(486), [])])
    assert call == before


def test_a_transferor_who_leaves_first_leaves_ringing_behind() -> None:
    call = make(state=CallState.JOINED, notice_complete=True)
    play(
        call,
        [
            (TransferBegan(B), []),
            (Left(B), [PlayTo(A, RINGBACK)]),
            (Left(B), []),
            (TransferTargetRefused(486), [PlayTo(A, FAILED)]),
            (ToneEnded(), [HangUp(A, "SIP;cause=486"), Finish("busy")]),
        ],
    )


def test_the_one_who_stays_may_leave_while_a_newcomer_is_called() -> None:
    play(
        make(state=CallState.JOINED),
        [(TransferBegan(B), []), (Left(A), [DropTransferTarget(), HangUp(B), Finish("caller_hung_up")])],
    )
    play(
        make(state=CallState.JOINED),
        [
            (TransferBegan(A), []),
            (Left(A), [PlayTo(B, RINGBACK)]),
            (Left(B), [DropTransferTarget(), Finish("officer_hung_up")]),
        ],
    )


def test_a_failed_tone_goes_to_whoever_is_left() -> None:
    call = make(state=CallState.JOINED)
    play(
        call,
        [
            (TransferBegan(A), []),
            (Left(A), [PlayTo(B, RINGBACK)]),
            (TransferTargetRefused(480), [PlayTo(B, FAILED)]),
            (ToneEnded(), [HangUp(B, "SIP;cause=480"), Finish("no_answer")]),
        ],
    )


def test_a_transfer_of_a_passed_call_touches_no_media() -> None:
    call = make(is_nominated=False, state=CallState.THROUGH_JOINED)
    play(
        call,
        [
            (TransferBegan(B), []),
            (Left(B), []),
            (TransferTargetAnswered(After.OUT_OF_SCOPE, B), [Replace(B, After.OUT_OF_SCOPE)]),
            (TransferBegan(B), []),
            (Left(B), []),
            (TransferTargetRefused(486), [HangUp(A, "SIP;cause=486"), Finish("busy")]),
        ],
    )


def test_a_stop_gives_the_newcomer_up() -> None:
    play(
        make(state=CallState.JOINED),
        [(TransferBegan(B), []), (Stopped("x"), [DropTransferTarget(), HangUp(A), HangUp(B), Finish("x")])],
    )
