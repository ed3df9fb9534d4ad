"""RTP, RTCP and RFC 4733 on the wire: parse and build, and serial-number arithmetic.

Pure and sans I/O. Every parser checks all bounds and raises MalformedPacketError only; a parsed value built again
gives a packet with the same meaning. The media core does the same in C; this is its reference.
"""

import struct
from dataclasses import dataclass

RTP_HEADER_BYTES = 12
_RTP_VERSION = 2
_HALF_32 = 1 << 31
_FULL_32 = 1 << 32
_HALF_16 = 1 << 15
_FULL_16 = 1 << 16

RTCP_SR = 200
RTCP_RR = 201
RTCP_SDES = 202
_SDES_CNAME = 1
_REPORT_BYTES = 24
_MAX_REPORTS = 31


class MalformedPacketError(ValueError):
    """A packet that is not what its header says; counted by the caller, never answered."""


def ticks_between(earlier: int, later: int) -> int:
    """Return the signed distance between two 32-bit RTP timestamps, the shorter way round (RFC 3550 section 5.1).

    Args:
        earlier: Timestamp in [0, 2**32).
        later: Timestamp in [0, 2**32).

    Returns:
        ``later - earlier`` in ticks, in [-2**31, 2**31).
    """
    return (later - earlier + _HALF_32) % _FULL_32 - _HALF_32


def sequence_between(earlier: int, later: int) -> int:
    """Return the signed distance between two 16-bit sequence numbers, in [-2**15, 2**15)."""
    return (later - earlier + _HALF_16) % _FULL_16 - _HALF_16


def timestamp_after(timestamp: int, ticks: int) -> int:
    """Return the timestamp ``ticks`` later (earlier if negative), in [0, 2**32)."""
    return (timestamp + ticks) % _FULL_32


def sequence_after(sequence: int, packets: int) -> int:
    """Return the sequence number ``packets`` later (earlier if negative), in [0, 2**16)."""
    return (sequence + packets) % _FULL_16


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpPacket:
    """One RTP packet (RFC 3550 section 5.1).

    Attributes:
        payload_type: In [0, 127].
        sequence: In [0, 2**16).
        timestamp: Ticks of the codec's clock, in [0, 2**32).
        ssrc: In [0, 2**32).
        payload: Without padding.
        is_marked: The marker bit.
        csrcs: At most 15 contributing sources.
        extension: Profile number and contents (a multiple of four bytes), or None.
        padding_bytes: Bytes of padding, the count byte included; 0 or in [1, 255].
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    is_marked: bool = False
    csrcs: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    padding_bytes: int = 0


def parse_rtp(data: bytes) -> RtpPacket:
    """Parse one datagram as RTP.

    Raises:
        MalformedPacketError: Too short for what the header announces, or another version.
    """
    if len(data) < RTP_HEADER_BYTES:
        raise MalformedPacketError(f"RTP header has 12 bytes, got {len(data)}")
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    if first >> 6 != _RTP_VERSION:
        raise MalformedPacketError(f"RTP version 2 expected, got {first >> 6}")
    csrc_count = first & 0x0F
    at = RTP_HEADER_BYTES + 4 * csrc_count
    if len(data) < at:
        raise MalformedPacketError(f"{csrc_count} contributing sources need {at} bytes, got {len(data)}")
    csrcs = struct.unpack_from(f"!{csrc_count}I", data, RTP_HEADER_BYTES)
    extension, at = _parse_extension(data, at) if first & 0x10 else (None, at)
    padding_bytes = _padding_of(data, at) if first & 0x20 else 0
    return RtpPacket(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=bytes(data[at : len(data) - padding_bytes]),
        is_marked=bool(second & 0x80),
        csrcs=csrcs,
        extension=extension,
        padding_bytes=padding_bytes,
    )


def _parse_extension(data: bytes, at: int) -> tuple[tuple[int, bytes], int]:
    if len(data) < at + 4:
        raise MalformedPacketError(f"extension header needs {at + 4} bytes, got {len(data)}")
    profile, words = struct.unpack_from("!HH", data, at)
    end = at + 4 + 4 * words
    if len(data) < end:
        raise MalformedPacketError(f"extension of {words} words needs {end} bytes, got {len(data)}")
    return (profile, bytes(data[at + 4 : end])), end


def _padding_of(data: bytes, at: int) -> int:
    padding = data[-1]
    if padding == 0 or at + padding > len(data):
        raise MalformedPacketError(f"padding of {padding} bytes in {len(data) - at} bytes of payload")
    return padding


def build_rtp(packet: RtpPacket) -> bytes:
    """Build the datagram of a packet; ``build_rtp(parse_rtp(data)) == data`` but for the values of padding bytes.

    Raises:
        ValueError: A field is out of range.
    """
    if len(packet.csrcs) > 15 or not 0 <= packet.payload_type <= 127 or not 0 <= packet.padding_bytes <= 255:
        raise ValueError("more than 15 contributing sources, payload type above 127 or padding above 255")
    first = (
        _RTP_VERSION << 6
        | (0x20 if packet.padding_bytes else 0)
        | (0x10 if packet.extension is not None else 0)
        | len(packet.csrcs)
    )
    second = packet.payload_type | (0x80 if packet.is_marked else 0)
    try:
        head = struct.pack("!BBHII", first, second, packet.sequence, packet.timestamp, packet.ssrc)
        head += struct.pack(f"!{len(packet.csrcs)}I", *packet.csrcs)
        if packet.extension is not None:
            profile, contents = packet.extension
            if len(contents) % 4:
                raise ValueError(f"extension contents are a multiple of 4 bytes, got {len(contents)}")
            head += struct.pack("!HH", profile, len(contents) // 4) + contents
    except struct.error as error:
        raise ValueError(f"a field of the RTP header is out of range: {error}") from None
    padding = bytes(packet.padding_bytes - 1) + bytes([packet.padding_bytes]) if packet.padding_bytes else b""
    return head + packet.payload + padding


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephoneEvent:
    """Payload of an RFC 4733 event packet (section 2.3).

    Attributes:
        event: 0-9 digits, 10 ``*``, 11 ``#``, 12-15 ``A-D``; others are no keys. In [0, 255].
        is_end: The E bit.
        volume: Power in -dBm0, in [0, 63].
        duration: Ticks since the event's timestamp, in [0, 65535].
    """

    event: int
    is_end: bool
    volume: int
    duration: int


def parse_event(payload: bytes) -> TelephoneEvent:
    """Parse the payload of an event packet; further events in one payload (section 2.5.1.2) are ignored.

    Raises:
        MalformedPacketError: Shorter than four bytes.
    """
    if len(payload) < 4:
        raise MalformedPacketError(f"event payload has 4 bytes, got {len(payload)}")
    event, flags, duration = struct.unpack_from("!BBH", payload)
    return TelephoneEvent(event=event, is_end=bool(flags & 0x80), volume=flags & 0x3F, duration=duration)


def build_event(event: TelephoneEvent) -> bytes:
    """Build the payload of an event packet, four bytes; ValueError for a field out of range."""
    if not (0 <= event.event <= 255 and 0 <= event.volume <= 63 and 0 <= event.duration <= 65535):
        raise ValueError("event above 255, volume above 63 or duration above 65535")
    return struct.pack("!BBH", event.event, (0x80 if event.is_end else 0) | event.volume, event.duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionReport:
    """One report block (RFC 3550 section 6.4.1); ``lost`` is signed, in [-2**23, 2**23)."""

    ssrc: int
    fraction_lost: int
    lost: int
    highest_sequence: int
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderInfo:
    """The sender's part of an SR: 64-bit NTP time, RTP timestamp, counts modulo 2**32 (RFC 3550 section 6.4.1)."""

    ntp_time: int
    timestamp: int
    packets: int
    octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcpReport:
    """An SR (``sender`` given) or an RR (``sender`` None), with at most 31 report blocks."""

    ssrc: int
    sender: SenderInfo | None
    reports: tuple[ReceptionReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RtcpDescription:
    """One chunk of an SDES with its CNAME, or "" where it has none (RFC 3550 section 6.5)."""

    ssrc: int
    cname: str


RtcpPacket = RtcpReport | RtcpDescription


def parse_rtcp(data: bytes) -> tuple[RtcpPacket, ...]:
    """Parse a compound RTCP datagram; packets of other types (BYE, APP, feedback) are passed over.

    Raises:
        MalformedPacketError: A length, a count or a version does not fit; nothing of the datagram counts.
    """
    packets: list[RtcpPacket] = []
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise MalformedPacketError(f"RTCP packet has at least 8 bytes, got {len(data) - at}")
        first, kind, words = struct.unpack_from("!BBH", data, at)
        end = at + 4 + 4 * words
        if first >> 6 != _RTP_VERSION:
            raise MalformedPacketError(f"RTCP version 2 expected, got {first >> 6}")
        if words < 1 or end > len(data):
            raise MalformedPacketError(f"RTCP length of {4 + 4 * words} bytes, {len(data) - at} are left")
        body = bytes(data[at + 4 : end - (_padding_of(data[:end], at + 4) if first & 0x20 else 0)])
        if kind in {RTCP_SR, RTCP_RR}:
            packets.append(_parse_report(body, first & 0x1F, is_sender=kind == RTCP_SR))
        elif kind == RTCP_SDES:
            packets.extend(_parse_descriptions(body, first & 0x1F))
        at = end
    return tuple(packets)


def _parse_report(body: bytes, count: int, *, is_sender: bool) -> RtcpReport:
    at = 24 if is_sender else 4
    if len(body) < at + count * _REPORT_BYTES:
        raise MalformedPacketError(f"{count} report blocks need {at + count * _REPORT_BYTES} bytes, got {len(body)}")
    (ssrc,) = struct.unpack_from("!I", body)
    sender = None
    if is_sender:
        ntp_time, timestamp, packets, octets = struct.unpack_from("!QIII", body, 4)
        sender = SenderInfo(ntp_time=ntp_time, timestamp=timestamp, packets=packets, octets=octets)
    reports = tuple(_parse_block(body, at + i * _REPORT_BYTES) for i in range(count))
    return RtcpReport(ssrc=ssrc, sender=sender, reports=reports)


def _parse_block(body: bytes, at: int) -> ReceptionReport:
    ssrc, loss, highest, jitter, last_sr, delay = struct.unpack_from("!IIIIII", body, at)
    lost = loss & 0xFFFFFF
    return ReceptionReport(
        ssrc=ssrc,
        fraction_lost=loss >> 24,
        lost=lost - (1 << 24) if lost & 0x800000 else lost,
        highest_sequence=highest,
        jitter=jitter,
        last_sr=last_sr,
        delay_since_last_sr=delay,
    )


def _parse_descriptions(body: bytes, count: int) -> list[RtcpDescription]:
    chunks: list[RtcpDescription] = []
    at = 0
    for _ in range(count):
        if len(body) < at + 4:
            raise MalformedPacketError(f"{count} SDES chunks announced, {len(chunks)} found")
        (ssrc,) = struct.unpack_from("!I", body, at)
        cname, at = _parse_items(body, at + 4)
        chunks.append(RtcpDescription(ssrc=ssrc, cname=cname))
    return chunks


def _parse_items(body: bytes, at: int) -> tuple[str, int]:
    """Read the items of one SDES chunk; returns its CNAME and where the next chunk begins."""
    cname = ""
    while at < len(body) and body[at] != 0:
        if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
            raise MalformedPacketError("an SDES item runs past the end of its packet")
        if body[at] == _SDES_CNAME:
            cname = body[at + 2 : at + 2 + body[at + 1]].decode("utf-8", "replace")
        at += 2 + body[at + 1]
    if at >= len(body):
        raise MalformedPacketError("an SDES chunk has no end")
    return cname, (at // 4 + 1) * 4


def build_rtcp(packets: tuple[RtcpPacket, ...]) -> bytes:
    """Build a compound datagram, one RTCP packet for each value; ValueError for a field out of range."""
    try:
        return b"".join(
            _build_report(packet) if isinstance(packet, RtcpReport) else _build_description(packet)
            for packet in packets
        )
    except struct.error as error:
        raise ValueError(f"a field of the RTCP packet is out of range: {error}") from None


def _build_report(report: RtcpReport) -> bytes:
    if len(report.reports) > _MAX_REPORTS:
        raise ValueError(f"at most 31 report blocks, got {len(report.reports)}")
    body = struct.pack("!I", report.ssrc)
    if report.sender is not None:
        sender = report.sender
        body += struct.pack("!QIII", sender.ntp_time, sender.timestamp, sender.packets, sender.octets)
    for block in report.reports:
        loss = block.fraction_lost << 24 | block.lost & 0xFFFFFF
        body += struct.pack(
            "!IIIIII", block.ssrc, loss, block.highest_sequence, block.jitter, block.last_sr, block.delay_since_last_sr
        )
    kind = RTCP_RR if report.sender is None else RTCP_SR
    return struct.pack("!BBH", _RTP_VERSION << 6 | len(report.reports), kind, len(body) // 4) + body


def _build_description(description: RtcpDescription) -> bytes:
    name = description.cname.encode()
    body = struct.pack("!IBB", description.ssrc, _SDES_CNAME, len(name)) + name
    body += bytes(4 - len(body) % 4)
    return struct.pack("!BBH", _RTP_VERSION << 6 | 1, RTCP_SDES, len(body) // 4) + body
