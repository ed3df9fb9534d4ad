import itertools

from sip.leg_state import TRANSITIONS, Move, State

LIVE_UAS = {State.OFFERED, State.CONFIRMING, State.LEAVING}
LIVE_UAC = {State.DIALLING, State.RINGING, State.CANCELLING}

IGNORED = {
    *itertools.product([State.ENDED], Move),
    *itertools.product(LIVE_UAS, [Move.PROGRESS, Move.SUCCESS, Move.FAILURE]),
    *itertools.product(LIVE_UAC, [Move.ANSWER, Move.REFUSE, Move.ACKED, Move.UNACKED, Move.PEER_CANCEL]),
    *itertools.product(LIVE_UAC, [Move.PEER_BYE, Move.LOST]),
    *itertools.product([State.CONNECTED], set(Move) - {Move.PEER_BYE, Move.HANG_UP, Move.LOST}),
    *itertools.product([State.OFFERED], [Move.ACKED, Move.UNACKED, Move.LOST]),
    *itertools.product([State.CONFIRMING, State.LEAVING], [Move.ANSWER, Move.REFUSE, Move.PEER_CANCEL]),
    (State.LEAVING, Move.HANG_UP),
    (State.LEAVING, Move.LOST),
    (State.CANCELLING, Move.HANG_UP),
}


def test_every_pair_is_decided() -> None:
    pairs = set(itertools.product(State, Move))
    assert pairs - set(TRANSITIONS) == IGNORED


def test_every_state_leads_to_the_end() -> None:
    reached = {State.ENDED}
    for _ in State:
        reached |= {state for (state, _), after in TRANSITIONS.items() if after in reached}
    assert reached == set(State)
