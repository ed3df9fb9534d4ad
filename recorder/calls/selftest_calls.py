"""The call of a self-test: between two phones of this machine, to a number that is made for it and dialled once.

Nobody else can make such a call. The number is secret, it counts once, and only for an INVITE from the address of the
self-test's own phone; the kernel lets no other machine send from a loopback address. The call has services of its own:
the route leads to the other phone, no event is published, nothing is counted, and the recording's key is sealed to the
self-test's one-time key too (docs/adr/0063). Call thread only.
"""

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from recorder.calls.call import Call
from recorder.calls.call_interfaces import TransferableCall
from recorder.calls.call_maker import CallMaker
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.group_acts import GroupActs
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import Side
from recorder.calls.tallies import Tallies
from recorder.config.settings import Config, Voicemail
from recorder.config.sip_transports import WILDCARDS
from recorder.rules.policy import CardPayment, Direction, Extension, Nomination, Service
from recorder.rules.routing import Peer, Route
from sip.events import CallOffered, ReferReceived
from sip.options import Address
from storage.keys import OneTimeSeal
from storage.types import SELFTEST, RecordingId
from storage.vault import Vault

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Where both phones are."""


@dataclass(slots=True, kw_only=True, eq=False)
class SelfTestCall:
    """The one call of a self-test, before, while and after it is made.

    Attributes:
        number: The secret number that the caller dials.
        caller: Address of the calling phone.
        callee: Address of the called phone.
        seal: Seals the recording's key to the self-test's one-time key.
        recording: Id, once the call began.
        refused: Status and reason with which the recorder refused it; None if it did not.
        live: Returns the call as lists have it; None before it began, and when it is over.
        call: The call, once it began.
        ended: Outcome and reason, once the recording is filed.
    """

    number: str
    caller: Address
    callee: Address
    seal: OneTimeSeal
    recording: RecordingId | None = None
    refused: tuple[int, str] | None = None
    live: Callable[[], dict[str, Any]] | None = None
    call: Call | None = None
    ended: tuple[str, str] | None = None

    def note(self, event: dict[str, Any]) -> None:
        """Note an event of the call, instead of publishing it. Any thread."""
        if event["event"] == "ended":
            self.live = None
        if event["event"] == "recording":
            self.ended = event["outcome"], event["reason"]

    def is_party(self, source: Address) -> bool:
        """Tell whether an address is of one of its phones."""
        return any((one.host, one.port) == (source.host, source.port) for one in (self.caller, self.callee))


class CallTaker(Protocol):
    """Begins the call as any other; `recorder.calls.new_calls.NewCalls` in production."""

    def refuse(self, event: CallOffered, status: int) -> None:
        """Refuse an INVITE."""

    def take(self, call: Call, event: CallOffered) -> tuple[int, str] | None:
        """Begin a recorded call; return the status and reason with which it was refused, or None."""


class SelfTestCalls:
    """Recognises the call of a self-test, and makes it."""

    def __init__(
        self, services: CallServices, loop_mark: str, registry: CallRegistry, groups: GroupActs, taker: CallTaker
    ) -> None:
        self._services, self._loop_mark = services, loop_mark
        self._registry, self._groups, self._taker = registry, groups, taker
        self.expected: SelfTestCall | None = None

    def takes(self, event: CallOffered) -> bool:
        """Handle an INVITE if it is of a self-test, or pretends to be; tell whether it was handled."""
        test = self.expected
        if test is None:
            return False
        has_number = hmac.compare_digest(event.request_user.encode(), test.number.encode())
        if not has_number and not test.is_party(event.source):
            return False
        is_caller = (event.source.host, event.source.port) == (test.caller.host, test.caller.port)
        if not has_number or not is_caller or test.recording is not None:
            _log.error("From %s: a call that is not the self-test's is refused", event.source.host)
            self._services.alarm("selftest_misused")
            self._taker.refuse(event, 403)
            return True
        self._begin(replace(event, request_user=SELFTEST, to_user=SELFTEST, headers=(), asserted_user=None), test)
        return True

    def _begin(self, event: CallOffered, test: SelfTestCall) -> None:
        services = services_of(self._services, test)
        (extension,) = services.config.extension
        plan = DialPlan(services, self._loop_mark)
        maker = CallMaker(services, plan, self._registry, self._groups, _NoTransfers())
        choice = plan.route_to(SELFTEST, event.source)
        assert choice is not None
        nomination = Nomination(direction=Direction.INBOUND, extension=extension, is_selftest=True)
        call = maker.recorded(event, nomination, choice, targets=1)
        recorded = call.recorded
        assert recorded is not None
        test.recording, test.live, test.call = recorded.id, recorded.listing.as_json, call
        test.refused = self._taker.take(call, event)

    def hang_up(self) -> None:
        """End the call."""
        call = None if self.expected is None else self.expected.call
        if call is not None:
            self._registry.guard(call, call.stop, "daemon_stopped")

    def is_one(self, recording: RecordingId) -> bool:
        """Tell whether a recording is that of the self-test in progress."""
        return self.expected is not None and self.expected.recording == recording


class _NoTransfers:
    """Refuses every transfer: the call stays between the two phones."""

    def transfer_in(self, call: TransferableCall, side: Side, event: ReferReceived, choice: RouteChoice) -> int | None:
        """Refuse."""
        return 403

    def pick_up(self, call: TransferableCall, side: Side, event: CallOffered) -> int | None:
        """Refuse."""
        return 403


def service_of(config: Config) -> Service:
    """Return the service whose rules a self-test's call follows: that of the configured extension, or the first."""
    named = config.selftest.extension
    like = next((one for one in config.extension if one.number == named), config.extension[0])
    return config.service_of(like)


def services_of(services: CallServices, test: SelfTestCall) -> CallServices:
    """Return the services of a self-test's call: as those of all calls, but apart where the call must leave no trace.

    The rules are those of the service of the configured extension, or of the first one, but that a card payment pauses:
    else the self-test's pause would discard its recording.
    """
    config = services.config
    service = replace(service_of(config), card_payment=CardPayment.PAUSE)
    is_everywhere = config.media_address in WILDCARDS
    ours = replace(
        config,
        media=replace(config.media, advertised=HOST if is_everywhere else None),  # NAT: that one is for other machines
        peer=(Peer(name=SELFTEST, networks=(f"{HOST}/32",)),),
        route=(Route(name=SELFTEST, targets=(test.callee,), transfers=False),),
        extension=(Extension(number=SELFTEST, operator=SELFTEST, service=service.name),),
        service=(service,),
        voicemail=Voicemail(),
    )
    return replace(
        services,
        config=ours,
        vault=Vault(services.vault.home, services.vault.node, services.vault.elsewhere, second=test.seal),
        publish=test.note,
        tallies=Tallies(),
        locate=lambda target: (target,),
    )
