"""What the parts of a leg have in common: each knows its leg, and does not keep it."""

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sip.dialog import Leg


class Part:
    """A part of a leg.

    The leg owns its parts; a reference back would make a ring of them all, which only a look of Python's collector
    could free, and all of the daemon waits for that. So the reference back is a weak one. The endpoint keeps a leg for
    a while after its end (`sip.b2bua.LINGER_S`), and each request of ours that is on its way keeps it too: nothing
    comes to a part without one.
    """

    def __init__(self, leg: "Leg") -> None:
        self._leg: Leg = weakref.proxy(leg)
