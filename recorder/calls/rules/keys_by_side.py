"""On which sides of a call keys act: an internal call has an officer on both. Pure."""

from recorder.calls.rules.call_events import Side
from recorder.rules.policy import Extension


def keys_act(side: Side, *, officer: Side, there: Extension | None) -> bool:
    """Tell whether keys pressed on a side act on the recording.

    Args:
        side: The side.
        officer: The side with the keys, by the direction of the call or its last transfer.
        there: The nominated extension on the side, or None.
    """
    return side is officer or there is not None
