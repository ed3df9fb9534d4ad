"""How long does a pause take to be answered while 200 calls are recorded, and is the position that it states true?

Metric: milliseconds from the request to the answer, p50 p99 max, of pauses and of resumes at a steady rate on random
calls, by the daemon's socket and by the console with a token. An answer means: gate shut, state on disk, audited. The
position it states must agree with the clock of whoever asked. Beside it, in the same run, what one fdatasync costs.
Command: ``python -m benchmarks.pause --calls 200 --seconds 30 [--rate 20] [--json]``.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.disk import quantiles
from benchmarks.home import HomeError, RecorderHome
from benchmarks.loaded_recorder import JOINED_S, loaded_recorder, need_descriptors_for
from benchmarks.machine import measured_here
from benchmarks.placed import PlacedCalls
from benchmarks.ports import PortsError, free_address
from benchmarks.pressing import Door, Pressed, press
from benchmarks.streams import DescriptorsError
from recorder.control.headers import ACTOR_HEADER

_PLACE_RATE, _SETTLE_S, _SEALED_S = 20.0, 5.0, 60.0
_ERASE_S = 3.0
"""The default of ``[pause] erase_s``: the position a pause states lies so far before the request."""
_FRAME_S = 0.02
"""A packet carries the 20 ms before it was sent: a resume states the position of the first one that is kept whole."""
_NEAR_MS = 20.0


def measure(*, calls: int, seconds: float, rate: float, reason: str = "") -> dict[str, Any]:
    """Run the calls through a recorder with its console and return the document.

    Raises:
        HomeError: The recorder could not be run.
    """
    web = free_address()
    with loaded_recorder(PlacedCalls(calls), service="Payments", console=web) as loaded:
        home, placed = loaded.home, loaded.placed
        placed.place(loaded.sip, rate=_PLACE_RATE)
        joined = placed.wait_joined(JOINED_S)
        time.sleep(_SETTLE_S)
        ids = [str(call["id"]) for call in home.calls()]
        done = {name: pressed(home, door, ids, seconds, rate) for name, door in _doors(home, web, reason).items()}
        standing = min(placed.standing(), home.live_calls())
        packets = placed.cease()
        placed.hang_up()
        started = started_of(home, calls)
        audited = home.audited("call.pause") + home.audited("call.resume")
    return {
        "calls": calls,
        "joined_calls": joined,
        "standing_calls": standing,
        "packets_lost": packets.lost,
        "rate": rate,
        "seconds": seconds,
        "reason": bool(reason),
        **{name: {**summary(acts, started), "fdatasync_ms": disk} for name, (acts, disk) in done.items()},
        "acts_audited": audited,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _doors(home: RecorderHome, web: tuple[str, int], reason: str) -> dict[str, Door]:
    by_socket = Door(
        address=str(home.root / "recorder.sock"), headers={**JSON, ACTOR_HEADER: "token:payments"}, reason=reason
    )
    token = {"Authorization": f"Bearer {home.add_token('payments', 'pause')}"}
    by_console = Door(address=web, headers={**JSON, **token}, reason=reason)
    return {"socket": by_socket, "console": by_console}


JSON = {"Content-Type": "application/json"}


def pressed(
    home: RecorderHome, door: Door, calls: Sequence[str], seconds: float, rate: float
) -> tuple[list[Pressed], dict[str, float] | None]:
    """Press, and measure the disk meanwhile in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.disk", str(home.root), "--seconds", f"{seconds:g}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as disk:
        acts = press(door, calls, seconds=seconds, rate=rate)
        said, _ = disk.communicate(timeout=seconds + 30)
    return acts, json.loads(said)["fdatasync_ms"] if disk.returncode == 0 else None


def started_of(home: RecorderHome, calls: int) -> dict[str, float]:
    """Return when each recording began, wall clock, once all are filed or a minute has gone."""
    deadline = time.monotonic() + _SEALED_S
    while len(rows := home.find()) < calls and time.monotonic() < deadline:
        time.sleep(0.5)
    return {str(row["id"]): datetime.fromisoformat(row["started_at"]).timestamp() for row in rows}


def summary(acts: Sequence[Pressed], started: dict[str, float]) -> dict[str, Any]:
    """Return the figures of acts; ``started``: when each recording began, wall clock."""
    done = [act for act in acts if act.is_done]
    off_ms = [_off_ms(act, started[act.call]) for act in done if act.call in started]
    return {
        "acts": len(acts),
        "failed_acts": len(acts) - len(done),
        "pause_ms": quantiles([act.took_ms for act in done if act.word == "pause"]),
        "resume_ms": quantiles([act.took_ms for act in done if act.word == "resume"]),
        "late_ms": quantiles([act.late_ms for act in acts]),
        "position_off_ms": quantiles(off_ms),
        "positions_off": sum(off > _NEAR_MS for off in off_ms) + len(done) - len(off_ms),
    }


def _off_ms(act: Pressed, started_s: float) -> float:
    """Return how far outside the time between request and answer the stated position lies on the wall clock."""
    back_s = _ERASE_S if act.word == "pause" else -_FRAME_S
    took_effect_s = started_s + float(act.answer["position_s"]) + back_s
    return max(act.asked_s - took_effect_s, took_effect_s - act.answered_s, 0.0) * 1e3


def printed(document: dict[str, Any], ways: Sequence[str]) -> None:
    """Print the figures of some ways for people."""
    for name in ways:
        part = document[name]
        for what in ("pause_ms", "resume_ms", "fdatasync_ms", "position_off_ms"):
            values = part[what] or {}
            figures = " / ".join(f"{values.get(key, float('nan')):g}" for key in ("p50", "p99", "max"))
            print(f"{name:8} {what.removesuffix('_ms'):13} p50 / p99 / max ms: {figures}")
        print(f"{name:8} {part['acts']} acts, {part['failed_acts']} failed, {part['positions_off']} positions off")
    print("{joined_calls} of {calls} calls joined, {standing_calls} standing at the end".format_map(document))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason, or an act or a call failed, or a position was off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pause", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200, help="calls at the same time")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to press, by each of the two ways")
    parser.add_argument("--rate", type=float, default=20.0, help="acts a second, half of them pauses")
    parser.add_argument("--reason", default="", help="sent with each act: a free text, which the audit log keeps apart")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.calls < 1 or options.seconds <= 0 or options.rate <= 0:
        parser.error("calls, seconds and rate must be above 0")
    try:
        need_descriptors_for(options.calls, per_call=10)
        document = measure(calls=options.calls, seconds=options.seconds, rate=options.rate, reason=options.reason)
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        printed(document, ("socket", "console"))
    failed = sum(document[name]["failed_acts"] + document[name]["positions_off"] for name in ("socket", "console"))
    return 0 if failed == 0 and document["standing_calls"] == options.calls else 1


if __name__ == "__main__":
    sys.exit(main())
