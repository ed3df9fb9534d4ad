"""Makes calls of their components: passthrough, recorded or transferred in. Call thread only."""

import itertools
import secrets

from recorder.calls.bridged_media import BridgedMedia
from recorder.calls.call import Call
from recorder.calls.call_interfaces import TransferIntake
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.dialling import Dialling
from recorder.calls.group_acts import GroupActs
from recorder.calls.passthrough_media import PassthroughMedia
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import Side
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.identities import numbers_in, signalled_parties
from recorder.calls.rules.transfer import Party, parties_of
from recorder.calls.transfer_requests import TransferRequests
from recorder.calls.transferred_in import PickUp, TransferredInMedia
from recorder.calls.transferring import Transfers
from recorder.common.clock import utc_now
from recorder.rules.policy import Direction, Nomination, NoticeWhen
from sip.events import CallOffered


class CallMaker:
    """Makes calls."""

    def __init__(
        self,
        services: CallServices,
        plan: DialPlan,
        registry: CallRegistry,
        groups: GroupActs,
        intake: TransferIntake,
    ) -> None:
        self._services = services
        self._plan = plan
        self._registry = registry
        self._groups = groups
        self._intake = intake
        self._threads = itertools.cycle(range(services.config.media.threads))

    def next_thread(self) -> int:
        """Return the index of the media thread for the next call; calls take turns."""
        return next(self._threads)

    def passthrough(self, offered: CallOffered, choice: RouteChoice) -> Call:
        """Return a passthrough call."""
        progress = CallProgress(
            is_nominated=False,
            direction=Direction.INBOUND,
            notice_when=NoticeWhen.BEFORE_RING,
            targets=len(choice.targets),
        )
        calling = offered.asserted_user or offered.from_user
        people = parties_of(None, calling=calling, called=offered.request_user)
        call = self._call(offered, progress, people)
        self._connect(call, Dialling(call, choice, self._registry, self._plan))
        call.media = PassthroughMedia(call, call.transfers)
        return call

    def recorded(self, offered: CallOffered, nomination: Nomination, choice: RouteChoice, *, targets: int) -> Call:
        """Return a recorded call; ``targets`` is how many targets of the route may be dialled."""
        service = self._services.config.service_of(nomination.extension)
        call, recorded = self._recorded(offered, nomination, notice_when=service.notice_when, targets=targets)
        self._connect(call, Dialling(call, choice, self._registry, self._plan))
        call.media = BridgedMedia(
            call,
            recorded,
            call.dialling,
            call.transfers,
            requests=call.transfer_requests,
            plan=self._plan,
            groups=self._groups,
        )
        return call

    def transferred_in(
        self,
        offered: CallOffered,
        nomination: Nomination,
        choice: RouteChoice,
        origin: Call,
        picker: CallOffered | None,
    ) -> Call:
        """Return the recorded call that takes over a party of a passthrough call.

        Args:
            offered: The INVITE that the party would have sent (see `offer_in_place`).
            nomination: The extension whose calls are recorded.
            choice: Where the officer is dialled.
            origin: The passthrough call.
            picker: The INVITE of an officer who picks the call up; None to dial the officer.

        Raises:
            PortsExhaustedError: No ports are left.
        """
        targets = len(choice.targets)
        call, recorded = self._recorded(offered, nomination, notice_when=NoticeWhen.AFTER_ANSWER, targets=targets)
        call.legs.a = None  # the passthrough call keeps it until the officer has answered
        self._connect(
            call,
            Dialling(call, choice, self._registry, self._plan)
            if picker is None
            else PickUp(call, choice, self._registry, self._plan, picker=picker, recorded=recorded),
        )
        call.media = media = TransferredInMedia(
            call,
            recorded,
            call.dialling,
            call.transfers,
            requests=call.transfer_requests,
            plan=self._plan,
            groups=self._groups,
            origin=origin,
            registry=self._registry,
        )
        media.open_first()
        return call

    def _call(self, offered: CallOffered, progress: CallProgress, people: dict[Side, Party]) -> Call:
        return Call(self._services, offered, progress, people=people, registry=self._registry, plan=self._plan)

    def _recorded(
        self, offered: CallOffered, nomination: Nomination, *, notice_when: NoticeWhen, targets: int
    ) -> tuple[Call, RecordedCall]:
        service = self._services.config.service_of(nomination.extension)
        announcements = self._services.sounds.announcements.of(service.name, utc_now())
        progress = CallProgress(
            is_nominated=True,
            direction=nomination.direction,
            notice_when=notice_when,
            targets=targets,
            has_second=announcements.second is not None,
        )
        calling = offered.asserted_user or offered.from_user
        is_claimed = not self._plan.is_inside(offered.source)
        people = parties_of(nomination, calling=calling, called=offered.request_user, is_claimed=is_claimed)
        call = self._call(offered, progress, people)
        call.recorded = recorded = RecordedCall(
            call,
            nomination,
            random_hex=secrets.token_hex(3),
            thread=self.next_thread(),
            announcements=announcements,
            registry=self._registry,
            groups=self._groups,
        )
        recorded.recording.note_numbers(signalled_parties(offered))
        recorded.recording.note_numbers(numbers_in(offered.headers), is_claim=True)
        return call, recorded

    def _connect(self, call: Call, dialling: Dialling) -> None:
        call.dialling = dialling
        call.transfers = Transfers(call, dialling, self._registry, self._plan)
        call.transfer_requests = TransferRequests(call, call.transfers, self._registry, self._plan, self._intake)
