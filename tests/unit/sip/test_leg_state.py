import itertools

from sip.leg_state import TRANSITIONS, LegState, Move

LIVE_UAS = {LegState.OFFERED, LegState.CONFIRMING, LegState.LEAVING}
LIVE_UAC = {LegState.DIALLING, LegState.RINGING, LegState.CANCELLING}

IGNORED = {
    *itertools.product([LegState.ENDED], Move),
    *itertools.product(LIVE_UAS, [Move.PROGRESS, Move.SUCCESS, Move.FAILURE]),
    *itertools.product(LIVE_UAC, [Move.ANSWER, Move.REFUSE, Move.ACKED, Move.UNACKED, Move.PEER_CANCEL]),
    *itertools.product(LIVE_UAC, [Move.PEER_BYE, Move.LOST]),
    *itertools.product([LegState.CONNECTED], set(Move) - {Move.PEER_BYE, Move.HANG_UP, Move.LOST}),
    *itertools.product([LegState.OFFERED], [Move.ACKED, Move.UNACKED, Move.LOST]),
    *itertools.product([LegState.CONFIRMING, LegState.LEAVING], [Move.ANSWER, Move.REFUSE, Move.PEER_CANCEL]),
    (LegState.LEAVING, Move.HANG_UP),
    (LegState.LEAVING, Move.LOST),
    (LegState.CANCELLING, Move.HANG_UP),
}


def test_every_pair_is_decided() -> None:
    pairs = set(itertools.product(LegState, Move))
    assert pairs - set(TRANSITIONS) == IGNORED


def test_every_state_leads_to_the_end() -> None:
    reached = {LegState.ENDED}
    for _ in LegState:
        reached |= {state for (state, _), after in TRANSITIONS.items() if after in reached}
    assert reached == set(LegState)
