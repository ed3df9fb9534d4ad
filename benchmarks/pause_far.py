"""How long does a pause at the console take for a call at another node of the site, and how long for one at its own?

Metric: milliseconds from the request to the answer, p50 p99 max, of pauses and of resumes at a steady rate on random
calls, by one node's console with a token. Two recorders on loopback share an index on a PostgreSQL server of their own;
each has half of the calls. A pause of a call asks the other node too, for other calls at its extension. An answer
means: gate shut, state on disk, audited, and the other node has none. The stated position must agree with the clock of
whoever asked.
Command: ``python -m benchmarks.pause_far --calls 200 --seconds 30 [--rate 20] [--json]``; needs Debian's postgresql.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.home import HomeError
from benchmarks.loaded_recorder import JOINED_S, loaded_recorder, need_descriptors_for
from benchmarks.machine import measured_here
from benchmarks.node_config import OpenSslAuthority, node_edits
from benchmarks.pause import JSON, pressed, printed, started_of, summary
from benchmarks.placed import FIRST_EXTENSION, PlacedCalls
from benchmarks.ports import PortsError, free_address, free_port
from benchmarks.postgres import DURABLE, PostgresServer
from benchmarks.pressing import Door
from benchmarks.streams import DescriptorsError
from recorder.access.signing import public_path

_RATE, _SETTLE_S = 20.0, 5.0
WAYS = ("near", "far")


def measure(*, calls: int, seconds: float, rate: float) -> dict[str, Any]:
    """Run the calls through two recorders and return the document.

    Raises:
        HomeError: A recorder could not be run.
    """
    each = calls // 2
    with ExitStack() as stack:
        server = PostgresServer(settings=DURABLE)
        stack.callback(server.close)
        url, web = server.new_database(), free_address()
        folder = Path(tempfile.mkdtemp(prefix="recorder-bench-authority-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        authority = OpenSslAuthority(folder)
        console = authority.issue("console", "hq")
        edits = {
            name: node_edits(
                name, url, listen=free_port(), ca=authority.ca, node=authority.issue("node", name), console=console
            )
            for name in WAYS
        }
        first = {"near": FIRST_EXTENSION, "far": FIRST_EXTENSION + each}
        loaded = {
            way: stack.enter_context(
                loaded_recorder(
                    PlacedCalls(each, first=first[way]),
                    service="Payments",
                    served=2 * each,
                    console=web if way == "near" else None,
                    edits=edits[way],
                )
            )
            for way in WAYS
        }
        for one in loaded.values():
            one.placed.place(one.sip, rate=_RATE)
        near, far = (loaded[way].home for way in WAYS)
        near_calls, far_calls = (loaded[way].placed for way in WAYS)
        joined = near_calls.wait_joined(JOINED_S) + far_calls.wait_joined(JOINED_S)
        time.sleep(_SETTLE_S)
        ids = {"near": [str(one["id"]) for one in near.calls()], "far": [str(one["id"]) for one in far.calls()]}
        # The console signs for both nodes from here on.
        shutil.copyfile(public_path(near.root), public_path(far.root))
        token = {"Authorization": f"Bearer {near.add_token('payments', 'pause')}"}
        door = Door(address=web, headers={**JSON, **token})
        done = {way: pressed(near, door, ids[way], seconds, rate) for way in WAYS}
        standing = near_calls.standing() + far_calls.standing()
        lost = near_calls.cease().lost + far_calls.cease().lost
        near_calls.hang_up()
        far_calls.hang_up()
        started = started_of(near, 2 * each)
    return {
        "calls": 2 * each,
        "joined_calls": joined,
        "standing_calls": standing,
        "packets_lost": lost,
        "rate": rate,
        "seconds": seconds,
        **{way: {**summary(acts, started), "fdatasync_ms": disk} for way, (acts, disk) in done.items()},
        "load_average": round(os.getloadavg()[0], 2),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason, or an act or a call failed, or a position was off."""
    words = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pause_far", description=words)
    parser.add_argument("--calls", type=int, default=200, help="calls at the same time, on both nodes together")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to press, at each of the two nodes")
    parser.add_argument("--rate", type=float, default=20.0, help="acts a second, half of them pauses")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.calls < len(WAYS) or options.seconds <= 0 or options.rate <= 0:
        parser.error("calls must be at least 2, seconds and rate above 0")
    try:
        need_descriptors_for(options.calls, per_call=10)
        document = measure(calls=options.calls, seconds=options.seconds, rate=options.rate) | measured_here()
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        printed(document, WAYS)
    failed = sum(document[way]["failed_acts"] + document[way]["positions_off"] for way in WAYS)
    return 0 if failed == 0 and document["standing_calls"] == document["calls"] else 1


if __name__ == "__main__":
    sys.exit(main())
