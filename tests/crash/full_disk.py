"""The disk that everything is on is full while calls are recorded: `python tests/crash/full_disk.py --calls 100`.

Every call goes on, in both directions; recordings say that they are partial, and why; there is an alarm; and when there
is room again everything is complete again by itself. Runs with a small disk of its own, in name spaces of its own: it
takes no privilege.
"""

import argparse
import errno
import json
import os
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = tests
DISK = "64m"


def _with_small_disk() -> int:
    """Run this program again with a small disk, which nobody else sees."""
    with tempfile.TemporaryDirectory(prefix="full-disk-") as folder:
        script = f'mount -t tmpfs -o size={DISK} tmpfs "$0" && exec "$@"'
        words = [sys.executable, *sys.argv, "--disk", folder]
        unshared = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, folder, *words]
        # The process that has loaded the recorder for other tests does not see that disk.
        environment = {name: value for name, value in os.environ.items() if name != "TESTS_LOADER"}
        return subprocess.run(unshared, check=False, env=environment).returncode


if __name__ == "__main__" and "--disk" not in sys.argv and not {"-h", "--help"} & set(sys.argv):
    sys.exit(_with_small_disk())  # before everything is loaded

from benchmarks.placed import FIRST_EXTENSION, PlacedCalls  # noqa: E402
from benchmarks.streams import Totals, need_descriptors, totals  # noqa: E402
from storage.audit import AuditLog  # noqa: E402
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home  # noqa: E402

LATE, AFTER = 6, 4
"""Calls that are placed while the disk is full, and when there is room again."""
EDITS = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.2"))
SECOND = 16_000
"""Bytes of a second of both sides, at the least."""


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the result there")
    parser.add_argument("--disk", type=Path, required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    need_descriptors(10 * (options.calls + LATE + AFTER) + 256)
    result = run(options.disk, options.calls)
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text)
    print(text)  # noqa: T201 - the result of the program
    return 1 if result["problems"] else 0


class Trial:
    """One daemon, its calls, and what is wrong."""

    def __init__(self, home: RecorderHome, placed: PlacedCalls, calls: int) -> None:
        self.home, self.placed, self.calls = home, placed, calls
        self.filler = home.root.parent / "filler"
        self.problems: list[str] = []
        self.result: dict[str, Any] = {"calls": calls, "problems": self.problems}

    def expect(self, is_true: object, sentence: str) -> None:
        """Note what is not as it must be."""
        if not is_true:
            self.problems.append(sentence)

    def place(self, upto: int) -> None:
        """Place calls up to one of them, and wait until all are joined."""
        self.placed.place(self.home.sip, rate=25, upto=upto)
        joined = self.placed.joined_at_s
        eventually(lambda: len(joined) == upto, f"{upto} calls are joined")

    def fill(self) -> None:
        """Take all room there is, the last byte too."""
        with self.filler.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096, 64, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC

    def written(self, indexes: range) -> list[int]:
        """Return how many bytes of the recordings in progress of some calls are on the disk, one by one.

        A call is joined before its file is made; until then there is nothing.
        """
        parts = {path.name.split("-")[1]: path for path in (self.home.root / "recordings").rglob("*.part")}
        paths = (parts.get(str(FIRST_EXTENSION + index)) for index in indexes)
        return [path.stat().st_size if path is not None else 0 for path in paths]

    def hang_up(self, indexes: range) -> None:
        """End some calls."""
        for index in indexes:
            for stream in (2 * index, 2 * index + 1):
                self.placed.load.cease(stream)
            self.placed.placed[index].hang_up()
        for index in indexes:
            self.placed.placed[index].wait_ended()

    def packets(self) -> Totals:
        """Return what was sent and received until now."""
        return totals(self.placed.load, range(2 * self.placed.count))

    def rows(self, indexes: range) -> list[dict[str, Any]]:
        """Wait until some calls have a row each, and return them."""
        numbers = {str(FIRST_EXTENSION + index) for index in indexes}

        def found() -> list[dict[str, Any]] | None:
            rows = [row for row in self.home.rows() if row["extension"] in numbers]
            return rows if len(rows) >= len(numbers) else None

        return eventually(found, f"{len(numbers)} calls have rows")


def run(disk: Path, calls: int) -> dict[str, Any]:
    """Record calls, fill the disk under them, make room again, and look at all of it."""
    total = calls + LATE + AFTER
    numbers = [f"{FIRST_EXTENSION + index}:officer{index}:Desk" for index in range(total)]
    with PlacedCalls(total) as placed:
        host, port = placed.officer.address
        options: dict[str, Any] = {"next_hop": f"{host}:{port}", "extensions": numbers, "edits": EDITS}
        # One daemon: to start it takes less than to load what daemons are forked from.
        with recorder_home(disk, ports=4 * total + 40, is_started_anew=True, **options) as home:
            trial = Trial(home, placed, calls)
            _be_full(trial)
            _have_room(trial)
            _look_back(trial)
            before, _, traceback = home.said.partition("Traceback")
            trial.expect(not traceback, f"the daemon fell over: {before[-500:]}Traceback{traceback[:4000]}")
            return trial.result


def _be_full(trial: Trial) -> None:
    half, calls = trial.calls // 2, trial.calls
    trial.place(calls)
    eventually(lambda: min(trial.written(range(calls))) > SECOND, "of each call a second is on the disk")
    before = trial.packets()
    trial.fill()
    full_s = time.monotonic()
    eventually(lambda: trial.home.health()["alarms"].get("disk_full"), "there is an alarm")
    trial.result["alarm_after_s"] = round(time.monotonic() - full_s, 2)
    eventually(lambda: trial.home.health()["alarms"]["disk_full"] >= calls, "every recording was stopped")
    trial.place(calls + LATE)
    trial.expect(trial.home.health()["status"] == "alarm", "its health is not an alarm")
    trial.expect(trial.placed.standing() == calls + LATE, f"{trial.placed.standing()} calls stand")
    trial.hang_up(range(half))
    trial.hang_up(range(calls, calls + LATE // 2))
    eventually(lambda: trial.home.health()["calls"] == calls + LATE - half - LATE // 2, "calls end")
    ended = half + LATE // 2
    in_memory = "rows of calls that ended wait in memory"
    eventually(lambda: trial.home.health()["alarms"].get("row_in_memory", 0) >= ended, in_memory)
    trial.result["left_open_while_full"] = len(list((trial.home.root / "recordings").rglob("*.part"))) - (calls - half)
    trial.result["full_s"] = round(time.monotonic() - full_s, 2)

    def passed() -> Totals:
        return trial.packets() - before

    # What is under way counts as lost until it has come; what is lost stays so.
    most = 0.005 * passed().sent + 4 * calls
    eventually(lambda: passed().lost < most, f"all packets but {most:.0f} have come")
    sent = passed()
    trial.result["while_full"] = {"sent": sent.sent, "lost": max(sent.lost, 0), "damaged": sent.damaged}
    trial.expect(sent.damaged == 0, f"{sent.damaged} packets were damaged")


def _have_room(trial: Trial) -> None:
    calls, late = trial.calls, trial.calls + LATE
    trial.result["alarms"] = trial.home.health()["alarms"]
    lasting = range(calls // 2, calls)
    before = trial.written(lasting)
    trial.filler.unlink()
    room_s = time.monotonic()
    trial.place(late + AFTER)

    def is_written_on() -> bool:
        return all(now > then + SECOND for then, now in zip(before, trial.written(lasting), strict=True))

    eventually(is_written_on, "calls that outlived the full disk are recorded on")
    new = range(late, late + AFTER)
    eventually(lambda: min(trial.written(new)) > SECOND, "of each new call a second is on the disk")
    trial.hang_up(range(calls // 2, calls))
    trial.hang_up(range(calls + LATE // 2, late))
    trial.hang_up(new)
    rows = trial.rows(range(late + AFTER))
    trial.result["rows_after_s"] = round(time.monotonic() - room_s, 2)
    by_number = {row["extension"]: row for row in rows}

    def outcomes(indexes: range) -> Counter[str]:
        found = (by_number[str(FIRST_EXTENSION + index)] for index in indexes)
        return Counter(f"{row['outcome']}, {row['reason']}" for row in found)

    said = trial.result["outcomes"] = {
        "recorded_into_the_full_disk": outcomes(range(calls)),
        "placed_while_full": outcomes(range(calls, late)),
        "placed_when_there_was_room": outcomes(range(late, late + AFTER)),
    }
    expected = ({"partial, disk_full": calls}, {"failed, disk_full": LATE}, {"recorded, caller_hung_up": AFTER})
    for (name, found), wanted in zip(said.items(), expected, strict=True):
        trial.expect(found == wanted, f"{name}: {dict(found)}, expected {wanted}")
    for index in range(calls // 2, calls):
        kinds = [
            (segment["kind"], segment["reason"]) for segment in by_number[str(FIRST_EXTENSION + index)]["segments"]
        ]
        wanted_kinds = [("recording", ""), ("lost", "disk_full"), ("recording", "")]
        trial.expect(kinds == wanted_kinds, f"a call that outlived the full disk: {kinds}")


def _look_back(trial: Trial) -> None:
    """Whatever was kept can be found and verified, without a restart."""
    kept = range(trial.calls)

    def is_whole() -> bool:
        return all(row["path"] for row in trial.rows(kept))

    eventually(is_whole, "what the full disk kept open is closed")
    trial.expect(not list((trial.home.root / "recordings").rglob("*.part")), "a recording is left open")
    verified = trial.home.json("verify", "--all")
    trial.result["verified"] = len(verified)
    trial.expect(all(one["ok"] for one in verified), f"verify: {[one for one in verified if not one['ok']][:3]}")
    trial.expect(len(verified) == trial.calls + AFTER, f"{len(verified)} containers")
    seconds = sorted(row["recorded_s"] for row in trial.rows(kept))
    trial.result["kept_s"] = {"least": seconds[0], "most": seconds[-1]}
    trial.expect(seconds[0] > 0.5, f"{seconds[0]} s were kept of one")
    state = AuditLog(trial.home.root / "audit").verify()
    trial.expect(state.bad is None, f"audit verify: {state.bad}")


if __name__ == "__main__":
    sys.exit(main())
