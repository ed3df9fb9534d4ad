"""Calls with streams: callers and officers that really call, and a load that runs between them once they are joined."""

import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.messages import Media, Message
from benchmarks.peers import Address, Answer, Call, Caller, Officer, State
from benchmarks.streams import ALAW, Load, Totals, open_socket, totals

FIRST_EXTENSION = 20001
SERVICE = "Customer Service Centre"
_SETTLE_S, _DRAIN_S = 0.3, 0.5


def extensions(count: int, service: str = SERVICE, *, first: int = FIRST_EXTENSION) -> list[str]:
    """Return extensions from ``first`` on, an officer at each, as `recorder init --extension` takes them."""
    return [f"{first + index}:officer{index + 1}:{service}" for index in range(count)]


@dataclass(frozen=True)
class Place:
    """Where one side of the calls is: its address, and a context in which its sockets are made."""

    host: str = "127.0.0.1"
    inside: Callable[[], AbstractContextManager[object]] = nullcontext


class PlacedCalls:
    """N calls, call ``k`` to extension ``first + k``; stream 2k is the caller's, 2k+1 the officer's.

    A context manager that owns its sockets and threads. The streams of a call begin 0.3 s after the officer's ACK: by
    then both legs are joined, and what is lost from there on is the path's. The callers' clocks run ``skew_ppm`` fast
    and the officers' as slow; of every other call the other way round. With ``talk_s`` each officer hangs up so many
    seconds after the ACK; else the calls last until `hang_up`.
    """

    def __init__(
        self,
        calls: int,
        *,
        skew_ppm: int = 0,
        callers: Place = Place(),
        officers: Place = Place(),
        talk_s: float | None = None,
        first: int = FIRST_EXTENSION,
    ) -> None:
        self.count = calls
        self._first = first
        self._skew_ppm, self._talk_s = skew_ppm, talk_s
        self._hosts = (callers.host, officers.host)
        self.load = Load(capacity=2 * calls)
        self.placed_at_s: dict[int, float] = {}
        self.answered_at_s: dict[int, float] = {}
        self.joined_at_s: dict[int, float] = {}
        self.placed: list[Call] = []
        self._sockets = [_opened((callers, officers)[index % 2]) for index in range(2 * calls)]
        self._ports = [opened.getsockname()[1] for opened in self._sockets]
        with ExitStack() as stack:
            stack.callback(self.load.close)
            with officers.inside():
                self.officer = stack.enter_context(
                    Officer((officers.host, 0), answer=self._answer, on_confirmed=self._officer_joined)
                )
            with callers.inside():
                self.caller = stack.enter_context(Caller((callers.host, 0), on_confirmed=self._answered))
            self._stack = stack.pop_all()
        self.load.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)
        for opened in self._sockets:
            opened.close()

    def place(
        self,
        target: Address,
        *,
        rate: float,
        on_placed: Callable[[int], None] = lambda _count: None,
        upto: int | None = None,
    ) -> None:
        """Place all calls, ``rate`` a second by absolute deadlines; ``on_placed`` is told how many there are.

        Args:
            target: The recorder.
            rate: Calls a second.
            on_placed: Told how many there are.
            upto: Stop before this one; the next time goes on with it.
        """
        began, first = time.monotonic(), len(self.placed)
        for index in range(first, self.count if upto is None else upto):
            time.sleep(max(0.0, began + (index - first) / rate - time.monotonic()))
            media = Media(ip=self._hosts[0], port=self._ports[2 * index])
            number, from_number = str(self._first + index), f"0207946{index:04d}"
            self.placed_at_s[index] = time.monotonic()
            self.placed.append(self.caller.invite(target, number, from_number=from_number, media=media))
            on_placed(index + 1)

    def wait_joined(self, timeout_s: float, on_joined: Callable[[int], None] = lambda _count: None) -> int:
        """Wait until every call placed is joined or has ended, or the time is over; return how many are joined."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            ended = sum(call.state is State.ENDED for call in self.placed)
            on_joined(len(self.joined_at_s))
            if len(self.joined_at_s) + ended >= len(self.placed):
                break
            time.sleep(0.05)
        return len(self.joined_at_s)

    def wait_ended(self, timeout_s: float) -> None:
        """Wait until every call placed has ended, or the time is over."""
        deadline = time.monotonic() + timeout_s
        while any(call.state is not State.ENDED for call in self.placed) and time.monotonic() < deadline:
            time.sleep(0.05)

    def standing(self) -> int:
        """Return how many joined calls are still up on both sides."""
        officers = {self._index_of(call.invite): call for call in self.officer.incoming()}
        return sum(
            self.placed[index].state is State.CONFIRMED and officers[index].state is State.CONFIRMED
            for index in list(self.joined_at_s)
        )

    def resume(self) -> None:
        """Have the streams of all joined calls go on that `cease` ended; they were silent meanwhile."""
        for index in self.joined_at_s:
            self.load.begin(2 * index)
            self.load.begin(2 * index + 1)

    def cease(self) -> Totals:
        """End all streams, let what is under way arrive, and return the packets of the whole run."""
        for index in self.joined_at_s:
            self.load.cease(2 * index)
            self.load.cease(2 * index + 1)
        time.sleep(_DRAIN_S)
        return totals(self.load, range(2 * self.count))

    def hang_up(self, timeout_s: float = 10.0) -> int:
        """Have every caller hang up, wait until both sides have ended, and return how many sides did not in time."""
        for call in self.placed:
            call.hang_up()
        deadline = time.monotonic() + timeout_s
        sides = [*self.placed, *self.officer.incoming()]
        while any(call.state is not State.ENDED for call in sides) and time.monotonic() < deadline:
            time.sleep(0.05)
        return sum(call.state is not State.ENDED for call in sides)

    def _index_of(self, invite: Message) -> int:
        return int(invite.uri.removeprefix("sip:").partition("@")[0]) - self._first

    def _answer(self, invite: Message) -> Answer:
        index = self._index_of(invite)
        media = Media(ip=self._hosts[1], port=self._ports[2 * index + 1])
        return Answer(after_s=0.1, media=media, hang_up_after_s=self._talk_s)

    def _answered(self, call: Call) -> None:
        self.answered_at_s[self._index_of(call.invite)] = time.monotonic()

    def _officer_joined(self, call: Call) -> None:
        self.officer.after(_SETTLE_S, lambda: self._begin(call))

    def _begin(self, officer_call: Call) -> None:
        index = self._index_of(officer_call.invite)
        for stream, call in ((2 * index, self.placed[index]), (2 * index + 1, officer_call)):
            if call.remote_media is None or call.state is not State.CONFIRMED:
                return  # it ended meanwhile: it never counts as joined
            skew_ppm = self._skew_ppm if (stream + index) % 2 == 0 else -self._skew_ppm
            self.load.add_stream(
                stream, self._sockets[stream], call.remote_media, pt=ALAW, peer=stream ^ 1, skew_ppm=skew_ppm
            )
        self.load.begin(2 * index)
        self.load.begin(2 * index + 1)
        self.joined_at_s[index] = time.monotonic()


def _opened(place: Place) -> socket.socket:
    with place.inside():
        return open_socket(place.host)
