"""Dials B: the targets of a route one after another, and the targets of redirections. Call thread only."""

import logging

from audio.types import PortsExhaustedError
from recorder.calls.call_interfaces import ACCOUNT_REFUSALS, TransferableCall
from recorder.calls.component import Component
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.redirects import RedirectHistory, Redirection
from recorder.calls.registry import CallRegistry, log_name
from recorder.calls.rules.call_events import CallState
from recorder.rules.routing import Route, find_peer
from sip.commands import OutgoingCall
from sip.events import LegRefused
from sip.options import Address

_log = logging.getLogger(__name__)


class Dialling(Component[TransferableCall]):
    """Dials B of one call.

    Attributes:
        far: The address at which B was dialled; None before.
        dialled: The number that was dialled: the called number, or the one that a redirection named.
    """

    def __init__(self, call: TransferableCall, choice: RouteChoice, registry: CallRegistry, plan: DialPlan) -> None:
        super().__init__(call)
        self.choice = choice
        self._registry = registry
        self._plan = plan
        self._redirects = RedirectHistory()
        self.far: Address | None = None
        self.dialled = call.offered.request_user

    def dial(self, index: int) -> None:
        """Dial the called number at one of the route's targets."""
        self.dialled = called = self._call.offered.request_user
        self._dial_at(self.choice.targets[index], self.number_on(self.choice.route, called))

    def follow(self, event: LegRefused) -> bool:
        """Dial the target of a 3xx response; return whether B is dialled.

        It is followed if the route follows redirections, and always for a caller who was answered for the notice: they
        can get no 3xx any more.
        """
        is_answered = self._call.progress.state is CallState.RINGING
        if event.status // 100 != 3 or not (is_answered or self.choice.route.follow_redirects):
            return False
        found = self._redirects.next(event.headers, self._is_peer)
        while found is not None and not self._may_follow(found):
            found = self._redirects.next(event.headers, self._is_peer)
        if found is not None:
            if found.user.removeprefix("+").isdigit():  # the name of a device does not say which party it is
                self.dialled = found.user
            self._dial_at(found.target, found.user)
        return found is not None

    def number_on(self, route: Route, number: str) -> str:
        """Return a number in the route's form, unless that would change an emergency number."""
        dialled = route.dialled(number)
        is_emergency = self._call.services.config.emergency.has
        return number if is_emergency(number) and not is_emergency(dialled) else dialled

    def note_refusal(self, event: LegRefused) -> None:
        """Raise the alarm if a refusal is because of a setting, not of the called party."""
        if event.status in ACCOUNT_REFUSALS:
            self._call.services.alarm("account_refused")
            _log.error(
                "%s: refused with %d: the account of route %s is missing or wrong",
                log_name(self._call),
                event.status,
                self.choice.route.name,
            )
        self._call.media.refused(event)

    def _may_follow(self, found: Redirection) -> bool:
        """Tell whether a redirection may be dialled: it is to the called number, or to one that transfers may dial."""
        called = self._call.offered.request_user
        if found.user in (called, self.number_on(self.choice.route, called)):
            return True
        return self._plan.may_transfer_to(found.user, self.choice.route)

    def _is_peer(self, host: str) -> bool:
        return find_peer(self._call.services.config.peer, host) is not None

    def _dial_at(self, target: Address, user: str) -> None:
        call, media = self._call, self._call.media
        self.far = target
        try:
            body = media.offer_to_b()
        except PortsExhaustedError as error:
            _log.error("%s: dialling failed, call ended: %s", log_name(call), error)
            call.services.alarm("ports_exhausted")
            call.stop("ports_exhausted")
            return
        offered = call.offered
        outgoing = OutgoingCall(
            target=target,
            request_user=user,
            from_user=offered.from_user,
            from_display=offered.from_display,
            headers=offered.headers,
            max_forwards=offered.max_forwards - 1,
            loop_mark=self.choice.loop_mark,
            loop_marks=offered.loop_marks,
            body=body,
            no_reply_s=call.services.config.sip.no_reply_s,
            ring_s=media.ring_s,
            is_reliable=media.is_reliable,
        )
        call.legs.b = call.services.endpoint.dial(outgoing)
        self._registry.adopt(call.legs.b, call)
