"""Is a long call recorded exactly, and played in step, when the clocks of its two sides run apart?

Calls stand for as long as is said; of each, one side's clock runs so many millionths fast and the other's as slow.
When they are over, every recording is opened with the private key and compared with what was sent, byte for byte, and
`recorder recordings verify --all` is run. Metric: channels that are not exact; packets lost; by how much two moments
that were one are heard apart in playback, at worst, and would be without the anchors (goal: at most 40 ms); memory
over time. Command: ``python -m benchmarks.drift --calls 500 --seconds 3600 --skew-ppm 200 [--folder DIR] [--json]``;
needs 16 kB of disk for a call-second. With ``--in-kernel`` the kernel relays what comes by loopback (as root only).
Says once a minute how it goes, on standard error.
"""

import argparse
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.exact import misalignment_ms, read_sides
from benchmarks.home import HomeError, RecorderHome
from benchmarks.loaded_recorder import JOINED_S, loaded_recorder, need_descriptors_for
from benchmarks.machine import cpu_of_family_ms, holdings, measured_here
from benchmarks.outcomes import outcomes_of
from benchmarks.placed import FIRST_EXTENSION, PlacedCalls
from benchmarks.ports import PortsError
from benchmarks.streams import DescriptorsError, delays
from recorder.common.home import Home
from storage.epochs import EpochKeys
from storage.errors import StorageError
from storage.keys import NodeKeys
from storage.reader import open_recording
from storage.vault import Vault

GOAL_MS = 40.0
MOST_GROWN_KB = 150.0
"""Of memory that a call may add in an hour: 72 kB of it is the waveform, which is kept until the call ends."""
_FILED_S, _TOLD_EVERY_S = 180.0, 60.0
_BYTES_PER_CALL_S, _ROOM_BYTES = 17_000, 1 << 30
_WORKERS = 2

Say = Callable[[str], None]


class NoRoomError(Exception):
    """The disk has no room for what will be recorded; the message says how much it takes."""


def need_room(folder: Path, *, calls: int, seconds: float) -> None:
    """Refuse to begin what the disk cannot hold.

    Raises:
        NoRoomError: It cannot.
    """
    needed = round(calls * (seconds + JOINED_S) * _BYTES_PER_CALL_S) + _ROOM_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NoRoomError(
            f"{calls} calls of {seconds:g} s need {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free:"
            " name a folder with more by --folder, or take fewer calls"
        )


def measure(
    *,
    calls: int,
    seconds: float,
    rate: float,
    skew_ppm: int,
    folder: Path,
    in_kernel: bool = False,
    say: Say = lambda _line: None,
) -> dict[str, Any]:
    """Run the calls, compare what was recorded with what was sent, and return the document.

    Raises:
        NoRoomError: The disk cannot hold it.
        HomeError: The recorder could not be run.
    """
    need_room(folder, calls=calls, seconds=seconds)
    with loaded_recorder(PlacedCalls(calls, skew_ppm=skew_ppm), folder=folder, in_kernel=in_kernel) as loaded:
        home, placed = loaded.home, loaded.placed
        placed.place(loaded.sip, rate=rate)
        joined = placed.wait_joined(JOINED_S)
        say(f"{joined} of {calls} calls joined")
        stood = _stand(home, placed, seconds, say)
        relayed_share = home.relayed_share()
        say("the calls are over; comparing")
        compared = _compare_all(home, placed, say)
        verified = home.verify_all()
    about = {"calls": calls, "joined_calls": joined, "rate": rate, "skew_ppm": skew_ppm, "relayed_share": relayed_share}
    document = {**about, **stood, **compared, "verified": verified}
    return {**document, "is_good": is_good(document)}


def _stand(home: RecorderHome, placed: PlacedCalls, seconds: float, say: Say) -> dict[str, Any]:
    """Let the calls stand, end them, and return what was seen meanwhile."""
    began, cpu_before, before = time.monotonic(), cpu_of_family_ms(home.pid), placed.load.histogram()
    memory, told = [_memory(home, 0.0)], began
    while (now := time.monotonic()) < began + seconds:
        time.sleep(min(1.0, began + seconds - now))
        if time.monotonic() - told >= _TOLD_EVERY_S:
            told += _TOLD_EVERY_S
            memory.append(_memory(home, time.monotonic() - began))
            say(f"{memory[-1]['at_s']:.0f} of {seconds:g} s: {placed.standing()} calls, {memory[-1]['resident_kb']} kB")
    took_s, after = time.monotonic() - began, placed.load.histogram()
    memory.append(_memory(home, took_s))
    cpu_s = (cpu_of_family_ms(home.pid) - cpu_before) / 1000
    health = home.health()
    standing = min(placed.standing(), int(health["calls"]))
    packets, stuck = placed.cease(), placed.hang_up(30.0)
    delay = delays(after, before)
    early = next(seen for seen in memory if seen["at_s"] >= min(_TOLD_EVERY_S, took_s / 2) or seen is memory[-1])
    hours = max(took_s - early["at_s"], 1.0) / 3600
    grown_kb = (memory[-1]["resident_kb"] - early["resident_kb"]) / placed.count
    return {
        "seconds": round(took_s, 1),
        "standing_calls": standing,
        "never_ended": stuck,
        "packets_sent": packets.sent,
        "packets_unsent": packets.unsent,
        "packets_lost": packets.lost,
        "packets_damaged": packets.damaged + packets.strayed,
        "late_sends": packets.late_sends,
        "delay_ms": dataclasses.asdict(delay) if delay else None,
        "cpu_ms_per_call_second": round(1000 * cpu_s / (took_s * placed.count), 4),
        "call_thread": health["call_thread"],
        "memory": memory,
        "grown_kb_per_call": round(grown_kb, 1),
        "grown_kb_per_call_hour": round(grown_kb / hours, 1),
    }


def _memory(home: RecorderHome, at_s: float) -> dict[str, Any]:
    held = holdings(home.pid)
    return {"at_s": round(at_s, 1), "resident_kb": held.resident_kb, "descriptors": held.descriptors}


def _compare_all(home: RecorderHome, placed: PlacedCalls, say: Say) -> dict[str, Any]:
    """Compare each recording with its two streams, two at a time."""
    rows = home.wait_outcomes(placed.count, _FILED_S)
    sent = [placed.load.counts(stream)["sent"] for stream in range(2 * placed.count)]
    began, told, problems, found = time.monotonic(), time.monotonic(), list[str](), list[dict[str, Any]]()
    with ProcessPoolExecutor(_WORKERS, mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(compare, home.root, str(row["path"]), index := _index_of(row), sent[2 * index : 2 * index + 2])
            for row in rows
            if row.get("path")
        ]
        for job in as_completed(jobs):
            found.append(job.result())
            problems += found[-1]["problems"]
            if time.monotonic() - told >= _TOLD_EVERY_S:
                told += _TOLD_EVERY_S
                say(f"{len(found)} of {len(jobs)} recordings compared, {len(problems)} problems")
    return {
        "outcomes": outcomes_of(rows),
        "compared_calls": len(found),
        "compared_in_s": round(time.monotonic() - began, 1),
        "exact_channels": sum(one["exact"] for one in found),
        "packets_kept": sum(one["packets"] for one in found),
        "problems": problems[:20],
        "misaligned_ms": max((one["misaligned_ms"] for one in found), default=None),
        "misaligned_ms_without_anchors": max((one["unaligned_ms"] for one in found), default=None),
    }


def _index_of(row: dict[str, Any]) -> int:
    return int(row["extension"]) - FIRST_EXTENSION


def compare(root: Path, path: str, index: int, sent: Sequence[int]) -> dict[str, Any]:
    """Compare one recording with what the two streams of a call sent.

    Args:
        root: The recorder's home.
        path: Of the recording, as its row has it.
        index: Of the call: its streams are ``2 * index`` and ``2 * index + 1``.
        sent: Packets that each of them sent.
    """
    keys = EpochKeys(root / "keys" / "epochs", Home(root).private_keys)
    try:
        reader = open_recording(Vault(root, NodeKeys.load(root)).locate(path), root, keys)
        sides = read_sides(reader.blocks(), (2 * index, 2 * index + 1))
    except (StorageError, OSError) as error:
        return {"exact": 0, "packets": 0, "problems": [f"call {index}: {error}"], "misaligned_ms": 0, "unaligned_ms": 0}
    problems = [
        f"call {index}, {name}: {side.problem or f'{side.packets} packets of {count}'}"
        for name, side, count in zip(("left", "right"), sides, sent, strict=True)
        if side.problem or side.packets != count
    ]
    is_playable = all(len(side.sent) > 1 and side.anchors for side in sides)
    return {
        "exact": 2 - len(problems),
        "packets": sum(side.packets for side in sides),
        "problems": problems,
        "misaligned_ms": misalignment_ms(sides) if is_playable else float("inf"),
        "unaligned_ms": misalignment_ms(sides, is_aligned=False) if is_playable else float("inf"),
    }


def is_good(document: dict[str, Any]) -> bool:
    """Tell whether every channel is exact, in step, and nothing failed or grew."""
    return bool(
        document["exact_channels"] == 2 * document["calls"]
        and document["packets_lost"] == document["packets_damaged"] == document["never_ended"] == 0
        and document["standing_calls"] == document["calls"]
        and document["outcomes"] == {"recorded": document["calls"]}
        and document["misaligned_ms"] <= GOAL_MS
        and document["verified"] == {"good": document["calls"], "bad": 0}
        and (document["seconds"] < 600 or document["grown_kb_per_call_hour"] <= MOST_GROWN_KB)
    )


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 all exact and in step, 1 not so, or a sentence says why it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=500, help="calls at the same time")
    parser.add_argument("--seconds", type=float, default=3600.0, help="for how long they stand")
    parser.add_argument(
        "--skew-ppm", type=int, default=200, help="how fast one side's clock runs, and slow the other's"
    )
    parser.add_argument("--rate", type=float, default=20.0, help="calls placed a second")
    parser.add_argument("--in-kernel", action="store_true", help="have the kernel relay what comes by loopback")
    parser.add_argument("--folder", type=Path, help="where there is room; default the folder for temporary files")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.calls < 1 or options.seconds <= 0 or options.rate <= 0:
        parser.error("calls, seconds and rate must be above 0")
    try:
        need_descriptors_for(options.calls)
        document = measure(
            calls=options.calls,
            seconds=options.seconds,
            rate=options.rate,
            skew_ppm=options.skew_ppm,
            folder=options.folder or Path(tempfile.gettempdir()),
            in_kernel=options.in_kernel,
            say=_tell,
        )
    except (DescriptorsError, HomeError, NoRoomError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    print(json.dumps(document, indent=2 if options.json else None))
    return 0 if document["is_good"] else 1


if __name__ == "__main__":
    sys.exit(main())
