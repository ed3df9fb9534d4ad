"""RTP, RTCP and event payloads: what is built is parsed again; no bytes make a parser raise anything else."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.rtp import (
    MalformedPacketError,
    ReceptionReport,
    RtcpDescription,
    RtcpReport,
    RtpPacket,
    SenderInfo,
    TelephoneEvent,
    build_event,
    build_rtcp,
    build_rtp,
    parse_event,
    parse_rtcp,
    parse_rtp,
    sequence_after,
    sequence_between,
    ticks_between,
    timestamp_after,
)

packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=200),
    is_marked=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    extension=st.none()
    | st.tuples(st.integers(0, 0xFFFF), st.integers(0, 5).flatmap(lambda n: st.binary(min_size=4 * n, max_size=4 * n))),
    padding_bytes=st.integers(0, 255),
)


@given(packets)
def test_rtp_survives_the_wire(packet: RtpPacket) -> None:
    assert parse_rtp(build_rtp(packet)) == packet


@given(packets, st.data())
def test_a_cut_rtp_packet_is_malformed_or_shorter(packet: RtpPacket, data: st.DataObject) -> None:
    wire = build_rtp(packet)
    cut = wire[: data.draw(st.integers(0, len(wire) - 1))]
    try:
        parsed = parse_rtp(cut)
    except MalformedPacketError:
        return
    assert len(parsed.payload) < len(packet.payload) + packet.padding_bytes


@given(st.binary(max_size=300))
def test_parsers_raise_one_error_only(data: bytes) -> None:
    for parser in (parse_rtp, parse_rtcp, parse_event):
        try:
            parser(data)
        except MalformedPacketError as error:
            assert str(error)


def test_rtp_refuses_by_name() -> None:
    head = struct.pack("!BBHII", 0x80, 8, 1, 2, 3)
    with pytest.raises(MalformedPacketError, match="12 bytes, got 11"):
        parse_rtp(head[:11])
    with pytest.raises(MalformedPacketError, match="version 2 expected, got 1"):
        parse_rtp(bytes([0x40]) + head[1:])
    with pytest.raises(MalformedPacketError, match="15 contributing sources need 72"):
        parse_rtp(bytes([0x8F]) + head[1:])
    with pytest.raises(MalformedPacketError, match="extension of 9 words"):
        parse_rtp(bytes([0x90]) + head[1:] + struct.pack("!HH", 1, 9))
    with pytest.raises(MalformedPacketError, match="padding of 0 bytes"):
        parse_rtp(bytes([0xA0]) + head[1:] + b"\0")
    with pytest.raises(MalformedPacketError, match="padding of 9 bytes"):
        parse_rtp(bytes([0xA0]) + head[1:] + b"\0\x09")


def test_build_refuses_what_does_not_fit() -> None:
    packet = {"payload_type": 8, "sequence": 1, "timestamp": 2, "ssrc": 3, "payload": b""}
    for wrong in ({"payload_type": 128}, {"sequence": 65536}, {"csrcs": (1,) * 16}, {"extension": (1, b"abc")}):
        with pytest.raises(ValueError, match=r"range|15|multiple"):
            build_rtp(RtpPacket(**(packet | wrong)))  # type: ignore[arg-type]


def test_serial_arithmetic_takes_the_shorter_way() -> None:
    assert ticks_between(0xFFFFFF60, 0) == 160
    assert ticks_between(0, 0xFFFFFF60) == -160
    assert ticks_between(1320, 1160) == -160
    assert ticks_between(0, 1 << 31) == -(1 << 31)
    assert timestamp_after(0xFFFFFFFF, 2) == 1
    assert timestamp_after(1, -2) == 0xFFFFFFFF
    assert sequence_between(65535, 0) == 1
    assert sequence_between(0, 65535) == -1
    assert sequence_after(65535, 1) == 0


@given(st.integers(0, 255), st.booleans(), st.integers(0, 63), st.integers(0, 65535))
def test_events_survive_the_wire(event: int, is_end: bool, volume: int, duration: int) -> None:
    value = TelephoneEvent(event=event, is_end=is_end, volume=volume, duration=duration)
    assert parse_event(build_event(value)) == value


def test_a_short_event_is_malformed() -> None:
    with pytest.raises(MalformedPacketError, match="4 bytes, got 3"):
        parse_event(b"\x01\x02\x03")


def block(ssrc: int, lost: int = 0) -> ReceptionReport:
    return ReceptionReport(
        ssrc=ssrc, fraction_lost=5, lost=lost, highest_sequence=70000, jitter=9, last_sr=11, delay_since_last_sr=12
    )


def test_rtcp_survives_the_wire() -> None:
    sender = SenderInfo(ntp_time=1 << 63, timestamp=7, packets=8, octets=9)
    compound = (
        RtcpReport(ssrc=1, sender=sender, reports=(block(2, -3), block(3, (1 << 23) - 1))),
        RtcpReport(ssrc=4, sender=None, reports=tuple(block(i) for i in range(31))),
        RtcpDescription(ssrc=1, cname="a@b"),
        RtcpDescription(ssrc=1, cname="abcdef"),
    )
    assert parse_rtcp(build_rtcp(compound)) == compound


def test_every_cut_of_a_compound_is_malformed_or_a_whole_part() -> None:
    first = build_rtcp((RtcpReport(ssrc=1, sender=None, reports=(block(2),)),))
    wire = first + build_rtcp((RtcpDescription(ssrc=1, cname="abc"),))
    for length in range(1, len(wire)):
        if length == len(first):
            assert len(parse_rtcp(wire[:length])) == 1
            continue
        with pytest.raises(MalformedPacketError):
            parse_rtcp(wire[:length])


def test_rtcp_counts_that_lie_are_malformed() -> None:
    with pytest.raises(MalformedPacketError, match="31 report blocks need"):
        parse_rtcp(struct.pack("!BBHI", 0x9F, 201, 1, 1))
    with pytest.raises(MalformedPacketError, match="31 SDES chunks"):
        parse_rtcp(struct.pack("!BBHII", 0x9F, 202, 2, 1, 0))
    with pytest.raises(MalformedPacketError, match="item runs past"):
        parse_rtcp(struct.pack("!BBHIBBH", 0x81, 202, 2, 1, 1, 200, 0))
    with pytest.raises(MalformedPacketError, match="no end"):
        parse_rtcp(struct.pack("!BBHIBBH", 0x81, 202, 2, 1, 1, 2, 0x4142))


def test_other_rtcp_is_passed_over() -> None:
    bye = struct.pack("!BBHI", 0x81, 203, 1, 1)
    assert parse_rtcp(bye) == ()
