"""The recorder's command line, in which Python's collector looks through everything at each line on standard input.

The daemon makes a full pass every 10 s, or once an hour with more than 150 legs; here one is made when it is to be
measured. How long it held the interpreter is said on standard error: ``collected: 31.5 ms``. Run as ``python -m
benchmarks.collecting run -C HOME``.
"""

import gc
import sys
import threading
import time

from recorder.__main__ import main


def _obey() -> None:
    for _ in sys.stdin.buffer:
        began = time.perf_counter()
        gc.collect()
        print(f"collected: {1000 * (time.perf_counter() - began):.1f} ms", file=sys.stderr, flush=True)


if __name__ == "__main__":
    threading.Thread(target=_obey, name="obeying", daemon=True).start()
    main()
