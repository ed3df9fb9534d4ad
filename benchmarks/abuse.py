"""Do fuzzed packets harm the daemon, or a call that stands beside them?

Spoilt SIP, RTP, RTCP, UDPTL and noise are sent to a real recorder: SIP from a peer that may send as much as it likes
(most of it), and from a stranger; media at the ports of calls in progress, from addresses that nobody signalled. Two
calls stream A-law all the while, each packet of them known by name.
Metric: whether the daemon lives, tracebacks in its log, packets of the calls that were lost or damaged, the calls'
outcomes, resident memory after each tenth of the packets, descriptors, what health counted.
Command: ``python -m benchmarks.abuse --packets 1000000 [--rate 5000] [--seed 1] [--json]``.
"""

import argparse
import collections
import dataclasses
import json
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.home import HomeError, RecorderHome
from benchmarks.loaded_recorder import LoadedRecorder, loaded_recorder
from benchmarks.machine import Holdings, holdings, measured_here
from benchmarks.mutate import mutate
from benchmarks.outcomes import outcomes_of
from benchmarks.placed import FIRST_EXTENSION, PlacedCalls
from benchmarks.ports import PortsError, media_ports
from benchmarks.streams import DescriptorsError

PEER, STRANGER = "127.0.0.3", "127.0.0.9"
CALLS = 2
MAX_GROWTH, WARM_KB = 0.05, 16_384
"""Of resident memory in the second half; a short run fills caches, of 32 to 64 s, to the end, but not by more."""

_JOIN_S, _CALM_S, _TELL_EVERY = 30.0, 60.0, 5000
_PARTS = 10
_MAX_DATAGRAM = 9000
_Address = tuple[str, int]
_TOKENS = (
    b"\r\n", b"\r\n\r\n", b"Via: SIP/2.0/UDP ", b"Content-Length: ", b"CSeq: ", b";tag=", b'"', b"<sip:", b",", b"%00",
    b"SIP/2.0", b"Route: ", b"Contact: *\r\n", b"m=audio 1 RTP/AVP 8\r\n", b"c=IN IP4 ", b"Require: x\r\n", b"tel:",
)  # fmt: skip


@dataclasses.dataclass
class Outcome:
    """What a run came to."""

    sent: dict[str, int]
    seconds: float
    seed: int
    is_alive: bool
    tracebacks: int
    faults: int
    packets_lost: int
    packets_damaged: int
    standing_calls: int
    outcomes: dict[str, int]
    traceback: str
    resident_kb: tuple[int, ...]
    descriptors: tuple[int | None, int | None]
    calls_left: int
    signalling: dict[str, int]
    media_dropped: int

    @property
    def growth(self) -> float:
        """Return by how much resident memory grew in the second half of the packets."""
        return self.resident_kb[-1] / self.resident_kb[len(self.resident_kb) // 2] - 1

    @property
    def is_unharmed(self) -> bool:
        """Tell whether neither the daemon nor a call took harm."""
        return (
            self.is_alive
            and self.tracebacks == self.faults == self.packets_lost == self.packets_damaged == self.calls_left == 0
            and self.standing_calls == self.outcomes.get("recorded", 0) == CALLS
            and (self.growth < MAX_GROWTH or self.resident_kb[-1] - self.resident_kb[0] < WARM_KB)
        )


def measure(*, packets: int, rate: float, seed: int) -> dict[str, Any]:
    """Run it and return the document.

    Raises:
        HomeError: The recorder could not be run.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        edits = _edits(sink.getsockname()[1])
        with loaded_recorder(PlacedCalls(CALLS), ports=media_ports(CALLS + 400), notice_s=0.4, edits=edits) as loaded:
            outcome = _through(loaded, packets=packets, rate=rate, seed=seed)
    return {**dataclasses.asdict(outcome), "growth": round(outcome.growth, 4), "is_unharmed": outcome.is_unharmed}


def _edits(sink: int) -> list[tuple[str, str]]:
    """Let the peer send what it likes, and lead the calls it makes to where nobody answers."""
    peer = f'[[peer]]\nname = "fuzzer"\nnetworks = ["{PEER}/32"]\ncalls_per_s = 1e5\nrequests_per_s = 1e5\n\n'
    route = f'[[route]]\nname = "sink"\nnumber = "4"\ntargets = ["127.0.0.1:{sink}"]\n\n'
    return [
        ('number = ""  ', f'number = "{FIRST_EXTENSION // 10}"  '),
        ("[emergency]\n", peer + route + "[emergency]\n"),
    ]


def _through(loaded: LoadedRecorder, *, packets: int, rate: float, seed: int) -> Outcome:
    home, placed = loaded.home, loaded.placed
    loaded.place_all(10, timeout_s=_JOIN_S)
    flood = _Flood(loaded.sip, placed, seed)
    began = time.monotonic()
    early = holdings(home.pid)
    resident = []
    with flood:
        for part in range(_PARTS):
            flood.send(packets * (part + 1) // _PARTS - packets * part // _PARTS, rate)
            resident.append(holdings(home.pid).resident_kb)
    seconds = time.monotonic() - began
    left = _calm(home)
    late = holdings(home.pid)
    standing, health = min(placed.standing(), home.live_calls()), home.health()
    streams = placed.cease()
    placed.hang_up()
    outcomes = _outcomes(home)
    said = home.said
    return Outcome(
        sent=dict(flood.sent),
        seconds=round(seconds, 1),
        seed=seed,
        is_alive=home.is_alive,
        tracebacks=said.count("Traceback"),
        faults=health["counts"]["faults"],
        packets_lost=streams.lost,
        packets_damaged=streams.damaged + streams.strayed,
        standing_calls=standing,
        outcomes=outcomes,
        traceback=said[said.find("Traceback") - 200 :][:3000] if "Traceback" in said else "",
        resident_kb=tuple(resident),
        descriptors=_descriptors(early, late),
        calls_left=left,
        signalling=health["signalling"],
        media_dropped=health["media"]["dropped"],
    )


def _descriptors(early: Holdings, late: Holdings) -> tuple[int | None, int | None]:
    return early.descriptors, late.descriptors


def _calm(home: RecorderHome) -> int:
    """Wait until only the calls beside are left; return how many others stayed."""
    deadline = time.monotonic() + _CALM_S
    while (left := home.live_calls() - CALLS) > 0 and time.monotonic() < deadline:
        time.sleep(0.2)
    return left


def _outcomes(home: RecorderHome) -> dict[str, int]:
    """Return the outcomes of the calls beside, once they are filed."""
    deadline = time.monotonic() + _JOIN_S
    while True:
        rows = [row for row in home.find() if str(row.get("caller", "")).startswith("0207946")]
        if len(rows) >= CALLS or time.monotonic() > deadline:
            return outcomes_of(rows)
        time.sleep(0.2)


class _Flood:
    """Sends spoilt packets of every kind at a steady rate."""

    def __init__(self, sip: _Address, placed: PlacedCalls, seed: int) -> None:
        self._rng = random.Random(seed)
        self._sip = sip
        self._peer, self._stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self._peer.bind((PEER, 0))
        self._stranger.bind((STRANGER, 0))
        legs = [call.remote_media for call in (*placed.placed, *placed.officer.incoming()) if call.remote_media]
        self._media = [(host, port + step) for host, port in legs for step in (0, 1)]
        self._sip_seeds = list(_sip_seeds(self._peer.getsockname()[1], placed))
        self._media_seeds = list(_media_seeds())
        self.sent: collections.Counter[str] = collections.Counter()

    def __enter__(self) -> "_Flood":
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()
        self._stranger.close()

    def send(self, packets: int, rate: float) -> None:
        """Send so many packets, ``rate`` a second by absolute deadlines."""
        began = time.monotonic()
        for number in range(packets):
            if number % 50 == 0:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
            if number % _TELL_EVERY == 0 and sys.stderr.isatty():
                print(f"\r{sum(self.sent.values())} packets", end="", file=sys.stderr, flush=True)
            self._one()

    def _one(self) -> None:
        kind = self._rng.choices(("sip", "stranger", "rtp", "noise"), (40, 5, 45, 10))[0]
        self.sent[kind] += 1
        if kind in ("sip", "stranger"):
            data = mutate(self._rng.choice(self._sip_seeds), self._rng, self._sip_seeds, _TOKENS)
            if self._rng.random() < 0.5:
                data = data.replace(b"BRANCH", b"%x" % self._rng.getrandbits(60))
            (self._peer if kind == "sip" else self._stranger).sendto(data[:_MAX_DATAGRAM], self._sip)
            return
        seed = self._rng.choice(self._media_seeds) if kind == "rtp" else self._rng.randbytes(self._rng.randrange(400))
        data = mutate(seed, self._rng, self._media_seeds, ())
        self._stranger.sendto(data[:_MAX_DATAGRAM], self._rng.choice(self._media))


def _sip_seeds(port: int, placed: PlacedCalls) -> Iterator[bytes]:
    """Yield messages of every method: new calls, requests for nothing, and the tags of the calls that stand."""
    sdp = (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n"
        "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
    ids = [("spoilt-BRANCH@x", "1", ""), ("spoilt-BRANCH@x", "1", ";tag=none")]
    ids += [(call.call_id, call.invite.tag("from"), f";tag={call.received[-1].tag('to')}") for call in placed.placed]
    for method in (
        "INVITE",
        "OPTIONS",
        "BYE",
        "CANCEL",
        "ACK",
        "INFO",
        "UPDATE",
        "REGISTER",
        "PRACK",
        "REFER",
        "NOTIFY",
    ):
        for call_id, tag, to_tag in ids:
            body = sdp if method in ("INVITE", "UPDATE") else ""
            yield (
                f"{method} sip:4711@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {PEER}:{port};branch=z9hG4bKBRANCH;rport\r\n"
                f'Max-Forwards: 70\r\nFrom: "A, \\"B\\"" <sip:0163@x>;tag={tag}\r\nTo: <sip:4711@x>{to_tag}\r\n'
                f"Call-ID: {call_id}\r\nCSeq: 1 {method}\r\nContact: <sip:a@{PEER}:{port};transport=UDP>\r\n"
                f"P-Asserted-Identity: <sip:4711@x>\r\nDiversion: <sip:1@x>;reason=busy\r\n"
                f"Record-Route: <sip:{PEER};lr>\r\n"
                f"Session-Expires: 1800;refresher=uac\r\nSupported: timer, 100rel\r\nContent-Type: application/sdp\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
    yield (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKBRANCH\r\nFrom: <sip:a@x>;tag=1\r\n"
        b"To: <sip:b@x>;tag=2\r\nCall-ID: spoilt\r\nCSeq: 1 INVITE\r\nContact: <sip:b@x>\r\nContent-Length: 0\r\n\r\n"
    )


def _media_seeds() -> Iterator[bytes]:
    """Yield RTP, events, RTCP with many reports (AST-2017-012), and UDPTL (AST-2016-003)."""
    yield struct.pack("!BBHII", 0x80, 8, 1, 160, 7) + b"\xd5" * 160
    yield struct.pack("!BBHIIIHH", 0x9F, 136, 65535, 2**32 - 1, 7, 1, 0xBEDE, 1) + b"\0" * 200
    yield struct.pack("!BBHIIBBH", 0x80, 229, 2, 160, 7, 5, 0x8A, 800)
    report = struct.pack("!BBHIQIII", 0x81, 200, 12, 7, 1 << 40, 160, 1, 160) + struct.pack("!IIIIII", 9, 0, 5, 1, 2, 3)
    yield report
    yield struct.pack("!BBHI", 0x9F, 201, 1 + 6 * 31, 7) + report[28:] * 31
    yield report * 30
    yield struct.pack("!HB", 1, 6) + b"\xff" * 60


def _print(document: dict[str, Any]) -> None:
    print("{sent} in {seconds} s, seed {seed}".format_map(document))
    print(
        "alive: {is_alive}, tracebacks: {tracebacks}, faults: {faults}, calls left: {calls_left}".format_map(document)
    )
    print("the calls beside: {outcomes}, lost {packets_lost}, damaged {packets_damaged}".format_map(document))
    print("resident kB: {resident_kb} ({growth:+.1%}), descriptors: {descriptors}".format_map(document))
    print("signalling: {signalling}, media dropped: {media_dropped}".format_map(document))
    print("unharmed" if document["is_unharmed"] else "HARMED")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 unharmed, 1 not, or a sentence says why it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abuse", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--rate", type=float, default=5000.0, help="packets a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.packets < 100 or options.rate <= 0:
        parser.error("at least 100 packets, at a rate above 0")
    try:
        document = measure(packets=options.packets, rate=options.rate, seed=options.seed)
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    return 0 if document["is_unharmed"] else 1


if __name__ == "__main__":
    sys.exit(main())
