"""The vocabulary of the audio side: legs, media, prompts, taps, and the events of the media core.

Pure. Units: a *tick* is one period of the RTP clock, 1/8000 s for all three codecs (G.722 too, RFC 3551 section
4.5.2); one tick is one stored byte. Positions count ticks from the moment a tap was opened.
"""

import enum
import math
from dataclasses import dataclass, field
from typing import NewType

LegId = NewType("LegId", int)
"""A media leg: one RTP and one RTCP socket of ours. Never used twice in a process."""

TapId = NewType("TapId", int)
"""A tap: the two channels that a call's recording is made from. Never used twice in a process."""

TICKS_PER_S = 8000

MAX_NETWORKS = 32
"""Networks that one leg can be bound to."""


class Codec(enum.IntEnum):
    """What we bridge and record; the number is the static RTP payload type (RFC 3551 table 4)."""

    PCMU = 0
    PCMA = 8
    G722 = 9

    @property
    def silence(self) -> int:
        """Return the byte that stands for silence where nothing arrived."""
        return {Codec.PCMU: 0xFF, Codec.PCMA: 0xD5, Codec.G722: 0xFA}[self]


class Channel(enum.IntEnum):
    """Sides of a recording: the caller is left, the officer right."""

    LEFT = 0
    RIGHT = 1


class DtmfPolicy(enum.IntEnum):
    """What becomes of RFC 4733 events that arrive on a leg (design section 3.6)."""

    PASS = 0
    """Event packets go on live, with our numbering and their own duration."""
    HOLD_STAR = 1
    """A ``*`` waits for the next digit or 1.5 s; it is replayed in order, or swallowed with it as a control key."""
    SWALLOW = 2
    """Reported, not forwarded."""
    MASK = 3
    """Neither forwarded nor named: reported with digit None."""


class DigitSource(enum.StrEnum):
    """The carrier that brought a digit."""

    RFC4733 = "rfc4733"
    INBAND = "inband"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaAddress:
    """Where a peer wants its RTP and RTCP: IP literal and ports in [1, 65535]."""

    ip: str
    rtp_port: int
    rtcp_port: int


class SrtpSuite(enum.IntEnum):
    """Crypto suites of the media core (RFC 4568 section 6.2, RFC 6188); the number is the core's (enum srtp_suite)."""

    AES_CM_128_HMAC_SHA1_80 = 0
    AES_CM_128_HMAC_SHA1_32 = 1
    AES_256_CM_HMAC_SHA1_80 = 2
    AES_256_CM_HMAC_SHA1_32 = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpKey:
    """The key of one direction.

    Attributes:
        suite: The crypto suite.
        key: Master key, then master salt; may be overwritten once the relay has it. Never shown.
        mki: Value that stands before the authentication tag of each packet of a peer's; ours have none.
        name: What tells the key from another; a name that the leg has already is not set again, so that its count of
            packets goes on (RFC 3711 section 3.3.1).
    """

    suite: SrtpSuite
    key: bytearray = field(repr=False)
    mki: bytes = b""
    name: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpKeys:
    """The keys of a leg: what we send under, and what the peer sends under."""

    send: SrtpKey
    receive: SrtpKey


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFormat:
    """A codec beside the first, with its payload types on packets that we send and that the peer sends."""

    codec: Codec
    send_pt: int
    receive_pt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LegMedia:
    """What a leg's offer/answer settled. Send and receive payload types are separate (RFC 3264 section 6.1).

    Attributes:
        remote: Where we send, or None while the peer is on hold or not yet known.
        codec: The codec that we send.
        send_pt: Payload type that we put on packets we send, in [0, 127].
        receive_pt: Payload type that the peer puts on its packets, in [0, 127].
        send_event_pt: Payload type of telephone-event that we send, or None.
        receive_event_pt: Payload type of telephone-event that we take, or None.
        sends: The peer may be sent to (its direction is sendrecv or recvonly).
        receives: The peer's packets count (its direction is sendrecv or sendonly).
        also_from: IP literal of a second source, with the ports of ``remote``, that is heard while nothing comes from
            ``remote``: a peer with several addresses signals one and may send from the one that its signalling comes
            from. We never send there.
        expected: Of a leg without ``remote``: where the peer's session description says that its packets come from;
            they are heard whatever else comes. None leaves it as it was.
        networks: Of a leg without ``remote``: the networks, as CIDR, of which a source is heard while nothing comes
            from ``expected``; at most `MAX_NETWORKS`, none is from anywhere.
        more: Further codecs that were settled, at most two. The peer may send any of them, and change at any packet
            (RFC 3264 section 5.1). We send one where the other side talks in it and it cannot be converted.
        srtp: The keys, or None for plain RTP. With keys, nothing goes out in the clear, and nothing that is not
            under the peer's key is taken.
    """

    remote: MediaAddress | None
    codec: Codec
    send_pt: int
    receive_pt: int
    send_event_pt: int | None = None
    receive_event_pt: int | None = None
    sends: bool = True
    receives: bool = True
    also_from: str | None = None
    expected: MediaAddress | None = None
    networks: tuple[str, ...] = ()
    more: tuple[PayloadFormat, ...] = ()
    srtp: SrtpKeys | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """Audio to be played to a leg, ready in every codec; one byte a tick.

    ``audio`` maps each Codec to bytes of the same length, a multiple of 160 (20 ms).
    """

    name: str
    audio: dict[Codec, bytes]

    @property
    def duration_s(self) -> float:
        """Return the length in seconds."""
        return len(self.audio[Codec.PCMA]) / TICKS_PER_S


MOST_LOOK_BACK_S = 500.0
"""Longest look-back of a tap, seconds. Its rings are then 8 MB; the core takes rings of up to 2**22 ticks a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapOptions:
    """How a tap keeps audio in memory.

    Attributes:
        look_back_s: Audio younger than this is never handed out, so that a pause can still erase it; in
            [0.5, MOST_LOOK_BACK_S].
        mask_left_digits: Silence every digit of the left channel (the caller), 200 ms either side, on both.
    """

    look_back_s: float = 5.0
    mask_left_digits: bool = True


class MediaIo(enum.StrEnum):
    """How media threads receive and send packets (ADR 70)."""

    AUTO = "auto"
    IO_URING = "io_uring"
    EPOLL = "epoll"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """How the media core is set up.

    Attributes:
        address: Local IP that sockets are bound to.
        ports: First and last RTP/RTCP port, inclusive; RTP is even, RTCP the odd one above.
        quarantine_s: Seconds a closed pair rests, so that stale media meets nobody; only if no other is left is it used
            earlier.
        threads: Media threads.
        lock_memory: mlock the rings; False only where the limit cannot be raised (site-check warns).
        dead_rtp_s: Silence on a bridged leg after which MediaStopped is reported.
        dscp: DSCP of media, 46 is EF (RFC 3246).
        gather_ms: How long a busy media thread lets packets gather before it takes them, in [0, 10]: the delay that it
            adds at most. A wake-up costs as much as several packets, so waiting saves CPU (ADR 9).
        io: How media threads receive and send; with AUTO and IO_URING by epoll where io_uring is not possible.
        io_packets_per_s: What comes faster than this on one leg is read by epoll for 5 s: there a sender gets one
            packet taken for each wake-up, and io_uring would take and relay a flood whole.
        kernel_interfaces: Interfaces by which media comes whose settled streams the kernel relays (ADR 29); none: all
            media goes through sockets. At most 16.
        kernel_packets_per_s: What comes faster than this on one leg goes by its socket: there a sender gets one packet
            taken for each wake-up, and the kernel would relay a flood whole. No codec here has more than 100.
    """

    address: str = "127.0.0.1"
    ports: tuple[int, int] = (30000, 39999)
    quarantine_s: float = 2.0
    threads: int = 1
    lock_memory: bool = True
    dead_rtp_s: float = 10.0
    dscp: int = 46
    gather_ms: float = 2.0
    io: MediaIo = MediaIo.AUTO
    io_packets_per_s: int = 640
    kernel_interfaces: tuple[str, ...] = ()
    kernel_packets_per_s: int = 320


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPressed:
    """A digit ended or was recognised; ``digit`` is None on a masked leg, where digits are counted, never named.

    ``at_ns`` is when, on the monotonic clock in nanoseconds; 0 where that is not known. So with what follows.
    """

    leg: LegId
    digit: str | None
    source: DigitSource
    at_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPressed:
    """A control sequence such as ``*1`` was completed on a HOLD_STAR leg; nothing of it went on."""

    leg: LegId
    keys: str
    source: DigitSource
    at_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretEntered:
    """An entry behind a secret prefix of a HOLD_STAR leg is over; nothing of it went on or is in the recording.

    Attributes:
        leg: The leg it was keyed on.
        prefix: What began it, such as ``*9``.
        digits: At most 12 keys, without the ``#`` that ended them; empty unless complete. Never shown by repr.
        is_complete: It was ended by ``#`` and had at most 12 keys; else it was broken off or 10 s passed without a key.
        source: The carrier of its last key.
        at_ns: When it was over, monotonic.
    """

    leg: LegId
    prefix: str
    digits: str = field(repr=False)
    is_complete: bool
    source: DigitSource
    at_ns: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEnded:
    """A prompt ran to its end or was stopped.

    Attributes:
        leg: The leg it was played to.
        tag: The number given to ``play``.
        packets_sent: Packets the kernel took.
        packets_due: Packets that the whole prompt has.
        complete: It was played to its end, and every packet was sent while the leg could hear it.
    """

    leg: LegId
    tag: int
    packets_sent: int
    packets_due: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaStopped:
    """Nothing has arrived on a bridged leg for ``silent_s`` seconds; a fact, not a hang-up."""

    leg: LegId
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaResumed:
    """Packets arrive again on a leg that was reported as stopped."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReanchored:
    """A channel changed SSRC or jumped in time; its timeline goes on at ``position`` (ticks)."""

    tap: TapId
    channel: Channel
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioLost:
    """The writer did not keep up and a ring ran over: ticks [start, end) of a channel are lost."""

    tap: TapId
    channel: Channel
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaxHeard:
    """A fax calling (CNG 1100 Hz) or answering (CED 2100 Hz) tone was recognised; ``kind`` is cng or ced.

    A calling tone is reported at the end of each burst, an answering tone once it has lasted 2 s. ``pause_s``: seconds
    since the tone of 1100 Hz was last there before a burst of it, infinite if it never was.
    """

    leg: LegId
    kind: str
    pause_s: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceHeard:
    """Somebody speaks on a leg; reported every 0.3 s of speech at most, while `LegControls.report_voice` is on."""

    leg: LegId


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaUnauthentic:
    """Packets that are not under the peer's key come on a leg, and are dropped; said once for each key.

    ``packets`` is how many there have been so far.
    """

    leg: LegId
    packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRefused:
    """Packets come at a leg from a source that is not heard; reported every 10 s at most.

    Attributes:
        leg: The leg.
        ip: IP literal of the newest such source.
        port: Its port.
        packets: Packets so far from all such sources, modulo 2**31.
    """

    leg: LegId
    ip: str
    port: int
    packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMoved:
    """The peer of a leg goes on from another port of the same host, as its NAT has changed it, and is followed there.

    Attributes:
        leg: The leg.
        ip: IP literal of where its packets come from, and go to, from now on.
        port: The port.
    """

    leg: LegId
    ip: str
    port: int


MediaEvent = (
    DigitPressed
    | ControlPressed
    | SecretEntered
    | PromptEnded
    | MediaStopped
    | MediaResumed
    | StreamReanchored
    | AudioLost
    | FaxHeard
    | VoiceHeard
    | MediaUnauthentic
    | SourceRefused
    | SourceMoved
)


class PortsExhaustedError(Exception):
    """No free RTP/RTCP pair is left; nothing was opened."""
