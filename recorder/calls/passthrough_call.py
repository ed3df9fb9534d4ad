"""A call that is none of our business, and every emergency call: signalling only, bodies untouched (P1).

No media port, no notice, no gate, no limit. The two ends talk to one another; what they say never comes here.
"""

from typing import Any

from recorder.calls.live_call import LiveCall
from recorder.calls.passthrough_media import PassthroughMedia
from recorder.calls.rules.call_events import After, AnswerA, Answered, Command, Rang, Ring, Side
from recorder.rules.policy import extension_of
from sip.events import (
    Body,
    Header,
    IdentityChanged,
    InfoReceived,
    LegAnswered,
    LegRang,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)


class PassthroughCall(LiveCall):
    """Joins two legs by handing each one's bodies to the other."""

    _body: Body | None = None
    _early: Body | None = None
    _status: int = 180
    _headers: tuple[Header, ...] = ()
    _nominated: frozenset[str] = frozenset()
    """Nominated extensions that were named, each alarmed once."""

    def __init__(self, *args: Any, **more: Any) -> None:  # noqa: ANN401 - as `LiveCall`
        super().__init__(*args, **more)
        self.media: PassthroughMedia = PassthroughMedia(self, self.transfers)

    def rang(self, event: LegRang) -> None:
        """Pass the provisional response on, early media's SDP and all."""
        self._body, self._status, self._headers = event.body, event.status, event.headers
        self._early = event.body or self._early
        self.apply(Rang(has_media=event.body is not None))

    def answered(self, event: LegAnswered) -> None:
        """Pass the answer on."""
        self._look_at(event.asserted_user or "")
        self._headers = event.headers
        self._body = event.body or self._early  # a 200 without SDP stands by what its 183 said
        self.apply(Answered())

    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Pass an offer on."""
        self.media.reoffered(side, event)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Pass an answer back."""
        self.media.offer_answered(side, event)

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Pass a refusal back."""
        self.media.offer_refused(side, event)

    def info(self, side: Side, event: InfoReceived) -> None:
        """Pass an INFO on."""
        other = self.legs.of(side.other)
        if other is not None:
            self.services.endpoint.send_info(other, event.body)

    # --- somebody takes the place of a side: each end is handed the other's words (RFC 3725 section 4.1)

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Raise the alarm where a nominated extension is on the call now; else it is none of our business."""
        self._look_at(event.user)

    def _look_at(self, number: str) -> None:
        if extension_of(self.services.config.nominated, number) is not None and number not in self._nominated:
            self._nominated |= {number}
            self.services.alarm("nominated_passed")

    def replaced(self, side: Side, after: After) -> None:
        """Go on; whoever was there may have left an offer open."""
        self.media.replaced()

    def offer_to_b(self) -> Body | None:
        """Return A's offer as it is."""
        self._early = None
        return self.offered.body

    @property
    def is_reliable(self) -> bool:
        """Tell whether B may acknowledge: an offer that it makes then can be passed on only to an A that can, too."""
        return self.offered.body is not None or "100rel" in (*self.offered.supported, *self.offered.required)

    def do(self, command: Command) -> None:
        """Ring and answer A with B's words."""
        if self.legs.a is None:
            return
        headers = self.as_told_to(Side.A, self._headers)
        if isinstance(command, Ring):
            self.services.endpoint.ring(self.legs.a, status=self._status, body=self._body, headers=headers)
        elif isinstance(command, AnswerA):
            self.services.endpoint.answer(self.legs.a, self._body, headers=headers)

    def finish(self, end: str) -> None:
        """Leave nothing behind."""

    def as_json(self) -> dict[str, Any]:
        """Return what may be known of a call that is not ours: that it is there."""
        return {"state": self.progress.state.value, "started_at": self.clock.started_at}
