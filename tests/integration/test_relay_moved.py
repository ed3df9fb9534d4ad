"""A phone whose NAT gives it another port in the middle of a call is followed there, and nobody else is (ADR 82).

Real sockets, and a clock that the test turns: every packet arrives exactly when the test says.
"""

import itertools
import select
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from audio.relay import Relay
from audio.types import Codec, DigitPressed, LegMedia, RelayOptions, SourceMoved
from tests.helpers.rtp import PATIENCE_S, Peer
from tests.helpers.srtp import Far
from tests.helpers.turned_line import FRAME, MS, START_NS, Line, Source, turned_relay, two_addresses
from tests.reference.rtp import TelephoneEvent, build_event

PHONE = 0x11
SILENT_MS = 500


def media_of(source: Source, **changes: object) -> LegMedia:
    media = {
        "remote": source.address, "codec": Codec.PCMA, "send_pt": 8, "receive_pt": 8, "send_event_pt": 101,
        "receive_event_pt": 101, **changes,
    }  # fmt: skip
    return LegMedia(**media)  # type: ignore[arg-type]


class Talk:
    """A phone's leg that is bridged with another party's, and recorded."""

    def __init__(self, relay: Relay) -> None:
        self.line, self.relay = Line(relay), relay
        self.phone, self.party = Source(PHONE), Source(0x44)
        self.sources = [self.phone, self.party]
        self.other = Line(relay)
        self.signal(self.phone)
        relay.set_media(self.other.leg, media_of(self.party))
        relay.bridge(self.line.leg, self.other.leg)
        self.line.open_tap(self.other.leg)

    def signal(self, source: Source, **changes: object) -> None:
        """Settle the media of the phone's leg."""
        self.relay.set_media(self.line.leg, media_of(source, **changes))

    def source(self, made: Source) -> Source:
        self.sources.append(made)
        return made

    def pass_ms(self, ms: int, *sources: Source) -> None:
        """Let time pass in which the party and these send."""
        for _ in range(ms // 20):
            self.other.now_ms = self.line.now_ms
            self.other.send(self.party)
            self.line.pass_ms(20, *sources)

    def is_answered(self, source: Source) -> bool:
        """Tell whether the party is heard there since this was asked last."""
        return source.heard() == {self.party.value}

    @property
    def refused(self) -> int:
        return self.relay.legs.statistics(self.line.leg).refused


@pytest.fixture
def talk() -> Iterator[Talk]:
    with turned_relay() as relay:
        made = Talk(relay)
        yield made
        for source in made.sources:
            source.socket.close()


def test_a_phone_whose_port_changes_is_heard_recorded_and_answered_there(talk: Talk) -> None:
    talk.pass_ms(1000, talk.phone)
    there = talk.source(talk.phone.moved(0x22))
    talk.party.heard()
    talk.phone.heard()
    talk.pass_ms(2000, there)
    assert talk.party.heard() == {there.value}
    assert talk.is_answered(there)
    lost = SILENT_MS // 20 - 1  # the old port was heard 20 ms before the new one
    assert talk.refused == lost
    assert talk.line.kept() == {PHONE: 50 * FRAME, there.value: (100 - lost) * FRAME}
    assert [(one.leg, one.ip, one.port) for one in talk.relay.events() if isinstance(one, SourceMoved)] == [
        (talk.line.leg, there.ip, there.port)
    ]


def test_two_changes_in_a_row_and_back_to_a_former_port(talk: Talk) -> None:
    talk.pass_ms(400, talk.phone)
    first = talk.source(talk.phone.moved(0x22))
    talk.pass_ms(1000, first)
    second = talk.source(first.moved(0x33))
    talk.pass_ms(1000, second)
    assert talk.is_answered(second)
    first.sequence = second.sequence
    talk.pass_ms(1000, first)
    first.heard()
    talk.party.heard()
    talk.pass_ms(100, first)
    assert talk.party.heard() == {first.value}
    assert talk.is_answered(first)


def test_a_gap_of_packets_is_no_reason_not_to_follow(talk: Talk) -> None:
    """The NAT forgot the port in a silence: numbers go on by one, the clock by all of it."""
    talk.pass_ms(400, talk.phone)
    talk.pass_ms(30_000)
    there = talk.source(talk.phone.moved(0x22))
    talk.pass_ms(400, there)
    assert talk.refused == 0
    assert talk.is_answered(there)


def test_a_re_offer_of_the_signalled_address_keeps_where_the_phone_is(talk: Talk) -> None:
    talk.pass_ms(400, talk.phone)
    there = talk.source(talk.phone.moved(0x22))
    talk.pass_ms(1000, there)
    before = talk.refused
    talk.signal(talk.phone)
    there.heard()
    talk.pass_ms(200, there)
    assert (talk.refused, talk.is_answered(there)) == (before, True)
    elsewhere = talk.source(Source(0x55))
    talk.signal(elsewhere)
    talk.pass_ms(200, there, elsewhere)
    assert talk.refused == before + 10, "another address was signalled"
    assert talk.is_answered(elsewhere)


def test_a_stranger_with_the_streams_ssrc_is_refused_while_the_phone_sends(talk: Talk) -> None:
    talk.pass_ms(400, talk.phone)
    stranger = talk.source(talk.phone.moved(0x66))
    talk.pass_ms(2000, talk.phone, stranger)
    talk.pass_ms(SILENT_MS - 40, stranger)  # it is not silent yet
    assert talk.refused == 100 + (SILENT_MS - 40) // 20
    assert talk.is_answered(talk.phone)
    assert not talk.is_answered(stranger)
    assert talk.party.heard() == {PHONE}
    assert talk.line.kept() == {PHONE: 120 * FRAME}


def altered(**changes: int) -> Callable[[Source], None]:
    def alter(source: Source) -> None:
        for name, by in changes.items():
            setattr(source, name, (getattr(source, name) + by) % (1 << 32))

    return alter


@pytest.mark.parametrize(
    "alter",
    [altered(ssrc=1), altered(sequence=1000), altered(sequence=-3000), altered(sequence=40_000), altered(ahead_ms=2000),
     altered(ahead_ms=-60_000 + (1 << 32))],
    ids=["another SSRC", "far ahead", "numbers behind", "numbers half way round", "a clock ahead", "a clock behind"],
)  # fmt: skip
def test_a_stranger_whose_stream_does_not_go_on_is_refused(talk: Talk, alter: Callable[[Source], None]) -> None:
    talk.pass_ms(400, talk.phone)
    stranger = talk.source(talk.phone.moved(0x66))
    alter(stranger)
    talk.pass_ms(1000)
    talk.pass_ms(1000, stranger)
    assert talk.refused == 50
    assert not talk.is_answered(stranger)
    assert talk.line.kept() == {PHONE: 20 * FRAME}


def test_nobody_is_followed_to_another_address(talk: Talk) -> None:
    talk.pass_ms(400, talk.phone)
    stranger = talk.source(talk.phone.moved(0x66, "127.0.0.9"))
    talk.pass_ms(3000, stranger)
    assert talk.refused == 150
    assert not talk.is_answered(stranger)


def test_nobody_is_followed_on_hold_or_before_the_phone_was_heard(talk: Talk) -> None:
    stranger = talk.source(talk.phone.moved(0x66))
    talk.pass_ms(1000, stranger)
    assert talk.refused == 50, "nothing goes on yet"
    talk.pass_ms(400, talk.phone)
    stranger = talk.source(talk.phone.moved(0x77))
    talk.signal(talk.phone, receives=False)
    talk.pass_ms(2000, stranger)
    talk.signal(talk.phone)
    talk.pass_ms(SILENT_MS - 40, stranger)
    assert not talk.is_answered(stranger)


def test_a_key_alone_is_followed_by_nobody(talk: Talk) -> None:
    talk.pass_ms(400, talk.phone)
    stranger = talk.source(talk.phone.moved(0x66))
    talk.pass_ms(1000)
    event = build_event(TelephoneEvent(event=5, is_end=True, volume=10, duration=800))
    talk.line.send(stranger, 101, event)
    assert talk.refused == 1
    assert not any(isinstance(one, DigitPressed) for one in talk.relay.events())


def test_the_signalled_port_takes_its_stream_back_at_once(talk: Talk) -> None:
    """Who guessed the stream in a pause of the phone's does not keep it."""
    talk.pass_ms(400, talk.phone)
    stranger = talk.source(talk.phone.moved(0x66))
    talk.pass_ms(1000)
    talk.pass_ms(1000, stranger)
    talk.party.heard()
    talk.pass_ms(200, talk.phone, stranger)
    assert talk.is_answered(talk.phone)
    assert talk.line.kept()[PHONE] == (20 + 10) * FRAME


def test_what_comes_late_from_the_port_that_was_left_takes_nothing_back(talk: Talk) -> None:
    talk.pass_ms(400, talk.phone)
    there = talk.source(talk.phone.moved(0x22))
    talk.pass_ms(1000, there)
    there.heard()
    before = talk.refused
    talk.phone.sequence -= 5
    talk.line.send(talk.phone)
    talk.pass_ms(200, there)
    assert talk.refused == before + 1
    assert talk.is_answered(there)


def test_the_second_address_of_a_phone_is_followed_too(talk: Talk) -> None:
    signalled, also = (talk.source(made) for made in two_addresses(0x55, "127.0.0.2", 0x66, "127.0.0.1"))
    talk.signal(signalled, also_from="127.0.0.1")
    talk.pass_ms(1000, also)
    there = talk.source(also.moved(0x22))
    talk.pass_ms(1000, there)
    talk.party.heard()
    talk.signal(signalled, also_from="127.0.0.1")
    before = talk.refused
    talk.pass_ms(200, there)
    assert talk.party.heard() == {there.value}
    assert talk.refused == before


def test_a_stream_under_a_key_is_followed_by_its_owner_only(talk: Talk) -> None:
    far = Far()
    talk.signal(talk.phone, srtp=far.keys)

    def say(source: Source, seal: Callable[[bytes], bytes]) -> None:
        data = seal(source.packet(talk.line.now_ms))
        pair = talk.relay._pairs[talk.line.leg]
        source.socket.sendto(data, ("127.0.0.1", pair.port))
        poller = select.poll()
        poller.register(pair.rtp, select.POLLIN)
        assert poller.poll(2000)
        talk.relay.turn(START_NS + talk.line.now_ms * MS)
        talk.line.now_ms += 20

    for _ in range(20):
        say(talk.phone, far.sends.protect)
    there, stranger = (talk.source(talk.phone.moved(value)) for value in (0x22, 0x66))
    talk.line.now_ms += 1000
    stolen = Far()
    talk.party.heard()
    say(stranger, bytes)
    say(stranger, stolen.sends.protect)
    assert talk.refused == 2
    assert talk.party.heard() == set()
    say(there, far.sends.protect)
    assert talk.party.heard() == {there.value}
    there.heard()
    talk.pass_ms(20)
    assert there.socket.recv(4096), "what is said to the phone goes there, under its key"


def test_every_way_of_media_follows(carried: dict[str, Any]) -> None:
    """By epoll, by io_uring and in the kernel, on a clock that nobody turns."""
    options = RelayOptions(ports=(41000, 41999), lock_memory=False, **carried)
    with Relay(options) as relay, Peer(relay) as a, Peer(relay) as b, socket.socket(type=socket.SOCK_DGRAM) as there:
        relay.bridge(a.leg, b.leg)
        there.bind(("127.0.0.1", 0))
        there.settimeout(PATIENCE_S)
        began = time.monotonic()
        numbers = itertools.count(1)

        def say(count: int, source: socket.socket | None = None) -> int:
            """Have the phone send packets that the party gets; returns how many of them the kernel relayed."""
            relay.legs.statistics(a.leg)  # which looks at what the kernel has relayed
            before = relay.counters()["relayed"]
            for number in itertools.islice(numbers, count):
                a.snd(number, round((time.monotonic() - began) * 8000), number.to_bytes(4) * 40, source=source)
                b.rcv(f"frame {number}", payload=number.to_bytes(4) * 40)
            relay.legs.statistics(a.leg)
            return relay.counters()["relayed"] - before

        def answer(number: int, source: socket.socket) -> None:
            b.snd(number, 160 * number, number.to_bytes(4) * 40)
            assert source.recv(4096)[12:] == number.to_bytes(4) * 40

        is_in_kernel = bool(carried["kernel_interfaces"])
        a.rtp.settimeout(PATIENCE_S)
        assert (say(100) > 0) == is_in_kernel
        for number in range(100):
            answer(number, a.rtp)
        time.sleep(SILENT_MS / 1000 + 0.1)
        assert say(1, there) == 0, "from a port that it does not know, the kernel has it go up"
        assert (say(100, there) > 0) == is_in_kernel, "it relays what comes from there now"
        for number in range(100, 200):
            answer(number, there)
        assert relay.legs.statistics(a.leg).lost == 0
