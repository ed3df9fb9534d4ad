"""SRTP in the media core against libsrtp, the vectors of RFC 3711 and 6188, and whoever has no key."""

import os
import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pylibsrtp
import pytest

from audio.relay import Relay
from audio.types import (
    Channel,
    Codec,
    DigitPressed,
    DtmfPolicy,
    MediaUnauthentic,
    Prompt,
    PromptEnded,
    RelayOptions,
    SrtpKey,
    SrtpKeys,
    SrtpSuite,
    TapOptions,
)
from tests.helpers.extent import examples
from tests.helpers.rtp import PATIENCE_S, Peer, eventually, kept_of_tap, next_events
from tests.helpers.srtp import SUITE, Far, Written, new_key, session
from tests.reference.rtp import ReceptionReport, RtcpReport, RtpPacket, build_rtcp, build_rtp, parse_rtcp, parse_rtp

RFC_KEY = SrtpKey(
    suite=SUITE, key=bytearray.fromhex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6"), name=b"rfc 3711"
)
RFC_KEY_256 = SrtpKey(
    suite=SrtpSuite.AES_256_CM_HMAC_SHA1_80,
    key=bytearray.fromhex(
        "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2"
    ),
    name=b"rfc 6188",
)
LIBSRTP_PACKET = "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"
START_NS = 10**9
FRAME_NS = 20_000_000


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=False, quarantine_s=0.0))
    relay.start()
    yield relay
    relay.close()
    counters = relay.counters()
    assert (counters["legs"], counters["taps"], counters["events_dropped"]) == (0, 0, 0)


def rtp(sequence: int, payload: bytes, *, ssrc: int = 7, pt: int = 8) -> bytes:
    return build_rtp(
        RtpPacket(
            payload_type=pt, sequence=sequence % 65536, timestamp=160 * sequence % (1 << 32), ssrc=ssrc, payload=payload
        )
    )


def frames(count: int, seed: int = 1) -> list[bytes]:
    rng = random.Random(seed)
    return [rng.randbytes(160) for _ in range(count)]


def test_the_formulas_are_those_of_the_rfcs_and_of_libsrtp() -> None:
    written = Written(RFC_KEY)
    assert [written.derived(label, length).hex() for label, length in ((0, 16), (2, 14), (1, 20))] == [
        "c61e7a93744f39ee10734afe3ff7a087",
        "30cbbc08863d8c85d49db34a9ae1",
        "cebe321f6ff7716b6fd4ab49af256a156d38baa4",
    ]
    long = Written(RFC_KEY_256)
    assert [long.derived(label, length).hex() for label, length in ((0, 32), (2, 14), (1, 20))] == [
        "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
        "fa31791685ca444a9e07c6c64e93",
        "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
    ]
    packet = bytes.fromhex("800f1234decafbadcafebabe") + b"\xab" * 16
    assert written.protect(packet).hex() == LIBSRTP_PACKET
    report = bytes.fromhex("80c90001cafebabe") + b"and so on!.."
    for key in (RFC_KEY, new_key(SrtpSuite.AES_CM_128_HMAC_SHA1_32)):
        libsrtp, same = session(key, is_sender=True), Written(key)
        assert libsrtp.protect(packet) == same.protect(packet)
        assert libsrtp.protect_rtcp(report) == same.protect_rtcp(report, 1)


@pytest.mark.parametrize("mki", [b"", b"\x01", bytes(range(128))])
@pytest.mark.parametrize("suite", SrtpSuite)
def test_every_suite_both_ways(relay: Relay, suite: SrtpSuite, mki: bytes) -> None:
    theirs, ours = new_key(suite, mki=mki), new_key(suite)
    said, heard = Written(theirs), Written(ours)
    with Peer(relay) as a, Peer(relay) as b:
        a.far = Far()
        a.far.keys = SrtpKeys(send=ours, receive=theirs)
        a.configure()
        a.far = None  # the packets are written by hand here
        relay.bridge(a.leg, b.leg)
        rounds = 0
        for i, payload in zip(range(65530, 65550), frames(20), strict=True):
            rounds = i >> 16
            a.snd_raw(said.protect(rtp(i, payload), rounds))
            b.rcv(f"packet {i} in the clear", payload=payload)
            b.snd(i, 160 * i, payload[::-1])
            data = a.rtp.recv(4096)
            sequence = int.from_bytes(data[2:4], "big")
            assert parse_rtp(heard.unprotect(data)).payload == payload[::-1], f"packet {sequence}"
        assert relay.legs.statistics(a.leg).unauthentic == 0
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_both_sides_encrypted_and_recorded_to_the_byte(relay: Relay) -> None:
    """Round the corner of the sequence numbers, with loss, changes of order and both laws of G.711."""
    with Peer(relay, far=Far()) as a, Peer(relay, far=Far(SrtpSuite.AES_CM_128_HMAC_SHA1_32)) as b:
        relay.bridge(a.leg, b.leg)
        tap = relay.taps.open(a.leg, b.leg, TapOptions(look_back_s=20.0))
        spoken = dict(zip(range(65524, 65548), frames(24), strict=True))
        order = [i for i in spoken if i not in {65527, 65536}]
        order[5], order[8] = order[8], order[5]
        order[10], order[12] = order[12], order[10]
        for i in order:
            a.snd(i, 160 * i, spoken[i])
            b.rcv(f"packet {i}", payload=spoken[i])
            b.snd(i, 160 * i, spoken[i][::-1])
            a.rcv(f"packet {i} back", payload=spoken[i][::-1])
        kept = kept_of_tap(relay, tap)
        for channel, peer, step in ((Channel.LEFT, a, 1), (Channel.RIGHT, b, -1)):
            assert relay.legs.statistics(peer.leg).lost == 2
            start = min(kept[channel])
            assert kept[channel] == {
                160 * (i - 65524) + start + at: value for i in order for at, value in enumerate(spoken[i][::step])
            }
        relay.taps.release(tap)
        for peer in (a, b):
            assert (relay.legs.statistics(peer.leg).unauthentic, relay.legs.statistics(peer.leg).replayed) == (0, 0)
            relay.close_leg(peer.leg)


def test_seventy_thousand_packets_go_round_twice_from_one_end(relay: Relay) -> None:
    """The numbers of both directions go round; libsrtp sends and listens. `make test` loses all but each 500th."""
    numbers = range(65_000, 135_000, examples(quick=500, full=1))
    far, other = Far(), Far()
    with Peer(relay, far=far) as a, Peer(relay, far=other) as b:
        relay.bridge(a.leg, b.leg)
        payload = bytes(range(160))
        good = 0
        for i in numbers:
            relay._core.inject(a.leg, far.sends.protect(rtp(i, payload)), START_NS + i * FRAME_NS)
            good += parse_rtp(other.hears.unprotect(b.rtp.recv(400))).payload == payload
        assert good == len(numbers)
        lost = numbers[-1] - numbers[0] + 1 - len(numbers)
        assert (relay.legs.statistics(a.leg).received, relay.legs.statistics(a.leg).lost) == (len(numbers), lost)
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_nobody_without_the_key_is_recorded(relay: Relay) -> None:
    far, stranger = Far(), Far()
    with Peer(relay, far=far) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        tap = relay.taps.open(a.leg, b.leg, TapOptions())
        good = [far.sends.protect(rtp(i, payload)) for i, payload in enumerate(frames(3))]
        bad = [rtp(i, payload) for i, payload in enumerate(frames(40, seed=2))]  # in the clear
        bad += [stranger.sends.protect(rtp(i, payload)) for i, payload in enumerate(frames(40, seed=3))]
        flipped = bytearray(good[1])
        for at in range(len(flipped)):
            flipped[at] ^= 1 + at % 255
            bad.append(bytes(flipped))
            flipped[at] ^= 1 + at % 255
        bad += [good[1][:length] for length in range(len(good[1]))]
        for i, data in enumerate(bad, 1):
            a.snd_raw(data)
            if i % 50 == 0 or i == len(bad):
                eventually(lambda i=i: relay.legs.statistics(a.leg).unauthentic == i, "all are refused")  # type: ignore[misc]
        assert [type(event) for event in relay.events()] == [MediaUnauthentic], "one word, not hundreds"
        b.rcv_none("nothing of it is heard")
        a.snd_raw(good[0])
        a.snd_raw(good[1])
        b.rcv("a good one", payload=frames(3)[0])
        b.rcv("a good one, although copies of it were bad", payload=frames(3)[1])
        for data in (good[0], good[1], good[1]):
            a.snd_raw(data)
        eventually(lambda: relay.legs.statistics(a.leg).replayed == 3, "replays are refused")
        b.rcv_none("a replay is not heard")
        statistics = relay.legs.statistics(a.leg)
        assert (statistics.received, statistics.dropped, statistics.lost) == (2, len(bad) + 3, 0)
        assert bytes(kept_of_tap(relay, tap)[Channel.LEFT].values()) == b"".join(frames(3)[:2])
        counters = relay.counters()
        assert (counters["srtp_unauthentic"], counters["srtp_replayed"]) == (len(bad), 3)
        relay.taps.release(tap)
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_packets_far_behind_are_replays(relay: Relay) -> None:
    far = Far()
    with Peer(relay, far=far) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        sealed = {i: far.sends.protect(rtp(i, payload)) for i, payload in enumerate(frames(300))}
        for i in (0, 128, 1, 0, 299, 172, 171, 298):
            a.snd_raw(sealed[i])
        eventually(lambda: relay.legs.statistics(a.leg).received == 6, "what is within 128 of the newest")
        assert relay.legs.statistics(a.leg).replayed == 2
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_sources_begin_anew_under_the_same_key(relay: Relay) -> None:
    """Each SSRC has its own rounds; one that we hear only after it has gone round once is found all the same."""
    far = Far()
    written = Written(far.keys.receive)
    with Peer(relay, far=far) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        for ssrc, start in ((1, 65533), (2, 65534), (3, 10), (1, 65533 + 20)):
            for i, payload in zip(range(start, start + 6), frames(6, seed=ssrc), strict=True):
                a.snd_raw(written.protect(rtp(i, payload, ssrc=ssrc), i >> 16))
                b.rcv(f"packet {i} of source {ssrc}", payload=payload)
        for i, payload in zip(range(65540, 65545), frames(5), strict=True):
            a.snd_raw(written.protect(rtp(i, payload, ssrc=4), 1))
            b.rcv(f"packet {i} of a source whose beginning we have not heard", payload=payload)
        for ssrc in range(5, 40):
            a.snd_raw(written.protect(rtp(9, bytes(160), ssrc=ssrc)))
        eventually(lambda: relay.legs.statistics(a.leg).unauthentic == 7, "32 sources of one key, no more")
        assert relay.legs.statistics(a.leg).received == 29 + 28
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_a_held_side_stays_in_step(relay: Relay) -> None:
    """While a side is held its packets count for nothing but their rounds: 11 minutes and more."""
    far = Far()
    with Peer(relay, far=far) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        a.configure(receives=False)
        for i in range(60000, 60000 + 40000, 100):
            relay._core.inject(a.leg, far.sends.protect(rtp(i, bytes(160), ssrc=a.ssrc)), START_NS + i * FRAME_NS)
        b.rcv_none("a held side")
        a.configure()
        a.snd(100_000, 160 * 100_000, b"\x55" * 160)
        b.rcv("after the hold", payload=b"\x55" * 160)
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_keys_stay_change_and_go(relay: Relay) -> None:
    far = Far()
    with Peer(relay, far=far) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)

        def talk(i: int, what: str) -> None:
            a.snd(i, 160 * i, bytes([i % 251]) * 160)
            b.rcv(f"{what}, to b", payload=bytes([i % 251]) * 160)
            b.snd(i, 160 * i, bytes([i % 253]) * 160)
            a.rcv(f"{what}, to a", payload=bytes([i % 253]) * 160)

        for i in range(65530, 65540):
            talk(i, "the first key")
        far.keys.receive.key.clear()
        far.keys.send.key.clear()
        a.configure()  # a re-offer with the same keys, which are wiped by now
        for i in range(65540, 65550):
            talk(i, "the same key goes on counting")
        renewed = Far()
        a.far = renewed
        a.configure()
        for i in range(14, 20):
            talk(i, "new keys count anew")
        late = far.sends.protect(rtp(65550, b"\x44" * 160))
        a.snd_raw(late)
        b.rcv("what was on its way under the former key", payload=b"\x44" * 160)
        a.snd_raw(late)
        counts = relay.legs.statistics
        eventually(lambda: counts(a.leg).unauthentic + counts(a.leg).replayed == 1, "but once")
        a.far = None
        a.configure()
        for i in range(20, 24):
            talk(i, "in the clear again")
        assert len(relay._keys) == 0
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_a_leg_with_half_of_its_keys_says_nothing_in_the_clear(relay: Relay) -> None:
    far = Far()
    with Peer(relay) as a:
        key = far.keys.receive
        relay._core.srtp_key(a.leg, is_send=False, suite=key.suite, key=key.key, mki=b"")
        relay.legs.play(a.leg, Prompt(name="test", audio=dict.fromkeys(Codec, bytes(480))), tag=1)
        (ended,) = next_events(relay, 1, "the prompt is over")
        assert isinstance(ended, PromptEnded)
        assert (ended.packets_sent, ended.complete) == (0, False)
        a.rcv_none("nothing in the clear")
        relay.close_leg(a.leg)


@pytest.mark.parametrize(
    ("suite", "length", "mki"),
    [(0, 29, b""), (0, 46, b""), (2, 30, b""), (4, 30, b""), (-1, 30, b""), (0, 30, b"1")],
)
def test_keys_that_cannot_be(relay: Relay, suite: int, length: int, mki: bytes) -> None:
    with Peer(relay) as a:
        with pytest.raises(ValueError, match="srtp_key"):
            relay._core.srtp_key(a.leg, is_send=True, suite=suite, key=bytearray(length), mki=mki)
        relay.close_leg(a.leg)


def test_a_source_that_leaps_back_is_heard_by_a_listener_to_srtp(relay: Relay) -> None:
    """In the clear a leap of the numbers passes through; no number may go out twice under a key, so here it may not."""
    other = Far()
    with Peer(relay) as a, Peer(relay, far=other) as b:
        relay.bridge(a.leg, b.leg)
        for i in (20000, 20001, 20002, 7, 8, 9, 10):
            a.snd(i, 160 * i, bytes([i % 256]) * 160)
            if i != 7:
                b.rcv(f"packet {i}", payload=bytes([i % 256]) * 160)
        b.rcv_none("the first after the leap is the price")
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_prompts_digits_and_tones_under_keys(relay: Relay) -> None:
    with Peer(relay, far=Far()) as a, Peer(relay, far=Far()) as b:
        relay.bridge(a.leg, b.leg)
        relay.legs.set_dtmf(a.leg, DtmfPolicy.PASS)
        audio = os.urandom(160 * 5)
        relay.legs.play(b.leg, Prompt(name="test", audio=dict.fromkeys(Codec, audio)), tag=3)
        assert b"".join(b.rcv(f"frame {i}").payload for i in range(5)) == audio
        assert next_events(relay, 1, "the end") == [
            PromptEnded(leg=b.leg, tag=3, packets_sent=5, packets_due=5, complete=True)
        ]
        a.snd_digit(1, 160, "7")
        events = [b.rcv(f"event packet {i}").payload for i in range(8)]
        assert [event[0] for event in events] == [7] * 8
        (digit,) = next_events(relay, 1, "the digit")
        assert isinstance(digit, DigitPressed)
        assert digit.digit == "7"
        relay.legs.send_dtmf(b.leg, "5", 40)
        assert [b.rcv(f"our event packet {i}").payload[0] for i in range(4)] == [5] * 4
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)


def test_a_stream_without_an_address_is_whose_key_it_is(relay: Relay) -> None:
    """Without keys such a leg takes the first source that it hears (SIPREC); with them a stranger cannot be first."""
    far = Far()
    with Peer(relay, far=far, is_known=False) as a, Peer(relay) as stranger:
        stranger.snd_raw(rtp(1, bytes(160)))
        stranger.rtp.sendto(rtp(1, bytes(160)), (a.ours.ip, a.ours.rtp_port))
        eventually(lambda: relay.legs.statistics(a.leg).unauthentic == 1, "the stranger is refused")
        a.snd(1, 160)
        eventually(lambda: relay.legs.statistics(a.leg).received == 1, "the peer is heard")
        relay.close_leg(a.leg)
        relay.close_leg(stranger.leg)


def test_reports_are_under_keys_too_and_former_keys_end(relay: Relay) -> None:
    far, former = Far(), Far()
    with Peer(relay, far=former) as a, Peer(relay) as b:
        relay.bridge(a.leg, b.leg)
        a.snd(1, 160)
        b.rcv("the former key")
        a.far = far
        a.configure()
        changed_s = time.monotonic()
        a.snd(1, 160)
        b.rcv("the key")
        b.snd(1, 160)
        ours = a.rcv("our SSRC").ssrc
        block = ReceptionReport(
            ssrc=ours, fraction_lost=0, lost=44, highest_sequence=1, jitter=0, last_sr=0, delay_since_last_sr=0
        )
        report = build_rtcp((RtcpReport(ssrc=9, sender=None, reports=(block,)),))
        worse = build_rtcp((RtcpReport(ssrc=9, sender=None, reports=(replace(block, lost=55),)),))
        to = (a.ours.ip, a.ours.rtcp_port)
        written = Written(far.keys.receive)
        sealed = far.sends.protect_rtcp(report)
        for data in (sealed, worse, sealed, written.protect_rtcp(worse, 9, is_encrypted=False), sealed[:-1]):
            a.rtcp.sendto(data, to)
        eventually(lambda: relay.legs.statistics(a.leg).remote_lost == 44, "the sealed one counts")
        eventually(lambda: relay.legs.statistics(a.leg).unauthentic == 3, "the others do not")
        assert relay.legs.statistics(a.leg).replayed == 1
        assert relay.legs.statistics(a.leg).remote_lost == 44
        a.rtcp.settimeout(PATIENCE_S)
        data = a.rtcp.recv(500)
        (said, *_) = parse_rtcp(far.hears.unprotect_rtcp(data))
        assert said.ssrc == ours
        with pytest.raises(pylibsrtp.Error):
            far.hears.unprotect_rtcp(data)
        eventually(lambda: time.monotonic() - changed_s > 5.0, "five seconds after the change", timeout_s=7)
        a.snd_raw(former.sends.protect(rtp(2, bytes(160))))
        eventually(lambda: relay.legs.statistics(a.leg).unauthentic == 4, "the former key has ended")
        relay.close_leg(a.leg)
        relay.close_leg(b.leg)
