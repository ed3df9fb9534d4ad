"""A real daemon with real calls is killed, or loses its power: `python tests/crash/daemon_kills.py --kills 20`.

At a random step of what it does to its files, or at a random moment, while calls begin, are recorded and end. After the
next start every call that was finished is whole, and the others are whole up to the stated loss.
"""

import argparse
import contextlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = tests

import httpx2  # noqa: E402

from recorder.cli.output import progress_bar  # noqa: E402
from storage.audit import AuditLog  # noqa: E402
from tests.crash.power import KINDS, RealPower, own_mounts  # noqa: E402
from tests.crash.shim import build_shim  # noqa: E402
from tests.helpers.exactness import kept_of  # noqa: E402
from tests.helpers.exchange import Exchange, Talk, exchange  # noqa: E402
from tests.helpers.starvation import Starvation  # noqa: E402

LOOK_BACK_S = 1.5
EDITS = (("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"), ("erase_s = 3.0", "erase_s = 0.2"))
KILL_LOSS_S, POWER_LOSS_S = LOOK_BACK_S + 2.0, LOOK_BACK_S + 7.0
CALLS = 4
_STEPS, _LATEST_S, _LONGEST_S = 400, 10.0, 15.0


@dataclass
class Placed:
    """A call and what is known of it.

    Attributes:
        joined_s: When it was seen joined (monotonic); 0 is never.
        row: Its row, if it was seen before the kill: then it is finished.
    """

    talk: Talk
    hang_up_s: float
    joined_s: float = 0.0
    row: dict[str, Any] | None = None
    has_hung_up: bool = False


class DaemonRun:
    """One home and its daemons.

    Args:
        lines: Recorder and callers; the daemon is not started.
        shim: Counts steps.
        power: What the home is on, if it can lose its power.
        seed: Decides when.
    """

    def __init__(self, lines: Exchange, shim: Path, power: RealPower | None, seed: int) -> None:
        self.lines, self.home = lines, lines.home
        self._shim, self._power, self._rng = shim, power, random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.problems: list[str] = []
        self.losses: list[float] = []
        self.finished = 0
        self._starvation = Starvation()

    @property
    def stated_loss_s(self) -> float:
        """Return how much of a call may be lost."""
        return KILL_LOSS_S if self._power is None else POWER_LOSS_S

    def round(self) -> None:
        """Start, call, die, start again, look."""
        step = self._rng.randint(1, _STEPS) if self._rng.random() < 0.7 else 0
        before = ("env", f"LD_PRELOAD={self._shim}", f"SHIM_DIE_AT={step}") if step else ()
        try:
            self.home.start(before=before)
        except (AssertionError, httpx2.HTTPError):
            self._die("start")
            self.home.start()
            self._stop_and_verify()
            return
        self._starvation = Starvation()
        calls = self._talk()
        killed_s = self._die(
            "step" if self.home.daemon is not None and self.home.daemon.poll() is not None else "moment"
        )
        for call in calls:
            call.talk.left.hush()
            call.talk.right.hush()
        self.home.start()
        for call in calls:
            self._look_at(call, killed_s)
        self._stop_and_verify()

    def _talk(self) -> list[Placed]:
        """Have calls placed and ended until the daemon dies, or its time has come."""
        calls: list[Placed] = []
        began = time.monotonic()
        until = began + self._rng.uniform(3.0, _LATEST_S if self._power is None else _LONGEST_S)
        starts = sorted(self._rng.uniform(0, 2) for _ in range(CALLS))
        while time.monotonic() < until and self.home.daemon is not None and self.home.daemon.poll() is None:
            if len(calls) < CALLS and time.monotonic() - began > starts[len(calls)]:
                calls.append(Placed(self.lines.call(), self._rng.choice((0.6, 1.5, 3.0, 60.0, 60.0))))
            with contextlib.suppress(httpx2.HTTPError):
                self._go_on(calls)
            self._starvation.look(self.home.pid)
            time.sleep(0.02)
        return calls

    def _go_on(self, calls: list[Placed]) -> None:
        live = {line["caller"]: line for line in self.home.calls()}
        for call in calls:
            second = call.talk.second
            if call.talk.first.remote_media is not None and not call.talk.left.sent:
                call.talk.left.talk(call.talk.first.remote_media)
            if second is not None and second.remote_media is not None and not call.talk.right.sent:
                call.talk.right.talk(second.remote_media)
            if not call.joined_s and live.get(call.talk.number, {}).get("phase") == "joined":
                call.joined_s = time.monotonic()
            if call.joined_s and not call.has_hung_up and time.monotonic() - call.joined_s > call.hang_up_s:
                call.has_hung_up = True
                call.talk.first.hang_up()
            if call.has_hung_up and call.row is None:
                call.row = next(iter(self.home.rows(number=call.talk.number)), None)

    def _die(self, how: str) -> float:
        """End the daemon, and the power with it; returns the moment."""
        daemon = self.home.daemon
        assert daemon is not None
        if self._power is not None:
            self._power.shut_down()
        if daemon.poll() is None:
            daemon.kill()
        killed_s = time.monotonic()
        daemon.wait(10)
        self.kills[how] += 1
        if self._power is not None:
            self._power.cut(self._rng)
        return killed_s

    def _bad(self, call: Placed, sentence: str) -> None:
        self.problems.append(f"kill {sum(self.kills.values())}, call from {call.talk.number}: {sentence}")

    def _look_at(self, call: Placed, killed_s: float) -> None:
        rows = self.home.rows(number=call.talk.number)
        if call.row is not None:
            self.finished += 1
            if len(rows) != 1 or (rows[0]["outcome"], rows[0]["sha256"]) != (call.row["outcome"], call.row["sha256"]):
                self._bad(call, f"it was finished as {call.row}, and is now {rows}")
                return
        elif not call.joined_s or killed_s - call.joined_s < self.stated_loss_s + 0.5:
            return
        if len(rows) != 1 or rows[0]["path"] is None:
            self._bad(call, f"it was recorded, and there is {rows}")
            return
        self._look_at_audio(call, rows[0], killed_s)

    def _look_at_audio(self, call: Placed, row: dict[str, Any], killed_s: float) -> None:
        try:
            left, right, _ = self.home.copy(row["id"])
            kept = [kept_of(channel, voice) for channel, voice in ((left, call.talk.left), (right, call.talk.right))]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is wrong with this call
            self._bad(call, f"its audio is not what was said: {error}")
            return
        if any(len(one.spans) != 1 for one in kept):
            self._bad(call, f"it has gaps: {[one.spans for one in kept]}")
        if not call.has_hung_up:
            ends = [one.spans[-1][1] + one.offset for one in kept]
            lost = max(
                killed_s - max((at_s for tick, at_s in one.voice.sent if tick < end), default=0.0)
                for one, end in zip(kept, ends, strict=True)
            )
            starved = self._starvation.since(killed_s - lost)
            self.losses.append(lost - starved)
            if lost - starved > self.stated_loss_s:
                self._bad(call, f"{lost:.2f} s were lost, {self.stated_loss_s:g} may be and {starved:.2f} without CPU")

    def _stop_and_verify(self) -> None:
        self.home.stop()
        if left := list((self.home.root / "recordings").rglob("*.part")):
            self.problems.append(f"left open after recovery: {left}")
        said = self.home.run("verify", "--all", "--json", "-C", str(self.home.root))
        self.problems += [f"verify: {one}" for one in json.loads(said.stdout) if not one["ok"]]
        state = AuditLog(self.home.root / "audit").verify()
        if state.bad is not None:
            self.problems.append(f"audit verify: {state.bad}")


@contextlib.contextmanager
def powered(home: Path, kind: str | None) -> Iterator[RealPower | None]:
    """Move a home onto a file system of its own for the length of a block, if one is named."""
    if kind is None:
        yield None
        return
    own_mounts()
    away = home.rename(home.with_name("away"))
    home.mkdir()
    power = RealPower(home, kind)
    try:
        shutil.copytree(away, home, dirs_exist_ok=True)
        subprocess.run(["sync", "-f", str(home)], check=True)
        yield power
    finally:
        power.close()


def run(folder: Path, *, kills: int, seed: int, power: str | None) -> dict[str, Any]:
    """Kill daemons in one home; stops at the first problem."""
    (folder / "shim").mkdir()
    shim = build_shim(folder / "shim")
    # For one kill, to start both daemons takes less than to load what the second one is forked from.
    options: dict[str, Any] = {"is_started": False, "is_started_anew": kills == 1}
    with exchange(folder, edits=EDITS, **options) as lines, powered(lines.home.root, power) as supply:
        made = DaemonRun(lines, shim, supply, seed)
        with progress_bar("killed", kills) as progress:
            while sum(made.kills.values()) < kills and not made.problems:
                made.round()
                progress(sum(made.kills.values()), kills)
        return {
            "seed": seed,
            "kills": dict(made.kills),
            "finished_calls": made.finished,
            "cut_calls": len(made.losses),
            "most_lost_s": round(max(made.losses, default=0.0), 2),
            "stated_loss_s": made.stated_loss_s,
            "problems": made.problems,
        }


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--power", choices=tuple(KINDS), help="cut the power of a real file system (root)")
    parser.add_argument("--json", type=Path, help="write the result there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="daemon-kills-") as folder:
        result = run(Path(folder), kills=options.kills, seed=options.seed, power=options.power)
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text)
    print(text)  # noqa: T201 - the result of the program
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
