"""A call that is none of our business, and every emergency call: signalling only, bodies untouched (P1).

No media port, no notice, no gate, no limit. The two ends talk to one another; what they say never comes here.
"""

from typing import Any

from recorder.calls.live_call import LiveCall
from recorder.calls.rules import call as table
from recorder.calls.rules.call import Side
from recorder.calls.rules.call_words import After
from recorder.rules.policy import extension_of
from sip.events import (
    Body,
    CallOffered,
    Header,
    IdentityChanged,
    InfoReceived,
    LegAnswered,
    LegRang,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)
from sip.offer_answer import LocalStream
from sip.sdes import Srtp


class PassedCall(LiveCall):
    """Joins two legs by handing each one's bodies to the other."""

    _body: Body | None = None
    _early: Body | None = None
    _status: int = 180
    _headers: tuple[Header, ...] = ()
    _offering: Side | None = None
    _is_joining: bool = False
    """The side that stays was sent a newcomer's offer, and has not answered."""
    _invited: CallOffered | None = None
    """The INVITE of a newcomer that is not answered yet."""

    _nominated: frozenset[str] = frozenset()
    """Nominated extensions that were named, each alarmed once."""

    def rang(self, event: LegRang) -> None:
        """Pass the provisional response on, early media's SDP and all."""
        self._body, self._status, self._headers = event.body, event.status, event.headers
        self._early = event.body or self._early
        self.apply(table.Rang(has_media=event.body is not None))

    def answered(self, event: LegAnswered) -> None:
        """Pass the answer on."""
        self._look_at(event.asserted_user or "")
        self._headers = event.headers
        self._body = event.body or self._early  # a 200 without SDP stands by what its 183 said
        self.apply(table.Answered())

    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Pass an offer on; its answer comes back by `offer_answered`.

        Two offers that cross would wait for one another for ever: the second is refused, as RFC 3261 section 14.2
        has it where they meet on one leg.
        """
        own, other = self.legs.of(side), self.legs.of(side.other)
        if own is None or other is None:
            return
        if self._offering is side.other or self._is_joining:
            self.works.endpoint.refuse_offer(own, 491)
            return
        if self.call.state is not table.State.THROUGH_JOINED:
            # It cannot be asked of the other side yet (RFC 3311 section 5.2).
            self.works.endpoint.refuse_offer(own, 504)
            return
        self._offering = side
        self.works.endpoint.offer(other, event.body)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Pass an answer back."""
        if self._is_joining:
            self._joined(event.body)
            return
        self._offer_over(side)
        other = self.legs.of(side.other)
        if other is not None:
            self.works.endpoint.answer_offer(other, event.body)

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Pass a refusal back."""
        if self._is_joining:
            self._is_joining = False
            self.transfers.failed(event.status)
            return
        self._offer_over(side)
        other = self.legs.of(side.other)
        if other is not None:
            self.works.endpoint.refuse_offer(other, event.status)

    def _offer_over(self, answered_by: Side) -> None:
        if self._offering is answered_by.other:
            self._offering = None

    def info(self, side: Side, event: InfoReceived) -> None:
        """Pass an INFO on."""
        other = self.legs.of(side.other)
        if other is not None:
            self.works.endpoint.send_info(other, event.body)

    # --- somebody takes the place of a side: each end is handed the other's words (RFC 3725 section 4.1)

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Raise the alarm where a nominated extension is on the call now; else it is none of our business."""
        self._look_at(event.user)

    def _look_at(self, number: str) -> None:
        if extension_of(self.works.config.nominated, number) is not None and number not in self._nominated:
            self._nominated |= {number}
            self.works.alarm("nominated_passed")

    def offer_to_newcomer(self, host: str | None, srtp: Srtp, *, session: LocalStream | None = None) -> Body | None:
        """Have the newcomer make the offer, for the one who stays."""
        return None

    def join_newcomer(self, body: Body | None) -> None:
        """Hand the newcomer's offer to the one who stays."""
        stays = self.legs.of(self._staying)
        if body is None or stays is None or self._offering is not None or self._is_joining:
            self.transfers.failed(488)
            return
        self._is_joining = True
        self.works.endpoint.offer(stays, body)

    def join_offered(self, event: CallOffered) -> None:
        """Hand the offer of one who calls to the one who stays."""
        self._invited = event
        self.join_newcomer(event.body)

    def _joined(self, answer: Body | None) -> None:
        self._is_joining, invited = False, self._invited
        leg, self._invited = self.legs.newcomer, None
        if leg is None:
            return
        if invited is not None:
            self.works.endpoint.answer(leg, answer)
        else:
            self.works.endpoint.answer_offer(leg, answer)
        self.transfers.ready()

    @property
    def _staying(self) -> Side:
        return Side.A if self.call.transferor is Side.B else Side.B

    def drop_newcomer(self) -> None:
        """Forget them: there is nothing to give back."""
        self._is_joining, self._invited = False, None

    def replaced(self, side: Side, after: After) -> None:
        """Go on; whoever was there may have left an offer open."""
        self._offering = None

    def offer_to_b(self) -> Body | None:
        """Return A's offer as it is."""
        self._early = None
        return self.offered.body

    @property
    def is_reliable(self) -> bool:
        """Tell whether B may acknowledge: an offer that it makes then can be passed on only to an A that can, too."""
        return self.offered.body is not None or "100rel" in (*self.offered.supported, *self.offered.required)

    def do(self, command: table.Command) -> None:
        """Ring and answer A with B's words."""
        if self.legs.a is None:
            return
        headers = self.as_told_to(Side.A, self._headers)
        if isinstance(command, table.Ring):
            self.works.endpoint.ring(self.legs.a, status=self._status, body=self._body, headers=headers)
        elif isinstance(command, table.AnswerA):
            self.works.endpoint.answer(self.legs.a, self._body, headers=headers)

    def finish(self, end: str) -> None:
        """Leave nothing behind."""

    def as_json(self) -> dict[str, Any]:
        """Return what may be known of a call that is not ours: that it is there."""
        return {"state": self.call.state.value, "started_at": self.clock.started_at}
