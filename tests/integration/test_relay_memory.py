"""What a tap holds in memory: little while nothing is late, as much as was promised once something is, and no more."""

import os
import random
import re
import resource
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from audio.blocks import AudioRun, LostRange, decode_block
from audio.relay import Relay
from audio.taps import ring_ticks
from audio.types import (
    MOST_LOOK_BACK_S,
    AudioLost,
    Channel,
    Codec,
    LegMedia,
    MediaAddress,
    RelayOptions,
    TapId,
    TapOptions,
)
from recorder.config.settings import Config, Pause
from recorder.service.composition import prepare_first_call
from tests.helpers.recorder_home import eventually

NS_PER_TICK = 125_000
LOOK_BACK, SECOND = 40_000, 8000
MOST = ring_ticks(LOOK_BACK)
AT_FIRST = 51_200
"""Ticks of a ring with a look-back of 5 s: the second between two drains, and 0.4 s more."""
LOCKED = frozenset({"lo"})
"""Flag of a region that is locked: proc_pid_smaps(5)."""
NOBODY = MediaAddress(ip="127.0.0.1", rtp_port=9, rtcp_port=9)


class Taped:
    """A tapped leg, and a sender of noise that never stops, 160 ticks a packet."""

    def __init__(self, relay: Relay) -> None:
        self._relay, self._core = relay, relay._core
        self._leg = relay.open_leg()
        self.speak(Codec.PCMA)
        self._rng = random.Random(7)
        self.said = bytearray()
        self.kept: dict[int, int] = {}
        self.lost: list[LostRange] = []
        self.tap = self._core.open_tap(self._leg, 0, look_back_ticks=LOOK_BACK, ring_ticks=MOST, now_ns=0)

    def speak(self, codec: Codec) -> None:
        """Go over to a codec."""
        self._codec = codec
        self._relay.set_media(self._leg, LegMedia(remote=NOBODY, codec=codec, send_pt=codec, receive_pt=codec))

    def talk_until(self, end: int) -> None:
        """Say what is said up to a tick."""
        for at in range(len(self.said), end, 160):
            payload = self._rng.randbytes(160)
            head = bytes((0x80, self._codec)) + (at // 160).to_bytes(2, "big") + at.to_bytes(4, "big") + b"abcd"
            self._core.inject(self._leg, head + payload, at * NS_PER_TICK)
            self.said += payload

    def drain(self, at: int | None = None) -> None:
        """Take what may be handed out at a tick; None: all that there is."""
        out = bytearray(1 << 18)
        now_ns = len(self.said) if at is None else at
        length, _ = self._core.drain_tap(self.tap, out, is_final=at is None, now_ns=now_ns * NS_PER_TICK)
        for record in decode_block(bytes(out[:length])):
            if isinstance(record, AudioRun):
                self.kept.update({record.start + i: value for i, value in enumerate(record.payload)})
            elif isinstance(record, LostRange):
                self.lost.append(record)

    def close_gate(self, at: int, erase: int) -> int:
        """Shut the gate at a tick and erase the ticks before; return from where."""
        return self._core.gate_close(self.tap, erase, at * NS_PER_TICK)

    @property
    def ticks(self) -> int:
        """Return how long each ring is now."""
        return self._core.counters()["ring_bytes"] // 2


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=False))
    relay.start()
    yield relay
    relay.close()
    assert relay.counters()["ring_bytes"] == 0


@pytest.fixture
def taped(relay: Relay) -> Taped:
    return Taped(relay)


def test_a_ring_is_no_longer_than_a_steady_call_needs(taped: Taped) -> None:
    for second in range(1, 21):
        taped.talk_until(second * SECOND)
        taped.drain(second * SECOND + SECOND // 4)  # the writer is a quarter of a second late each time
    assert taped.ticks == AT_FIRST
    taped.drain()
    assert (bytes(taped.kept.values()), taped.lost) == (bytes(taped.said), [])


@pytest.mark.parametrize("late_s", [1, 2, 3, 4])
def test_a_writer_may_be_late_by_four_seconds(taped: Taped, relay: Relay, late_s: int) -> None:
    taped.talk_until(7 * SECOND)
    taped.drain(7 * SECOND)
    taped.speak(Codec.PCMU)
    taped.talk_until((8 + late_s) * SECOND)
    assert AT_FIRST < taped.ticks <= MOST
    assert taped.ticks - LOOK_BACK < (late_s + 2.5) * SECOND, "no more than it took"
    taped.drain((8 + late_s) * SECOND)
    taped.drain()
    assert [value for _, value in sorted(taped.kept.items())] == list(taped.said)
    assert (taped.lost, relay.events()) == ([], [])


def test_beyond_that_audio_is_lost_and_the_ring_grows_no_more(taped: Taped, relay: Relay) -> None:
    taped.talk_until(MOST + 1600)
    assert taped.ticks == MOST
    taped.drain()
    assert bytes(taped.kept.values()) == bytes(taped.said[:MOST])
    assert taped.lost == [LostRange(channel=Channel.LEFT, start=MOST, ticks=1600)]
    assert relay.events() == [AudioLost(tap=TapId(taped.tap), channel=Channel.LEFT, start=MOST, end=MOST + 1600)]


def test_an_erasure_reaches_what_came_before_the_ring_grew(taped: Taped) -> None:
    taped.talk_until(9 * SECOND)
    assert taped.ticks > AT_FIRST
    from_tick = taped.close_gate(9 * SECOND, LOOK_BACK)
    taped.drain()
    assert from_tick == 4 * SECOND
    assert bytes(taped.kept.values()) == bytes(taped.said[: len(taped.kept)])
    assert 4 * SECOND - 320 < len(taped.kept) <= 4 * SECOND


def test_without_memory_to_grow_into_only_what_does_not_fit_is_lost(taped: Taped) -> None:
    taped.talk_until(AT_FIRST)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1, hard))  # what is mapped stays; nothing more can be
    try:
        taped.talk_until(AT_FIRST + 320)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    taped.talk_until(AT_FIRST + 640)
    taped.drain()
    assert taped.lost == [LostRange(channel=Channel.LEFT, start=AT_FIRST, ticks=320)]
    assert bytes(taped.kept.values()) == bytes(taped.said[:AT_FIRST] + taped.said[AT_FIRST + 320 :])


def huge_pages(*, flags: Set[str] = frozenset()) -> int:
    """Return how many pages of 2 MiB of this process are for what packets touch, and have these flags as well."""
    regions = re.findall(r"^Size: +(\d+) kB$.*?^VmFlags:(.*?)$", Path("/proc/self/smaps").read_text(), re.M | re.S)
    return sum(int(size) // 2048 for size, found in regions if {"hg", *flags} <= set(found.split()))


@pytest.fixture
def relay_without_threads() -> Iterator[Relay]:
    """A relay that is not started: no thread makes slabs in advance."""
    relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=False))
    yield relay
    relay.close()


def test_the_rings_of_calls_lie_together_and_their_place_is_given_back(
    relay_without_threads: Relay,
) -> None:
    relay = relay_without_threads
    # The tap keeps its place, its rings do not.
    relay.taps.release(relay.taps.open(relay.open_leg(), None, TapOptions()))
    without = huge_pages()
    taps = [relay.taps.open(relay.open_leg(), None, TapOptions()) for _ in range(21)]
    assert huge_pages() - without == 3, (
        "20 calls fill one with rings; a second one, and one for what goes with them all"
    )
    for tap in taps[:20]:
        relay.taps.release(tap)
    assert huge_pages() - without == 2
    relay.taps.release(taps[20])
    assert huge_pages() == without


def test_the_next_slab_of_rings_is_made_in_advance() -> None:
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=True)) as relay:
        before = huge_pages(flags=LOCKED)

        def opened(count: int) -> int:
            for _ in range(count):
                relay.taps.open(relay.open_leg(), None, TapOptions())
            return huge_pages(flags=LOCKED) - before

        assert opened(15) == 1, "rings of 20 calls"
        opened(1)
        eventually(lambda: opened(0) == 2, "the next slab is made when less than a quarter is free")
        assert opened(4) == 2
        assert opened(1) == 2, "the 21st call uses the slab made in advance"


def test_the_memory_of_the_first_call_is_there_before_it_and_stays_for_the_next() -> None:
    without_relay = huge_pages()
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=True)) as relay:
        before = huge_pages()
        relay.taps.prepare(TapOptions())
        assert huge_pages() - before == 4, "for legs, taps, rings, and what goes with rings"
        for _ in range(2):
            leg = relay.open_leg()
            tap = relay.taps.open(leg, None, TapOptions())
            assert huge_pages() - before == 4
            relay.taps.release(tap)
            relay.close_leg(leg)
            assert huge_pages() - before == 4
    del relay
    assert huge_pages() == without_relay


def test_a_tap_can_have_the_longest_look_back_that_the_configuration_takes() -> None:
    options = TapOptions(look_back_s=MOST_LOOK_BACK_S)
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False)) as relay:
        relay.taps.prepare(options)
        tap = relay.taps.open(relay.open_leg(), None, options)
        assert relay.taps.position_s(tap) >= 0
        relay.taps.release(tap)


def test_a_start_goes_on_where_no_memory_can_be_prepared(caplog: pytest.LogCaptureFixture) -> None:
    impossible = Config(pause=Pause(look_back_s=MOST_LOOK_BACK_S + 60))
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False)) as relay:
        prepare_first_call(relay, Config())
        assert caplog.messages == []
        prepare_first_call(relay, impossible)
    (message,) = caplog.messages
    assert message.startswith("no memory was prepared for the first call")


def test_no_memory_can_be_prepared_for_a_look_back_that_no_tap_could_have() -> None:
    with Relay(RelayOptions(ports=(41000, 41999), lock_memory=False)) as relay:
        for look_back, ring in ((-1, 4096), (4096, 4096), (0, 512), (0, 4100), (0, 1 << 40)):
            with pytest.raises(ValueError, match="prepare"):
                relay._core.prepare(look_back_ticks=look_back, ring_ticks=ring)


LIMITED = """
from audio.relay import Relay
from audio.types import RelayOptions, TapOptions

relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=True))
taps = 0
try:
    while True:
        relay.taps.open(relay.open_leg(), None, TapOptions())
        taps += 1
except MemoryError:
    locked = next(line for line in open("/proc/self/status") if line.startswith("VmLck"))
    print(taps, locked.split()[1])
"""


def test_where_no_huge_page_may_be_locked_each_ring_is_locked_by_itself() -> None:
    limited = ("unshare", "--user", "--map-root-user", "prlimit", "--memlock=262144:262144")
    said = subprocess.run([*limited, sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["2", str(2 * 2 * AT_FIRST // 1024)]


WAITING = """
import os
import threading
import time
from pathlib import Path

from audio.relay import Relay
from audio.types import Codec, LegMedia, MediaAddress, RelayOptions, TapOptions

waiting = Path(os.environ["WAITING"])
begun = Path(f"{waiting}.begun")
relay = Relay(RelayOptions(ports=(41000, 41999), lock_memory=True))
legs = [relay.open_leg() for _ in range(21)]
nobody = MediaAddress(ip="127.0.0.1", rtp_port=9, rtcp_port=9)
relay.set_media(legs[0], LegMedia(remote=nobody, codec=Codec.PCMA, send_pt=8, receive_pt=8))
for leg in legs[:20]:
    relay.taps.open(leg, None, TapOptions())
waiting.touch()
other = threading.Thread(target=relay.taps.open, args=(legs[20], None, TapOptions()))
other.start()
while not begun.exists():
    time.sleep(0.001)
before, now_ns = relay.counters()["ring_bytes"], time.monotonic_ns()
for number in range(450):
    head = bytes((0x80, 8)) + number.to_bytes(2, "big") + (number * 160).to_bytes(4, "big") + b"abcd"
    relay._core.inject(legs[0], head + bytes(160), now_ns + number * 20_000_000)
print(relay.counters()["ring_bytes"] > before, begun.exists())
begun.unlink(missing_ok=True)
other.join()
relay.close()
"""


def test_a_ring_grows_while_the_kernel_takes_its_time_with_a_huge_page_for_another_call(tmp_path: Path) -> None:
    shim, source = tmp_path / "waiting.so", Path(__file__).with_name("waiting_lock.c")
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True)
    environment = os.environ | {"LD_PRELOAD": str(shim), "WAITING": str(tmp_path / "waiting")}
    said = subprocess.run([sys.executable, "-c", WAITING], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "True"], "it has grown, and the other call waits still"
