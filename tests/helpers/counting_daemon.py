"""`recorder run` in which nothing but reference counting frees anything, and which says what that has left.

``python counting_daemon.py recorder run -C HOME``. On SIGUSR2 it writes to ``HOME/garbage.json``, by type, what only
Python's collector could have freed since the last time, which legs and recordings there still are, what the collector
was told to expect freed, and how many legs it is told of. A leg that has ended is forgotten after a second: who waits
for half a minute tests nothing else.
"""

import collections
import gc
import json
import signal
import sys
from pathlib import Path

import recorder.__main__
from recorder.calls.call import Call
from recorder.calls.party_media import PartyMedia
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.recording_in_progress import RecordingInProgress
from recorder.calls.siprec.copied_recording import CopiedRecording
from recorder.calls.siprec.recording_session import RecordingSession
from recorder.common.garbage_collection import GarbageCollector
from sip import leg_register
from sip.leg import Leg

LINGER_S = 1.0
FILE = "garbage.json"
COUNTED = (Leg, Call, RecordedCall, RecordingSession, CopiedRecording, RecordingInProgress, PartyMedia)


_expected: collections.Counter[str] = collections.Counter()
_collectors: list[GarbageCollector] = []


def _name(found: object) -> str:
    return f"{type(found).__module__}.{type(found).__qualname__}"


def _tell(path: Path) -> None:
    gc.collect()
    garbage = collections.Counter(map(_name, gc.garbage))
    gc.garbage.clear()
    gc.set_debug(0)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    alive = collections.Counter(map(type, gc.get_objects()))
    beside = path.with_suffix(".new")
    counts = {one.__name__: alive[one] for one in COUNTED}
    legs = [one.legs() for one in _collectors]
    beside.write_text(json.dumps({"garbage": garbage, "alive": counts, "expected": _expected, "legs": legs}))
    beside.rename(path)


_expect_freed = GarbageCollector.expect_freed


def _expect(self: GarbageCollector, *ended: object) -> None:
    _expected.update(type(one).__name__ for one in ended)
    _collectors[:] = [self]
    _expect_freed(self, *ended)


def main() -> None:
    """Run the daemon with the words that follow ``recorder``."""
    words = sys.argv[sys.argv.index("recorder") + 1 :]
    leg_register.LINGER_S = LINGER_S
    GarbageCollector.expect_freed = _expect  # type: ignore[method-assign]
    path = Path(words[words.index("-C") + 1]) / FILE
    signal.signal(signal.SIGUSR2, lambda *_: _tell(path))
    gc.set_debug(gc.DEBUG_SAVEALL)
    sys.argv = ["recorder", *words]
    recorder.__main__.main()


if __name__ == "__main__":
    main()
