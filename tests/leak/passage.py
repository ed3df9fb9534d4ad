"""A call of the leak suite that passes the recorder twice: two recordings of one talk.

The PBX hands the call to a nominated colleague by a call of its own through the recorder, and says so on the leg that
it has already. It sends voices on between the two calls, and keeps keys to itself: the caller's digits reach the first
recording alone, the colleague's keys the second alone.
"""

import time
from collections.abc import Callable
from typing import Any

from tests.helpers.sip_peer import Call, State
from tests.leak.plan import CARDS, KEYS
from tests.leak.ring import Ring, has_ended, listens


class TwiceRing(Ring):
    """A call with an outer recording (caller and PBX) and an inner one (PBX and colleague)."""

    passages = 2
    _placed: Call | None = None

    def _begin(self) -> None:
        super()._begin()
        plan, outer, pbx = self.plan, self.id, self.second
        self.extension = self._deputy
        placed = self._placed = self.lines.caller.invite(
            self.site.entrance, self.extension, from_number=plan.caller, media=self.left.media()
        )
        self.wait_confirmed(placed)
        self.left.relayed_to = placed.remote_media
        second = self._rung(other_than=pbx)
        self.wait_confirmed(second)
        inner = self._live(lambda call: call["id"] != outer and call["phase"] == "joined", "the second call is joined")
        pbx.request("UPDATE", headers=(("P-Asserted-Identity", f"<sip:{self.extension}@pbx.invalid>"),))
        self._live(
            lambda call: call["id"] == outer and call["extensions_now"] == [self.extension],
            "the call is the colleague's",
        )
        self.right.relayed_to = pbx.remote_media
        self.right.is_heard = lambda: listens(second)
        self.right.talk(second.remote_media)
        self.second = second
        self.id = inner if plan.trigger in KEYS else outer if plan.trigger in CARDS else self.rng.choice((outer, inner))
        self.joined_s = time.monotonic()

    def _live(self, fits: Callable[[dict[str, Any]], bool], what: str) -> str:
        return str(self.site.wait_live(self.plan.caller, fits, what)["id"])

    def _hang_up(self) -> None:
        super()._hang_up()
        other = self.first if self.plan.hangs_up == 1 else self._placed
        if other is not None and other.state is State.CONFIRMED:
            other.hang_up()
            self.wait(other, has_ended)
