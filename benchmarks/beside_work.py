"""Work beside the daemon, in a process of its own, over and over until standard input ends; then how often it was done.

``search URL ROWS``: one page after another as the console asks for it, of every kind that `benchmarks.index` knows.
``export SECONDS FORMAT``: copies of a call of so many seconds.
"""

import itertools
import json
import random
import select
import sys
import time
from collections.abc import Iterator
from contextlib import closing

from benchmarks.export import LongCall
from benchmarks.index import KINDS, searches
from storage.encoding import CopyFormat
from storage.export import prepare
from storage.index import Index


def _searches(url: str, rows: int) -> Iterator[bool]:
    dice = random.Random(time.monotonic_ns())
    with closing(Index(url)) as index:
        for kind in itertools.cycle(KINDS):
            index.page(searches(kind, rows, dice))
            yield True


def _exports(seconds: int, form: CopyFormat) -> Iterator[bool]:
    while True:
        for _ in prepare(LongCall(seconds), form, duration_s=float(seconds)).chunks():
            yield False
        yield True


def main() -> None:
    """Work until standard input ends; yields that are true count as done."""
    kind, first, second = sys.argv[1:]
    steps = _searches(first, int(second)) if kind == "search" else _exports(int(first), CopyFormat(second))
    done, longest_s, began = 0, 0.0, time.monotonic()
    print("ready", flush=True)
    for is_done in steps:
        now = time.monotonic()
        longest_s, began, done = max(longest_s, now - began), now, done + is_done
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    print(json.dumps({"done": done, "longest_step_ms": round(1000 * longest_s, 1)}))


if __name__ == "__main__":
    main()
