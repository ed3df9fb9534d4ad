"""Digits through the real media core: the four policies, control sequences, replay, our own events, tones in band."""

import itertools
import random
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import pytest

from audio._relay import peaks
from audio.codecs import encode
from audio.dtmf import KEYS
from audio.relay import Relay
from audio.types import (
    Codec,
    ControlPressed,
    DigitPressed,
    DigitSource,
    DtmfPolicy,
    FaxHeard,
    Prompt,
    RelayOptions,
    TapOptions,
    VoiceHeard,
)
from tests.helpers.rtp import EVENT_PT, UNPACED, Peer, eventually, next_events
from tests.helpers.turned_line import START_NS, turned_relay
from tests.reference.dtmf import EventTracker, KeyPressed
from tests.reference.rtp import RtpPacket, TelephoneEvent, build_event, build_rtp, parse_event

RFC4733 = DigitSource.RFC4733


@pytest.fixture
def relay(kernel_interfaces: tuple[str, ...]) -> Iterator[Relay]:
    relay = Relay(
        RelayOptions(
            ports=(41000, 41999), lock_memory=False, kernel_interfaces=kernel_interfaces, kernel_packets_per_s=UNPACED
        )
    )
    relay.start()
    yield relay
    relay.close()


@pytest.fixture
def pair(relay: Relay) -> Iterator[tuple[Peer, Peer]]:
    with Peer(relay) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        a.snd(1, 160)
        b.rcv("voice before the digits")
        yield a, b


@pytest.fixture
def still() -> Iterator[Relay]:
    """A relay whose media thread does not run: packets are injected, and time is that of their arrivals.

    A running thread forgets four times a second what was pressed 2 s ago by the machine's clock.
    """
    with closing(Relay(RelayOptions(ports=(41000, 41999), lock_memory=False))) as relay:
        yield relay


@pytest.fixture
def still_pair(still: Relay) -> Iterator[tuple[Peer, Peer]]:
    with Peer(still) as a, Peer(still) as b:
        still.bridge(a.leg, b.leg)
        yield a, b


def loudness(block: bytearray) -> int:
    """Return the peak of the left channel of a drained block, in [0, 255]; 0 is silence."""
    return max((value for _, values in peaks(block, 0) for value in values), default=0)


def event_of(packet: RtpPacket) -> TelephoneEvent:
    assert packet.payload_type == EVENT_PT
    return parse_event(packet.payload)


def rcv_key(peer: Peer, what: str) -> tuple[str, int]:
    """Receive a whole event and return its key and duration in ticks."""
    packets = [peer.rcv(f"{what}: first packet")]
    while not event_of(packets[-1]).is_end:
        packets.append(peer.rcv(f"{what}: packet {len(packets)}"))
    packets += [peer.rcv(f"{what}: end packet {i}") for i in (2, 3)]
    assert len({packet.timestamp for packet in packets}) == 1, f"{what}: timestamps differ"
    steps = {(b.sequence - a.sequence) % 65536 for a, b in itertools.pairwise(packets)}
    assert steps == {1}, f"{what}: numbering is {steps}"
    return "0123456789*#ABCD"[event_of(packets[-1]).event], event_of(packets[-1]).duration


def test_pass_is_live_with_our_numbering_and_their_duration(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    a.snd_event(2, 320, "5", 160)
    first = b.rcv("live, before the key is up")
    assert event_of(first) == TelephoneEvent(event=5, is_end=False, volume=10, duration=160)
    a.snd_event(3, 320, "5", 960, is_end=True)
    last = b.rcv("end")
    assert event_of(last).duration == 960
    assert (last.timestamp, last.sequence) == (first.timestamp, (first.sequence + 1) % 65536)
    assert next_events(relay, 1, "report") == [DigitPressed(leg=a.leg, digit="5", source=RFC4733)]


@pytest.mark.parametrize(("policy", "name"), [(DtmfPolicy.SWALLOW, "7"), (DtmfPolicy.MASK, None)])
def test_swallowed_digits_leave_no_gap(
    pair: tuple[Peer, Peer], relay: Relay, policy: DtmfPolicy, name: str | None
) -> None:
    a, b = pair
    relay.legs.set_dtmf(a.leg, policy)
    a.snd(2, 320)
    before = b.rcv("before")
    at = a.snd_digit(3, 480, "7")
    a.snd(at, 1440)
    after = b.rcv("after")
    assert after.payload_type == Codec.PCMA
    assert (after.sequence - before.sequence) % 65536 == 1
    assert (after.timestamp - before.timestamp) % (1 << 32) == 1120
    assert next_events(relay, 1, "report") == [DigitPressed(leg=a.leg, digit=name, source=RFC4733)]
    assert relay.legs.statistics(a.leg).digits == 1


def test_a_late_packet_keeps_its_number_across_a_swallowed_digit(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    relay.legs.set_dtmf(a.leg, DtmfPolicy.SWALLOW)
    a.snd(2, 320)
    base = b.rcv("before").sequence
    at = a.snd_digit(4, 640, "7")
    a.snd(at, 1600)
    assert (b.rcv("after").sequence - base) % 65536 == 2
    a.snd(3, 480)
    assert (b.rcv("late").sequence - base) % 65536 == 1


def test_a_control_sequence_is_swallowed_whole(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    relay.legs.set_dtmf(a.leg, DtmfPolicy.HOLD_STAR, ("*1", "*2"))
    at = a.snd_digit(2, 320, "*")
    at = a.snd_digit(at, 2000, "1")
    assert next_events(relay, 1, "control") == [ControlPressed(leg=a.leg, keys="*1", source=RFC4733)]
    a.snd(at, 4000)
    assert b.rcv("voice").payload_type == Codec.PCMA
    b.rcv_none("no digit")
    assert relay.events() == []


def test_any_other_key_replays_the_star_in_order(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    relay.legs.set_dtmf(a.leg, DtmfPolicy.HOLD_STAR, ("*1",))
    at = a.snd_digit(2, 320, "*")
    at = a.snd_digit(at, 2000, "5")
    a.snd_digit(at, 4000, "6")
    assert [rcv_key(b, key) for key in "*56"] == [("*", 800), ("5", 800), ("6", 800)]
    reported = next_events(relay, 3, "reports")
    assert reported == [DigitPressed(leg=a.leg, digit=key, source=RFC4733) for key in "*56"]


def test_a_star_alone_goes_on_after_its_time(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    relay.legs.set_dtmf(a.leg, DtmfPolicy.HOLD_STAR, ("*1",))
    began = time.monotonic()
    a.snd_digit(2, 320, "*")
    assert rcv_key(b, "star") == ("*", 800)
    assert time.monotonic() - began >= 1.5  # that it is no longer is tested in test_relay_turned.py
    assert next_events(relay, 1, "report") == [DigitPressed(leg=a.leg, digit="*", source=RFC4733)]


def test_two_stars_and_a_control_key(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    relay.legs.set_dtmf(a.leg, DtmfPolicy.HOLD_STAR, ("*1",))
    at = a.snd_digit(2, 320, "*")
    at = a.snd_digit(at, 2000, "*")
    a.snd_digit(at, 4000, "1")
    assert rcv_key(b, "first star") == ("*", 800)
    b.rcv_none("the second star is part of *1")
    assert next_events(relay, 2, "reports") == [
        DigitPressed(leg=a.leg, digit="*", source=RFC4733),
        ControlPressed(leg=a.leg, keys="*1", source=RFC4733),
    ]


def test_a_digit_whose_ends_are_lost_is_still_one(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, _ = pair
    a.snd_event(2, 320, "3", 160)
    assert next_events(relay, 1, "by time") == [DigitPressed(leg=a.leg, digit="3", source=RFC4733)]
    a.snd_event(3, 4000, "4", 160)
    a.snd_digit(4, 8000, "4")
    assert len(next_events(relay, 2, "by the next")) == 2
    assert relay.legs.statistics(a.leg).digits == 3


@pytest.mark.parametrize("step", [160 * 30, 8000 * 60])
def test_keys_count_after_a_clock_has_stepped_back(pair: tuple[Peer, Peer], relay: Relay, step: int) -> None:
    a, _ = pair
    relay.legs.set_dtmf(a.leg, DtmfPolicy.HOLD_STAR, ("*1", "*2"))
    at = a.snd_digit(2, 8000 * 90, "*")
    at = a.snd_digit(at, 8000 * 90 + 1600, "1")
    at = a.snd_digit(at, 8000 * 90 + 3200 - step, "*")
    a.snd_digit(at, 8000 * 90 + 4800 - step, "2")
    assert next_events(relay, 2, "both") == [
        ControlPressed(leg=a.leg, keys=keys, source=RFC4733) for keys in ("*1", "*2")
    ]


def test_what_comes_late_or_again_of_an_event_is_no_key(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, _ = pair
    at = a.snd_digit(65_520, 8000, "1")
    a.snd_digit(at, 9600, "2")
    a.snd_event(65_521, 8000, "1", 320)
    a.snd_event(65_527, 8000, "1", 800, is_end=True)
    a.snd_event(40, 8000, "1", 800, is_end=True)
    a.snd_digit(41, 20_000, "3")
    assert next_events(relay, 3, "each once") == [DigitPressed(leg=a.leg, digit=key, source=RFC4733) for key in "123"]
    assert relay.legs.statistics(a.leg).digits == 3


def test_malformed_events_are_dropped(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    a.snd(2, 320, b"\x05\x8a", pt=EVENT_PT)
    eventually(lambda: relay.legs.statistics(a.leg).dropped == 1, "it is dropped")
    b.rcv_none("two bytes")
    assert relay.legs.statistics(a.leg).digits == 0


def test_we_send_digits_and_voice_goes_on(pair: tuple[Peer, Peer], relay: Relay) -> None:
    a, b = pair
    relay.legs.send_dtmf(b.leg, "#", 100)
    relay.legs.send_dtmf(b.leg, "0", 60)
    assert [rcv_key(b, "#"), rcv_key(b, "0")] == [("#", 800), ("0", 480)]
    numbers, before = itertools.count(2), relay.legs.statistics(b.leg).sent

    def is_heard() -> bool:
        number = next(numbers)
        a.snd(number, 160 * number)
        a.wait_taken()
        return relay.legs.statistics(b.leg).sent > before

    eventually(is_heard, "voice goes on after the digits")
    assert b.rcv("voice").is_marked
    b.configure(events=None)
    for digit in ("1", "x", "", "12"):
        with pytest.raises(ValueError, match="send_dtmf"):
            relay.legs.send_dtmf(b.leg, digit)


def tone(low: float, high: float, seconds: float) -> bytes:
    t = np.arange(round(8000 * seconds)) / 8000
    wave = 8000 * np.sin(2 * np.pi * low * t) + (8000 * np.sin(2 * np.pi * high * t) if high else 0)
    return encode(Codec.PCMA, wave.astype(np.int16))


def inject(relay: Relay, peer: Peer, audio: bytes, at: int, *, ahead: int = 0) -> int:
    """Inject audio that arrives from tick ``at`` on; returns the next tick. ``ahead``: of its sender's clock."""
    for i in range(0, len(audio), 160):
        head = b"\x80\x08" + (at // 160 % 65536).to_bytes(2, "big") + (at + ahead).to_bytes(4, "big") + b"abcd"
        relay._core.inject(peer.leg, head + audio[i : i + 160], 10**9 + at * 125_000)
        at += 160
    return at


STAR, ONE = (941, 1209), (697, 1209)
QUIET = b"\xd5" * 1600


def test_tones_in_band_are_digits_and_control_sequences(still_pair: tuple[Peer, Peer], still: Relay) -> None:
    a, _ = still_pair
    still.legs.detect_tones(a.leg, True)
    still.legs.set_dtmf(a.leg, DtmfPolicy.HOLD_STAR, ("*1",))
    inject(still, a, QUIET + tone(*STAR, 0.1) + QUIET + tone(*ONE, 0.1) + QUIET, 0)
    inband = DigitSource.INBAND
    assert still.events() == [
        DigitPressed(leg=a.leg, digit="*", source=inband),
        ControlPressed(leg=a.leg, keys="*1", source=inband),
    ]


def test_an_echo_of_the_caller_is_no_key_of_the_officer(still_pair: tuple[Peer, Peer], still: Relay) -> None:
    a, b = still_pair
    tap = still.taps.open(a.leg, b.leg, TapOptions())
    for peer in still_pair:
        still.legs.detect_tones(peer.leg, True)
    still.legs.set_dtmf(a.leg, DtmfPolicy.MASK)
    sound = QUIET + tone(*ONE, 0.1) + QUIET
    inject(still, a, sound, 0)
    inject(still, b, sound, 160)
    assert still.events() == [DigitPressed(leg=a.leg, digit=None, source=DigitSource.INBAND)]
    inject(still, b, sound, 16_000)
    assert still.events() == [DigitPressed(leg=b.leg, digit="1", source=DigitSource.INBAND)]
    still.taps.release(tap)


def test_a_tone_held_longer_than_the_look_back_is_silenced_as_it_goes(
    still_pair: tuple[Peer, Peer], still: Relay
) -> None:
    a, b = still_pair
    core = still._core
    still.legs.detect_tones(a.leg, True)
    tap = core.open_tap(a.leg, b.leg, look_back_ticks=4000, ring_ticks=1 << 15, now_ns=10**9)
    sound = QUIET * 2 + tone(*ONE, 2.0) + QUIET * 4
    loudest = 0
    out = bytearray(1 << 17)
    at = 0
    for i in range(0, len(sound), 800):
        at = inject(still, a, sound[i : i + 800], at)
        length, _ = core.drain_tap(tap, out, now_ns=10**9 + at * 125_000)
        loudest = max(loudest, loudness(out[:length]))
    length, _ = core.drain_tap(tap, out, is_final=True, now_ns=10**9 + at * 125_000)
    assert max(loudest, loudness(out[:length])) == 0
    core.release_tap(tap)


@pytest.mark.parametrize("ticks", [160, 800, 4000, 7999, 8160, 40_000])
def test_a_tone_after_the_senders_clock_stepped_back_is_heard_and_silenced(
    still_pair: tuple[Peer, Peer], still: Relay, ticks: int
) -> None:
    a, b = still_pair
    core = still._core
    still.legs.detect_tones(a.leg, True)
    tap = core.open_tap(a.leg, b.leg, look_back_ticks=16_000, ring_ticks=1 << 16, now_ns=10**9)
    at = inject(still, a, b"\xd5" * 8000, 0, ahead=ticks)
    inject(still, a, QUIET + tone(*ONE, 0.1) + QUIET * 2, at)
    out = bytearray(1 << 17)
    length, _ = core.drain_tap(tap, out, is_final=True, now_ns=10**10)
    assert loudness(out[:length]) == 0
    keys = [event for event in still.events() if isinstance(event, DigitPressed)]
    assert keys == [DigitPressed(leg=a.leg, digit="1", source=DigitSource.INBAND)]
    core.release_tap(tap)


@pytest.mark.parametrize(("frequency", "kind"), [(1100.0, "cng"), (2100.0, "ced")])
def test_fax_is_heard(still_pair: tuple[Peer, Peer], still: Relay, frequency: float, kind: str) -> None:
    a, _ = still_pair
    still.legs.detect_tones(a.leg, True)
    inject(still, a, QUIET + tone(frequency, 0, 0.6 if kind == "cng" else 3.0) + QUIET * 5, 0)
    assert still.events() == [FaxHeard(leg=a.leg, kind=kind)]


def test_our_digits_go_before_a_prompt_which_is_still_whole(pair: tuple[Peer, Peer], relay: Relay) -> None:
    _, b = pair
    audio = b"p" * 480
    relay.legs.send_dtmf(b.leg, "9", 40)
    relay.legs.play(b.leg, Prompt(name="p", audio=dict.fromkeys(Codec, audio)), tag=1)
    assert rcv_key(b, "digit") == ("9", 320)
    assert [b.rcv(f"frame {i}").payload for i in range(3)] == [b"p" * 160] * 3


def test_a_voice_is_reported_while_it_is_asked_for(still_pair: tuple[Peer, Peer], still: Relay) -> None:
    a, _ = still_pair
    still.legs.detect_tones(a.leg, True)
    rng = np.random.default_rng(2)
    gains = np.repeat(10 ** (rng.uniform(-20, 0, 100) / 20), 160)
    speech = encode(Codec.PCMA, (gains * rng.standard_normal(len(gains)) * 3000).astype(np.int16))
    at = inject(still, a, speech, 0)
    assert still.events() == [], "nobody has asked"
    still.legs.report_voice(a.leg, True)
    at = inject(still, a, tone(2100.0, 0, 1.0), at)
    assert still.events() == []
    at = inject(still, a, speech, at)
    heard = still.events()
    assert set(heard) == {VoiceHeard(leg=a.leg)}
    assert 3 <= len(heard) <= 7, "every 0.3 s of 2 s"
    still.legs.report_voice(a.leg, False)
    inject(still, a, speech, at)
    assert still.events() == []


def test_what_a_tone_silences_is_told_once(still_pair: tuple[Peer, Peer], still: Relay) -> None:
    a, b = still_pair
    still.legs.detect_tones(a.leg, True)
    tap = still.taps.open(a.leg, b.leg, TapOptions(look_back_s=5.0), opened_ns=10**9)
    at = inject(still, a, QUIET * 10, 0)
    begin = at
    at = inject(still, a, tone(*ONE, 0.1) + QUIET * 10, at)
    ((start, end),) = still.taps.silenced(tap)
    assert begin - 1600 - 3 * 102 <= start <= begin - 1600 + 160
    assert begin + 800 + 1600 - 160 <= end <= begin + 800 + 1600 + 3 * 102
    assert still.taps.silenced(tap) == []
    still.taps.mask(tap, 10.0, 10.5)
    still.taps.mask(tap, 10.25, 11.0)
    assert still.taps.silenced(tap) == [(80_000, 88_000)]
    still.taps.release(tap)
    with pytest.raises(KeyError):
        still.taps.silenced(tap)


@dataclass(frozen=True, slots=True)
class EventPacket:
    """An event packet as receivers see it that have put packets in order."""

    timestamp: int
    code: int
    is_end: bool = False
    is_marked: bool = False
    duration: int = 160


def without_repeats(packets: Iterable[EventPacket]) -> Iterator[EventPacket]:
    """Leave out ends that come again after another event has begun: no reader takes those for a digit."""
    before: set[EventPacket] = set()
    ends: set[EventPacket] = set()
    run = None
    for packet in packets:
        if packet in before:
            continue
        if (packet.timestamp, packet.code) != run:
            before, ends, run = ends, set(), (packet.timestamp, packet.code)
        if packet.is_end:
            ends.add(replace(packet, is_marked=False))
        yield packet


def read_by_timestamp(packets: Iterable[EventPacket]) -> str:
    """Segment by timestamp alone, as RFC 4733 section 2.5.1.2 has it."""
    keys, timestamp = "", None
    for packet in without_repeats(packets):
        if packet.timestamp != timestamp:
            keys, timestamp = keys + KEYS[packet.code], packet.timestamp
    return keys


def read_by_code(packets: Iterable[EventPacket]) -> str:
    """Segment by code, marker and end, without a look at timestamps, as small telephones do."""
    keys, code, ended = "", None, None
    for packet in without_repeats(packets):
        is_new = packet.code != code
        if ended is not None and not is_new:
            is_new = not packet.is_end or (packet.is_marked and packet.duration != ended)
        if is_new:
            keys, code, ended = keys + KEYS[packet.code], packet.code, None
        if packet.is_end:
            ended = packet.duration
    return keys


def read_by_rule(packets: Iterable[EventPacket]) -> str:
    tracker, keys = EventTracker(), ""
    for packet in packets:
        event = TelephoneEvent(event=packet.code, is_end=packet.is_end, volume=10, duration=packet.duration)
        happened = tracker.receive(7, packet.timestamp, event, is_marked=packet.is_marked, is_newer=True)
        keys += "".join(one.key for one in happened if isinstance(one, KeyPressed))
    return keys


def counted(packets: Iterable[EventPacket], *, gap_ms: int = 20) -> str:
    """Return the keys that a leg reports for packets that come one after the other, 20 ms apart."""
    with turned_relay() as relay, Peer(relay) as peer:
        now_ns = START_NS
        for number, packet in enumerate(packets):
            event = TelephoneEvent(event=packet.code, is_end=packet.is_end, volume=10, duration=packet.duration)
            data = build_rtp(
                RtpPacket(
                    payload_type=EVENT_PT,
                    sequence=number,
                    timestamp=packet.timestamp,
                    ssrc=7,
                    payload=build_event(event),
                    is_marked=packet.is_marked,
                )
            )
            now_ns += gap_ms * 1_000_000
            relay.turn(now_ns)
            relay._core.inject(peer.leg, data, now_ns)
        relay.turn(now_ns + 1_000_000_000)
        return "".join(one.digit or "?" for one in relay.events() if isinstance(one, DigitPressed))


def press(code: int, timestamp: int, *, packets: int = 3, ends: int = 3, is_marked: bool = True) -> list[EventPacket]:
    """Return the packets of one key as a telephone sends them."""
    going = [
        EventPacket(timestamp, code, is_marked=is_marked and i == 0, duration=160 * (i + 1)) for i in range(packets)
    ]
    return going + [EventPacket(timestamp, code, is_end=True, duration=160 * packets)] * ends


@pytest.mark.parametrize(
    ("packets", "keys"),
    [
        (press(4, 800) + press(7, 800) + press(1, 800) + press(3, 800), "4713"),
        (press(4, 800, is_marked=False) + press(7, 800, is_marked=False), "47"),
        (press(4, 800, packets=1, ends=0) + press(7, 800, packets=1, ends=0), "47"),
        (press(4, 800) + press(7, 800, packets=0), "47"),
        (press(4, 800) + press(4, 800), "44"),
        (press(4, 800) + press(4, 800, is_marked=False), "44"),
        ([*press(4, 800), EventPacket(800, 4, is_end=True, is_marked=True, duration=320)], "44"),
        (press(4, 800) + press(4, 1600), "44"),
        (press(4, 800) + press(7, 1600) + press(4, 800)[3:], "47"),
        (press(4, 800) + press(7, 1600) + press(4, 800), "474"),
        (press(4, 800, ends=9), "4"),
        ([replace(packet, is_marked=True) for packet in press(4, 800)], "4"),
        (press(4, 800, ends=0) + press(4, 800, packets=9, is_marked=False)[3:], "4"),
    ],
    ids=[
        "codes differ", "without markers", "every end is lost", "only the ends came", "marked again",
        "goes on after its end", "an end of another duration", "another timestamp", "ends of the event before",
        "an old timestamp again", "many ends", "every packet is marked", "an end after a pause in its packets",
    ],
)  # fmt: skip
def test_what_a_receiver_would_read_as_a_digit_is_one(packets: list[EventPacket], keys: str) -> None:
    assert counted(packets) == keys


def test_an_event_that_goes_on_after_its_packets_were_missing_is_one_key() -> None:
    assert counted(press(4, 800, packets=6), gap_ms=450) == "4"


def test_a_reordered_packet_of_a_key_with_the_same_timestamp_is_none(
    still_pair: tuple[Peer, Peer], still: Relay
) -> None:
    a, _ = still_pair
    order = [*enumerate(press(4, 800) + press(7, 800))]
    order.insert(8, order.pop(5))  # the last end of the first after two packets of the second
    for at, (number, packet) in enumerate(order):
        event = TelephoneEvent(event=packet.code, is_end=packet.is_end, volume=10, duration=packet.duration)
        data = RtpPacket(payload_type=EVENT_PT, sequence=number, timestamp=800, ssrc=7, payload=build_event(event))
        still._core.inject(a.leg, build_rtp(data), 10**9 + at * 20_000_000)
    assert [one.digit for one in still.events() if isinstance(one, DigitPressed)] == ["4", "7"]


def test_no_reader_finds_a_digit_that_is_not_counted() -> None:
    """Random streams of few codes and timestamps, so that they collide; two readers that know nothing of each other."""
    for seed in range(1000):
        rng = random.Random(seed)
        packets: list[EventPacket] = []
        while len(packets) < 24:
            code, timestamp = rng.choice((1, 4, 7)), rng.choice((800, 800, 1600, 2400))
            key = press(code, timestamp, packets=rng.randrange(4), ends=rng.randrange(4), is_marked=rng.random() < 0.6)
            packets += [packet for packet in key if rng.random() < 0.8]
            if rng.random() < 0.3:
                flags = {"is_end": rng.random() < 0.5, "is_marked": rng.random() < 0.5}
                packets.append(EventPacket(timestamp, code, duration=rng.choice((160, 480, 640)), **flags))
        keys = counted(packets)
        assert keys == read_by_rule(packets), f"seed {seed}"
        for read in (read_by_timestamp, read_by_code):
            found = read(packets)
            assert is_within(found, keys), f"seed {seed}: {read.__name__} reads {found}, counted are {keys}"


def is_within(part: str, whole: str) -> bool:
    """Tell whether a string is another with some of its keys left out."""
    rest = iter(whole)
    return all(key in rest for key in part)
