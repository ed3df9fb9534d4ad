"""What a leg may do: one table. Pure."""

import enum


class State(enum.Enum):
    """Where a leg stands."""

    OFFERED = "offered"
    CONFIRMING = "confirming"  # our 200 is out, its ACK is not in
    LEAVING = "leaving"  # as CONFIRMING, and a BYE is due as soon as the ACK is in
    DIALLING = "dialling"
    RINGING = "ringing"
    CANCELLING = "cancelling"  # given up by us, the INVITE is not finished
    CONNECTED = "connected"
    ENDED = "ended"


class Move(enum.Enum):
    """What can happen to a leg as a whole."""

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


TRANSITIONS: dict[tuple[State, Move], State] = {
    (State.OFFERED, Move.ANSWER): State.CONFIRMING,
    (State.OFFERED, Move.REFUSE): State.ENDED,
    (State.OFFERED, Move.PEER_CANCEL): State.ENDED,
    (State.OFFERED, Move.PEER_BYE): State.ENDED,
    (State.OFFERED, Move.HANG_UP): State.ENDED,
    (State.CONFIRMING, Move.ACKED): State.CONNECTED,
    (State.CONFIRMING, Move.UNACKED): State.ENDED,
    (State.CONFIRMING, Move.PEER_BYE): State.ENDED,
    (State.CONFIRMING, Move.HANG_UP): State.LEAVING,
    (State.CONFIRMING, Move.LOST): State.ENDED,
    (State.LEAVING, Move.ACKED): State.ENDED,
    (State.LEAVING, Move.UNACKED): State.ENDED,
    (State.LEAVING, Move.PEER_BYE): State.ENDED,
    (State.DIALLING, Move.PROGRESS): State.RINGING,
    (State.DIALLING, Move.SUCCESS): State.CONNECTED,
    (State.DIALLING, Move.FAILURE): State.ENDED,
    (State.DIALLING, Move.HANG_UP): State.CANCELLING,
    (State.RINGING, Move.PROGRESS): State.RINGING,
    (State.RINGING, Move.SUCCESS): State.CONNECTED,
    (State.RINGING, Move.FAILURE): State.ENDED,
    (State.RINGING, Move.HANG_UP): State.CANCELLING,
    (State.CANCELLING, Move.PROGRESS): State.CANCELLING,
    (State.CANCELLING, Move.SUCCESS): State.ENDED,
    (State.CANCELLING, Move.FAILURE): State.ENDED,
    (State.CONNECTED, Move.PEER_BYE): State.ENDED,
    (State.CONNECTED, Move.HANG_UP): State.ENDED,
    (State.CONNECTED, Move.LOST): State.ENDED,
}
"""Every pair that is not here is ignored: the leg's end is on its way or has been reported."""
