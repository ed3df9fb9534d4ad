"""Same packets through the pure reference and through the media core give the same blocks, hostile packets included."""

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio.types import Channel, Codec
from tests.helpers.extent import examples
from tests.helpers.tap_pair import LOOK_BACK, SSRCS, Act, Event, Legs, Packet, Recode, Script, Step


@pytest.fixture(scope="module")
def legs() -> Iterator[Legs]:
    legs = Legs()
    yield legs
    legs.close()


def acts(rng: random.Random, ssrc: int, timestamp: int) -> Script:
    """Return what the owner of the tap does after a packet: mostly nothing."""
    choices: list[Step] = [
        Act("close", rng.choice([0, 100, 4000, 8000, 20_000, 90_000])),
        Act("open"),
        Act("mask", rng.randrange(-6000, 2000), rng.randrange(2000)),
        Event(ssrc, timestamp, rng.randrange(3000)),
        Recode(rng.choice(list(Codec))),
    ]
    luck = rng.random()
    if luck < 0.12:
        return [(0, rng.choice(choices))]
    return [(0, Act("drain"))] if luck < 0.2 else []


JUMPS = (480_000, -480_000, 3999, 4001, -31_999, -33_000)


def stream(
    seed: int, *, packets: int = 150, ptime: int = 160, jumps: tuple[int, ...] = JUMPS, jumping: float = 0.02
) -> Script:
    """Return a two-way conversation with jitter, loss, duplicates of other content, reordering and jumps."""
    rng = random.Random(seed)
    script: Script = []
    ssrc = {channel: rng.choice(SSRCS) for channel in Channel}
    clock = {channel: rng.randrange(1 << 32) for channel in Channel}
    number = {channel: rng.randrange(1 << 16) for channel in Channel}
    late: list[Packet] = []
    for _ in range(packets):
        script.append((ptime if rng.random() < 0.9 else rng.randrange(4 * ptime), Act("nothing")))
        for channel in Channel:
            clock[channel] += ptime
            number[channel] += 1
            luck = rng.random()
            if luck < jumping:
                clock[channel] += rng.choice(jumps)
            elif luck < jumping + 0.02:
                ssrc[channel] = rng.choice(SSRCS)
            elif luck < jumping + 0.03:
                number[channel] = rng.randrange(1 << 16)
            length = rng.choice([ptime] * 8 + [1, 33, 80, 240, 480])
            packet = Packet(channel, ssrc[channel], clock[channel], rng.randbytes(length), number[channel])
            if luck > 0.95:
                continue
            if luck > 0.9:
                late.append(packet)
                continue
            script.append((0, packet))
            if luck > 0.85:
                script.append((0, replace(packet, payload=rng.randbytes(length))))
        if late and rng.random() < 0.2:
            script.append((rng.randrange(40), late.pop(rng.randrange(len(late)))))
        script += acts(rng, ssrc[Channel.LEFT], clock[Channel.LEFT])
    return script


@settings(max_examples=examples(quick=40, full=200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1 << 30),
    packets=st.integers(1, 120),
    ptime=st.sampled_from([80, 160, 240, 320]),
    is_closed=st.booleans(),
)
def test_core_and_reference_give_the_same_bytes(
    legs: Legs, seed: int, packets: int, ptime: int, is_closed: bool
) -> None:
    legs.compare(stream(seed, packets=packets, ptime=ptime), is_closed=is_closed)


def talk(start: int, count: int, *, ssrc: int = 1, channel: Channel = Channel.LEFT, wait: int = 160) -> Script:
    return [(wait, Packet(channel, ssrc, start + 160 * i, bytes([i % 250 + 1]) * 160)) for i in range(count)]


HOSTILE: dict[str, Script] = {
    "late past resume": [
        *talk(0, 50),
        (0, Act("close", 1000)),
        *talk(8000, 20)[:10],
        (0, Act("open")),
        *talk(8000, 20, wait=1),
        *talk(11_200, 50),
    ],
    "timestamp step of 60 s while closed": [
        *talk(0, 50),
        (0, Act("close", 0)),
        *talk(488_000, 30),
        (0, Act("open")),
        *talk(492_800, 60),
    ],
    "timestamp step of 60 s back": [*talk(600_000, 50), (0, Act("close", 0)), (800, Act("open")), *talk(128_000, 60)],
    "new stream while closed": [
        *talk(0, 50),
        (0, Act("close", 0)),
        *talk(77, 9, ssrc=2),
        (0, Act("open")),
        *talk(1517, 99, ssrc=2),
    ],
    "new stream after resume": [*talk(0, 50), (0, Act("close", 0)), (900, Act("open")), *talk(77, 99, ssrc=2)],
    "flapping streams": [step for i in range(40) for step in talk(160 * i, 1, ssrc=1 + i % 2, wait=80)],
    "a stream that comes back after silence": [*talk(0, 9), *talk(5, 9, ssrc=2), (8001, Act("drain")), *talk(99, 9)],
    "duplicates with other content": [
        step
        for i in range(40)
        for step in (
            (160, Packet(Channel.LEFT, 1, 160 * i, b"a" * 160)),
            (0, Packet(Channel.LEFT, 1, 160 * i, b"b" * 200)),
        )
    ],
    "wrap-around of the timestamp": talk((1 << 32) - 1600, 40),
    "a ring that runs over": [*talk(0, 300), (0, Act("drain")), *talk(48_000, 9)],
    "a burst ahead": [*talk(0, 5), *talk(800, 60, wait=1), (0, Act("drain")), *talk(10_400, 50)],
    "seventy masks": [
        *talk(0, 10),
        *[step for i in range(70) for step in ((0, Event(1, 1600 + 4000 * i, 1)), *talk(1600 + 160 * i, 1))],
        *talk(12_800, 80),
    ],
    "twice closed, twice opened": [
        (100, Act("open")),
        *talk(0, 30),
        (0, Act("close", 160)),
        (160, Act("close", 4000)),
        (160, Act("open")),
        (160, Act("open")),
        *talk(5280, 60),
    ],
    "nothing at all": [(8000, Act("drain")), (8000, Act("close", 5)), (1, Act("open")), (9000, Act("drain"))],
    "empty payloads": [
        (160, Packet(Channel.LEFT, 1, 0, b"")),
        *talk(0, 5),
        (160, Packet(Channel.LEFT, 9, 7, b"")),
        *talk(800, 5),
    ],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_scripts(legs: Legs, name: str) -> None:
    legs.compare(HOSTILE[name])


def test_both_channels_mask_a_digit_of_the_left(legs: Legs) -> None:
    both = [step for i in range(100) for step in (*talk(160 * i, 1), *talk(160 * i, 1, channel=Channel.RIGHT, wait=0))]
    script = [*both[:100], (0, Event(1, 8000, 400)), *both[100:]]
    legs.compare(script)


SECRET, PUBLIC = b"\x01", b"\x02"


def tagged(script: Script) -> Script:
    """Fill each packet with what it is: whether an act of the script asks that nothing of it be kept.

    Secret is what arrives while the gate is closed, and what arrived less than the act's time before it is; and of what
    arrives in a mask what precedes its end. Neither timestamps nor the order of packets have a say in it; nor may they
    have one in what is kept.
    """
    now, is_closed = 0, False
    arrivals: dict[int, int] = {}
    secret: set[int] = set()
    masks: list[tuple[int, int]] = []
    for index, (wait, step) in enumerate(script):
        now += wait
        if isinstance(step, Packet):
            arrivals[index] = now
            secret |= {index} if is_closed else set()
        elif isinstance(step, Act) and step.name == "close":
            is_closed = True
            secret |= {at for at, arrived in arrivals.items() if arrived > now - min(step.a, LOOK_BACK)}
        elif isinstance(step, Act) and step.name == "open":
            is_closed = False
        elif isinstance(step, Act) and step.name == "mask":
            masks.append((now + step.a, now + step.a + step.b))
    return [
        (wait, replace(step, payload=_payload(step, arrivals[i], masks, is_secret=i in secret)))
        if isinstance(step, Packet)
        else (wait, step)
        for i, (wait, step) in enumerate(script)
    ]


def _payload(packet: Packet, arrived: int, masks: list[tuple[int, int]], *, is_secret: bool) -> bytes:
    length = len(packet.payload)
    masked = max([length * is_secret, *(min(end - arrived, length) for start, end in masks if start <= arrived)])
    return SECRET * masked + PUBLIC * (length - masked)


@settings(max_examples=examples(quick=40, full=200), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 30), packets=st.integers(20, 200), ptime=st.sampled_from([80, 160, 240, 320]))
def test_nothing_that_arrived_too_lately_is_kept_whatever_the_timestamps(
    legs: Legs, seed: int, packets: int, ptime: int
) -> None:
    jumps = (480_000, -480_000, 3999, 3999, 2000, 1000, 300, -3000, -20_000)
    kept = legs.compare(tagged(stream(seed, packets=packets, ptime=ptime, jumps=jumps, jumping=0.1)))
    assert SECRET not in kept


def test_clocks_that_jump_ahead_again_and_again_hide_nothing_from_an_erasure(legs: Legs) -> None:
    talking = [step for i in range(8) for step in talk(1600 * i + 3900 * i, 10)]
    script = tagged([*talking, (1, Act("close", 8000))])
    assert sum(step.payload[:1] == SECRET for _, step in script if isinstance(step, Packet)) == 50
    kept = legs.compare(script)
    assert SECRET not in kept
    assert kept == PUBLIC * 30 * 160, "what arrived before is kept"


def test_an_erasure_that_reaches_further_than_is_known_takes_all(legs: Legs) -> None:
    assert legs.compare([*talk(0, 30), (0, Act("close", 90_000)), (9000, Act("drain"))]) == b""


def test_a_clock_that_jumps_ahead_right_after_the_opening_brings_nothing_from_before_it(legs: Legs) -> None:
    late = Packet(Channel.LEFT, 1, 160 * 70 + 3000, b"\xf0" * 160)
    script = [*talk(0, 60), (0, Act("close", 0)), *talk(9600, 10), (0, Act("open")), (40, late), *talk(14_360, 40)]
    kept = legs.compare(script)
    assert b"\xf0" not in kept, "it was said while the gate was closed"
    assert len(kept) > 70 * 160


def held_back(seed: int, *, ptime: int, step: bool) -> Script:
    """Return talk with pauses, of whose closed time the network holds packets back, for any time: SECRET by capture.

    The sender goes on meanwhile, numbers its packets in order, and its clock may step while closed.
    """
    rng = random.Random(seed)
    script: Script = []
    clock, number, ssrc = rng.randrange(1 << 32), rng.randrange(1 << 16), rng.choice(SSRCS)
    held: list[Packet] = []
    is_closed = False
    for at in range(rng.randrange(300, 700)):
        clock, number = clock + ptime, number + 1
        if at and rng.random() < (0.03 if is_closed else 0.01):
            script.append((0, Act("open" if is_closed else "close", 0)))
            is_closed = not is_closed
        if is_closed and step and rng.random() < 0.03:
            clock += rng.choice((480_000, -480_000, 6000, -34_000, -6000))
        packet = Packet(Channel.LEFT, ssrc, clock, (SECRET if is_closed else PUBLIC) * ptime, number)
        if is_closed and rng.random() < 0.5:
            held.append(packet)
            script.append((ptime, Act("nothing")))
        else:
            script.append((ptime, packet))
        if at % 50 == 49:
            script.append((0, Act("drain")))
        if not is_closed and held and rng.random() < 0.05:
            script.append((0, held.pop(rng.randrange(len(held)))))
    return script


@pytest.mark.timeout(600)  # all examples take two minutes where other work takes the processors
@settings(max_examples=examples(quick=8, full=150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 30), ptime=st.sampled_from([80, 160, 240, 320]), step=st.booleans())
def test_nothing_that_was_said_while_closed_is_kept_however_late_it_comes(
    legs: Legs, seed: int, ptime: int, step: bool
) -> None:
    kept = legs.compare(held_back(seed, ptime=ptime, step=step))
    assert SECRET not in kept
    assert len(kept) > 10 * ptime
