"""Media that nobody asked for: strangers, floods, wrong sizes, RTCP that lies about itself. Calls stay exact."""

import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.exactness import heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.voices import FRAME

RTP = struct.pack("!BBHII", 0x80, 8, 1, 160, 0xBADBAD) + b"\x55" * 160
REPORT = struct.pack("!BBHIQIII", 0x81, 200, 12, 7, 1 << 40, 160, 1, 160) + struct.pack("!IIIIII", 9, 0, 5, 1, 2, 3)
MANY_REPORTS = struct.pack("!BBHI", 0x9F, 201, 1 + 6 * 31, 7) + REPORT[28:] * 31
"""RTCP with as many reports as its count can say, which crashed others (AST-2017-012)."""
UDPTL = struct.pack("!HB", 1, 6) + b"\xff" * 60
FLOOD_PER_S, FLOOD_S = 10_000, 1.5


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path) as made:
        yield made


def legs_of(talk: Talk) -> list[tuple[str, int]]:
    """Return where the recorder takes the RTP of both sides."""
    second = talk.wait_second()
    assert talk.first.remote_media is not None
    assert second.remote_media is not None
    return [talk.first.remote_media, second.remote_media]


def dropped_by_kernel(address: tuple[str, int]) -> int:
    """Return how many datagrams the kernel had no room for at a UDP port of this machine."""
    lines = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    (dropped,) = [int(words[-1]) for words in lines if words[1].endswith(f":{address[1]:04X}")]
    return dropped


def rubbish(rng: random.Random) -> bytes:
    """Return something that has no business at a media port."""
    kind = rng.randrange(7)
    if kind == 0:
        return RTP[: rng.randrange(len(RTP))]
    if kind == 1:
        return RTP + rng.randbytes(rng.choice((1, 700, 3000)))
    if kind == 2:
        return MANY_REPORTS[: rng.randrange(8, len(MANY_REPORTS))]
    if kind == 3:
        return bytes([0x9F]) + REPORT[1:]  # announces 31 reports, has one
    if kind == 4:
        return REPORT * 20
    if kind == 5:
        return UDPTL
    return rng.randbytes(rng.randrange(1, 400))


def assert_exact(talk: Talk) -> None:
    """The recording holds what was said and nothing else, and each heard the other without a gap."""
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    left, right, _ = talk.home.copy(str(row["id"]))
    assert len(kept_of(left, talk.left).spans) == len(kept_of(right, talk.right).spans) == 1
    assert is_gapless(heard_frames(talk.left, talk.right))
    assert is_gapless(heard_frames(talk.right, talk.left, since_s=talk.right.sent[0][1]))


def test_strangers_at_the_media_ports_are_dropped_counted_and_heard_by_nobody(lines: Exchange) -> None:
    talk, other = lines.call(), lines.call()
    talk.join()
    other.join()
    dropped = lines.home.health()["media"]["dropped"]
    rng = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for host, port in legs_of(talk):
            for number in range(150):
                stranger.sendto(RTP, (host, port))
                stranger.sendto(rubbish(rng), (host, port + rng.randrange(2)))
                if number % 10 == 0:
                    time.sleep(0.002)  # what the kernel's buffer cannot hold is nobody's to drop
    talk.talk_for(0.8)
    assert lines.home.health()["media"]["dropped"] >= dropped + 300
    assert_exact(talk)
    assert_exact(other)
    assert "Traceback" not in lines.home.said


def test_a_flood_at_one_leg_is_cleared_away_and_leaves_the_call_beside_exact(lines: Exchange) -> None:
    talk, other = lines.call(), lines.call()
    talk.join()
    other.join()
    sent = [0]

    def flood() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            began = time.monotonic()
            while time.monotonic() - began < FLOOD_S:
                for _ in range(FLOOD_PER_S // 100):
                    stranger.sendto(RTP, legs[0])
                    sent[0] += 1
                time.sleep(max(0.0, began + sent[0] / FLOOD_PER_S - time.monotonic()))

    legs = legs_of(talk)
    dropped = lines.home.health()["media"]["dropped"]
    flooding = threading.Thread(target=flood)
    flooding.start()
    talk.talk_for(FLOOD_S + 0.5)
    flooding.join()
    assert sent[0] > 0.5 * FLOOD_PER_S * FLOOD_S, "the flood was none"
    # The kernel's buffer holds 17 ms of such a flood: a machine that is busy for longer loses packets, and counts them.
    no_room = dropped_by_kernel(legs[0])
    assert no_room < 0.5 * sent[0], "the flood is cleared away, not left in the buffer"
    cleared = lines.home.health()["media"]["dropped"] - dropped
    assert sent[0] - no_room <= cleared <= sent[0]
    row = talk.hang_up()
    left, right, _ = talk.home.copy(str(row["id"]))
    spans = kept_of(left, talk.left).spans
    lost = sum(start - end for (_, end), (start, _) in itertools.pairwise(spans))
    assert lost <= FRAME * (no_room + cleared - sent[0]), "nothing is lost but what there was no room for"
    assert sum(end - start for start, end in spans) > 0.8 * len(left)
    assert len(kept_of(right, talk.right).spans) == 1, "the side that is not flooded loses nothing"
    assert_exact(other)


def test_rubbish_from_the_signalled_address_itself_harms_nothing_but_its_own_call(lines: Exchange) -> None:
    talk, other = lines.call(), lines.call()
    talk.join()
    other.join()
    rng = random.Random(2)
    (host, port), _ = legs_of(talk)
    for _ in range(300):
        talk.left.socket.sendto(rubbish(rng), (host, port))
    talk.talk_for(0.5)
    assert talk.wait_phase("joined")
    row = talk.hang_up()
    assert row["outcome"] in ("recorded", "partial")
    assert_exact(other)
    assert lines.home.health()["counts"]["faults"] == 0
    assert "Traceback" not in lines.home.said
