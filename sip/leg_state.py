"""The state table of a leg. Pure."""

import enum


class LegState(enum.Enum):
    """State of a leg."""

    OFFERED = "offered"
    CONFIRMING = "confirming"  # our 200 was sent, its ACK has not come
    LEAVING = "leaving"  # as CONFIRMING, and a BYE follows the ACK
    DIALLING = "dialling"
    RINGING = "ringing"
    CANCELLING = "cancelling"  # we cancelled, the INVITE has no final response yet
    CONNECTED = "connected"
    ENDED = "ended"


class Move(enum.Enum):
    """Event of the state table."""

    ANSWER = "answer"
    REFUSE = "refuse"
    ACKED = "acked"
    UNACKED = "unacked"
    PEER_CANCEL = "peer_cancel"
    PEER_BYE = "peer_bye"
    HANG_UP = "hang_up"
    PROGRESS = "progress"
    SUCCESS = "success"
    FAILURE = "failure"
    LOST = "lost"


TRANSITIONS: dict[tuple[LegState, Move], LegState] = {
    (LegState.OFFERED, Move.ANSWER): LegState.CONFIRMING,
    (LegState.OFFERED, Move.REFUSE): LegState.ENDED,
    (LegState.OFFERED, Move.PEER_CANCEL): LegState.ENDED,
    (LegState.OFFERED, Move.PEER_BYE): LegState.ENDED,
    (LegState.OFFERED, Move.HANG_UP): LegState.ENDED,
    (LegState.CONFIRMING, Move.ACKED): LegState.CONNECTED,
    (LegState.CONFIRMING, Move.UNACKED): LegState.ENDED,
    (LegState.CONFIRMING, Move.PEER_BYE): LegState.ENDED,
    (LegState.CONFIRMING, Move.HANG_UP): LegState.LEAVING,
    (LegState.CONFIRMING, Move.LOST): LegState.ENDED,
    (LegState.LEAVING, Move.ACKED): LegState.ENDED,
    (LegState.LEAVING, Move.UNACKED): LegState.ENDED,
    (LegState.LEAVING, Move.PEER_BYE): LegState.ENDED,
    (LegState.DIALLING, Move.PROGRESS): LegState.RINGING,
    (LegState.DIALLING, Move.SUCCESS): LegState.CONNECTED,
    (LegState.DIALLING, Move.FAILURE): LegState.ENDED,
    (LegState.DIALLING, Move.HANG_UP): LegState.CANCELLING,
    (LegState.RINGING, Move.PROGRESS): LegState.RINGING,
    (LegState.RINGING, Move.SUCCESS): LegState.CONNECTED,
    (LegState.RINGING, Move.FAILURE): LegState.ENDED,
    (LegState.RINGING, Move.HANG_UP): LegState.CANCELLING,
    (LegState.CANCELLING, Move.PROGRESS): LegState.CANCELLING,
    (LegState.CANCELLING, Move.SUCCESS): LegState.ENDED,
    (LegState.CANCELLING, Move.FAILURE): LegState.ENDED,
    (LegState.CONNECTED, Move.PEER_BYE): LegState.ENDED,
    (LegState.CONNECTED, Move.HANG_UP): LegState.ENDED,
    (LegState.CONNECTED, Move.LOST): LegState.ENDED,
}
"""A pair that is not in the table is ignored: the leg has ended or is about to."""
