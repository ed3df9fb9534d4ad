"""The load, the bare loop and the media benchmark are alive: streams arrive intact and the figures are there."""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import media
from benchmarks.machine import cpu_ms, cpu_of_family_ms, holdings
from benchmarks.paths import MediaPath, PathError
from benchmarks.streams import ALAW, DescriptorsError, Load, delays, jitter, need_descriptors, open_socket, totals
from tests.helpers.recorder_home import HANGS_S

from benchmarks._load import PAYLOAD_BYTES, intact, payload  # isort: skip - built by streams

pytestmark = pytest.mark.usefixtures("begins_at_once")

FIGURES = {
    "cpu_ms_per_call_second",
    "load_cpu_ms_per_call_second",
    "packets_sent",
    "packets_lost",
    "packets_damaged",
    "delay_ms",
    "jitter_ms",
}


@pytest.fixture
def load() -> Iterator[Load]:
    opened = Load(capacity=4)
    yield opened
    opened.close()


def await_received(load: Load, stream: int, name: str, count: int) -> int:
    deadline = time.monotonic() + HANGS_S
    while load.counts(stream)[name] < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return load.counts(stream)[name]


@pytest.mark.parametrize("program", ["bare_loop", "bare_ring"])
@pytest.mark.parametrize("gather_us", [0, media.GATHER_US])
def test_a_bare_loop_passes_every_stream_intact(gather_us: int, program: str) -> None:
    with MediaPath(media.bare_command(gather_us, program), 5) as path:
        result = path.run(seconds=1)
    packets = result.packets
    assert packets.sent > 5 * 2 * 50
    assert (packets.lost, packets.damaged, packets.strayed, packets.duplicates, packets.other) == (0, 0, 0, 0, 0)
    delay = result.steady.delay_ms
    assert delay is not None
    assert 0 < delay.p50 <= delay.p99 <= delay.p99_9 <= delay.max


def test_a_path_that_ends_is_told() -> None:
    with MediaPath(["false"], 1) as path, pytest.raises(PathError, match="ended before"):
        path.run(seconds=1)


def rtp(content: bytes) -> bytes:
    return bytes([0x80, ALAW]) + bytes(10) + content


def test_each_packet_is_judged(load: Load) -> None:
    with open_socket() as near, open_socket() as far:
        load.add_stream(0, near, far.getsockname(), pt=ALAW, peer=1)
        load.start()
        fresh = [payload(1, number, time.monotonic_ns()) for number in range(4)]
        damaged = bytearray(fresh[3])
        damaged[-1] ^= 1
        for content in (fresh[0], fresh[2], fresh[1], fresh[2], bytes(damaged), payload(3, 0, 0), bytes(160), b"short"):
            far.sendto(rtp(content), near.getsockname())
        assert await_received(load, 0, "other", 2) == 2
        load.stop()
        counts = load.counts(0)
    judged = {name: counts[name] for name in ("received", "reordered", "duplicates", "damaged", "strayed")}
    assert judged == {"received": 3, "reordered": 1, "duplicates": 1, "damaged": 1, "strayed": 1}


def test_jitter_is_what_one_packet_took_longer_or_shorter_than_the_one_before(load: Load) -> None:
    """How long a packet took is said by the time in it: each is sent at once, dated back.

    By seconds, so that what the machine takes for a packet itself is nothing beside it.
    """
    took_ms = {0: 1000, 1: 3000, 2: 3000, 3: 500, 5: 8000, 6: 8000, 8: 300, 7: 300}
    with open_socket() as near, open_socket() as far:
        load.add_stream(0, near, far.getsockname(), pt=ALAW, peer=1)
        load.start()
        for number, ms in took_ms.items():
            far.sendto(rtp(payload(1, number, time.time_ns() - ms * 1_000_000)), near.getsockname())
        assert await_received(load, 0, "received", len(took_ms)) == len(took_ms)
        load.stop()
        variations = load.variations()
    found = jitter(variations)
    assert sum(variations) == 4, "1, 2, 3 and 6 followed the one before; 5, 8 and 7 did not"
    assert found is not None
    assert found.mean == pytest.approx((2000 + 0 + 2500 + 0) / 4, abs=100)
    assert found.p99 == found.p99_9 == found.max == pytest.approx(2500, abs=400)
    assert jitter(variations, variations) is None


def test_a_stream_is_paced_and_says_what_it_sent(load: Load) -> None:
    with open_socket() as near, open_socket() as far:
        far.settimeout(HANGS_S)
        load.add_stream(2, near, far.getsockname(), pt=ALAW, peer=3)
        load.start()
        load.begin(2)
        packets = [far.recv(2048) for _ in range(10)]
        load.stop()
    for number, packet in enumerate(packets):
        sent_ns = int.from_bytes(packet[20:28], "little")
        assert packet[12:] == payload(2, number, sent_ns)
    sequence = [int.from_bytes(packet[2:4]) for packet in packets]
    assert [after - before for before, after in itertools.pairwise(sequence)] == [1] * 9
    ticks = [int.from_bytes(packet[4:8]) for packet in packets]
    assert [after - before for before, after in itertools.pairwise(ticks)] == [160] * 9


def least_late_ms(packets: list[bytes], *, ticks_per_ms: float = 8.0) -> float:
    """Return when the most punctual of some packets was sent, by its own words, less its time in the stream.

    On a busy machine each packet may be late, and hardly all of them.
    """
    return min(
        int.from_bytes(packet[20:28], "little") / 1e6 - int.from_bytes(packet[4:8]) / ticks_per_ms
        for packet in packets
    )  # fmt: skip


@pytest.mark.parametrize("skew_ppm", [-100_000, 100_000])
def test_a_clock_that_is_off_is_off_in_packets_a_second(load: Load, skew_ppm: int) -> None:
    with open_socket() as near, open_socket() as far:
        far.settimeout(HANGS_S)
        load.add_stream(1, near, far.getsockname(), pt=ALAW, peer=0, skew_ppm=skew_ppm)
        load.start()
        load.begin(1)
        packets = [far.recv(2048) for _ in range(101)]
        load.stop()
    before, after = (
        least_late_ms(some, ticks_per_ms=8 * (1 + skew_ppm / 1e6)) for some in (packets[:25], packets[-25:])
    )
    assert after == pytest.approx(before, rel=0, abs=35)
    ticks = [int.from_bytes(packet[4:8]) for packet in packets]
    assert ticks[-1] - ticks[0] == 100 * 160


def test_a_skew_that_no_clock_has_is_refused(load: Load) -> None:
    with open_socket() as near, pytest.raises(OSError, match="Invalid argument"):
        load.add_stream(0, near, ("127.0.0.1", 9), pt=ALAW, peer=1, skew_ppm=100_001)


def test_after_a_rest_the_clock_of_a_stream_has_gone_on_and_its_numbers_have_not(load: Load) -> None:
    with open_socket() as near, open_socket() as far:
        far.settimeout(HANGS_S)
        load.add_stream(0, near, far.getsockname(), pt=ALAW, peer=1)
        load.start()
        load.begin(0)
        before = [far.recv(2048) for _ in range(20)]
        load.cease(0)
        time.sleep(0.3)
        far.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                before.append(far.recv(2048))
        far.settimeout(HANGS_S)
        load.begin(0)
        after = [far.recv(2048) for _ in range(20)]
        load.stop()
    last, first = before[-1], after[0]
    assert int.from_bytes(first[2:4]) - int.from_bytes(last[2:4]) == 1
    assert int.from_bytes(first[4:8]) - int.from_bytes(last[4:8]) > 250 * 8
    assert least_late_ms(after) == pytest.approx(least_late_ms(before), rel=0, abs=19)


def test_stored_payloads_are_compared_up_to_the_first_that_is_not_the_one_that_was_sent() -> None:
    stored = [payload(5, number, number) for number in range(7, 11)]
    assert intact(5, 7, b"".join(stored)) == 4
    assert intact(5, 7, b"".join(stored)[:-1]) == 3
    assert intact(4, 7, b"".join(stored)) == intact(5, 8, b"".join(stored)) == 0
    stored[2] = stored[2][:-1] + bytes([stored[2][-1] ^ 1])
    assert intact(5, 7, b"".join(stored)) == 2
    assert intact(5, 7, b"") == 0
    assert len(stored[0]) == PAYLOAD_BYTES


def test_what_nobody_received_is_lost(load: Load) -> None:
    with open_socket() as near, open_socket() as far:
        load.add_stream(0, near, far.getsockname(), pt=ALAW, peer=1)
        load.start()
        load.begin(0)
        await_received(load, 0, "sent", 5)
        load.cease(0)
        load.stop()
        assert totals(load, [0]).lost == load.counts(0)["sent"] >= 5


def test_a_slot_is_used_once(load: Load) -> None:
    with open_socket() as near:
        load.add_stream(0, near, ("127.0.0.1", 9), pt=ALAW, peer=1)
        with pytest.raises(OSError, match="Invalid argument"):
            load.add_stream(0, near, ("127.0.0.1", 9), pt=ALAW, peer=1)
        with pytest.raises(OSError, match="Invalid argument"):
            load.begin(4)


def test_delays_are_upper_bounds_of_buckets() -> None:
    histogram = [0] * 19901
    histogram[2], histogram[9999], histogram[10000] = 989, 10, 1
    found = delays(histogram)
    assert found is not None
    assert (found.p50, found.p99, found.p99_9, found.max) == (0.03, 100.0, 100.0, 101.0)
    assert delays(histogram, histogram) is None


def test_too_many_descriptors_are_refused_with_the_limit() -> None:
    with pytest.raises(DescriptorsError, match=r"needs \d+ open files and the limit is \d+"):
        need_descriptors(1 << 40)


def test_an_unknown_process_has_no_cpu_time() -> None:
    with pytest.raises(ProcessLookupError):
        cpu_ms(1 << 22)  # the kernel gives numbers below that
    with pytest.raises(ProcessLookupError):
        holdings(1 << 30)


def test_cpu_time_is_that_of_the_process() -> None:
    before, own = cpu_ms(os.getpid()), time.process_time()
    while time.process_time() < own + 0.05:
        pass
    assert 50 <= cpu_ms(os.getpid()) - before < 500
    assert holdings(os.getpid()).resident_kb > 1000


@pytest.mark.long
def test_the_document_has_its_keys_and_ratios_to_the_loop_that_gathers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "media.png"
    arguments = ["--calls", "2", "--seconds", "0.5", "--rounds", "1", "--only", "bare_gathering", "core", "--json"]
    arguments += ["--plot", str(picture)]
    assert media.main(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {
        "bare_gathering", "core", "ratios", "calls", "seconds", "rounds", "machine", "commit", "date",
    }  # fmt: skip
    assert set(document["core"]) >= FIGURES
    assert set(document["machine"]) == {"cpu", "cores", "memory_mib", "kernel", "python"}
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert document["core"]["packets_lost"] == 0
    floor, core = (document[name]["cpu_ms_per_call_second"] for name in ("bare_gathering", "core"))
    assert document["ratios"] == {"core": round(core / floor, 2)}


def test_the_cpu_time_of_a_path_is_that_of_its_children_too() -> None:
    command = "import time\nwhile time.process_time() < 0.2: pass\ninput()"
    with subprocess.Popen(["sh", "-c", f'"{sys.executable}" -c "{command}"; true'], stdin=subprocess.PIPE) as family:
        deadline = time.monotonic() + HANGS_S
        while cpu_of_family_ms(family.pid) < 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert cpu_of_family_ms(family.pid) >= 200
        assert cpu_ms(family.pid) < 100
        family.communicate(b"\n")


ALONE = [pytest.param(one, marks=pytest.mark.long) for one in ("tones", "no-tones", "written", "voices", "twice")]
"""Modes whose parts the others have as well, or that the media core's own tests have."""


@pytest.mark.parametrize("mode", ["forward", *ALONE, "twice-srtp"])
def test_the_core_passes_every_stream_intact(mode: str) -> None:
    with MediaPath(media.core_command(mode), 3) as path:
        packets = path.run(seconds=0.5).packets
    assert packets.sent > 3 * 2 * 50
    assert (packets.lost, packets.damaged, packets.strayed, packets.duplicates) == (0, 0, 0, 0)
