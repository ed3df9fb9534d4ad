"""Whoever places or releases a hold is killed at each step: after the next start the table says what the log says."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.keeping.holding import settle_holds
from storage.hold_journal import PLACED, RELEASED, replay_holds
from storage.types import HoldState
from tests.helpers.erasure_site import ErasureSite
from tests.helpers.storage_home import ID

ROOT = Path(__file__).parents[2]
KEEPER = """
import os, signal, sys, types
from pathlib import Path
sys.modules["tests"] = types.ModuleType("tests")  # ours, not one that a dependency left in its folder
sys.modules["tests"].__path__ = ["tests"]
from recorder.domain.holds import HoldWish
from recorder.keeping.holding import place_hold, release_hold
from storage.holds import Holds
from storage.types import HoldKind
from tests.helpers.erasure_site import DORA, LEA, ErasureSite
from tests.helpers.storage_home import ID
step, folder = sys.argv[1], Path(sys.argv[2])
site = ErasureSite(folder)
count = 0
def counted(real, name):
    def call(*args, **kwargs):
        global count
        count += 1
        if str(count) == step or step == name:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*args, **kwargs)
        count += 1
        if str(count) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return call
for name in ("write", "fdatasync", "fsync"):
    setattr(os, name, counted(getattr(os, name), name))
for name in ("replace", "unlink"):
    setattr(Path, name, counted(getattr(Path, name), name))
for name in ("place", "save"):
    setattr(Holds, name, counted(getattr(Holds, name), name))
wish = HoldWish(kind=HoldKind.COMPLAINT, reason="complaint 17", case_reference="C-17", against=("mona",))
hold = place_hold(site.hold_books, LEA, ID, wish)
release_hold(site.hold_books, DORA, hold.id, reason="over")
print(count, flush=True)
"""


def keep_until(step: str, folder: Path) -> int | None:
    """Place and release a hold until the step, where the process is killed; return how many steps there were."""
    done = subprocess.run(
        [sys.executable, "-c", KEEPER, step, str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == -signal.SIGKILL:
        return None
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def start_again(folder: Path) -> tuple[list[str], list[HoldState]]:
    """Do what a start does; returns the acts that the audit log has, and where the holds stand."""
    site = ErasureSite(folder)
    settle_holds(site.home / "state", site.holds, site.audit)
    assert site.audit.verify().bad is None
    assert not (site.home / "state" / "holds.unsettled").exists()
    found = [hold.state_at(site.now) for hold in site.holds.of_recording(ID)]
    assert replay_holds(site.audit.entries(), site.holds, text=site.audit.text) == 0
    assert all(hold.reason == "complaint 17" for hold in site.holds.of_recording(ID))
    assert bool(site.index.get(ID).holds) == bool(found)
    acts = [entry.act for entry in site.entries("hold.")]
    site.index.close()
    return acts, found


EXPECTED = {0: [], 1: [HoldState.STANDING], 2: [HoldState.GRACE]}
"""Where holds stand, by how many acts the audit log has."""


@pytest.mark.parametrize(("step", "acts"), [("place", [PLACED]), ("save", [PLACED, RELEASED])])
def test_killed_between_the_audit_log_and_the_table(tmp_path: Path, step: str, acts: list[str]) -> None:
    ErasureSite(tmp_path).index.close()
    assert keep_until(step, tmp_path) is None
    site = ErasureSite(tmp_path)
    assert len(site.holds.of_recording(ID)) == len(acts) - 1
    site.index.close()
    assert start_again(tmp_path) == (acts, EXPECTED[len(acts)])


@pytest.mark.slow
def test_killed_at_each_step(tmp_path: Path) -> None:
    step, seen = 1, set()
    while True:
        folder = tmp_path / str(step)
        ErasureSite(folder).index.close()
        total = keep_until(str(step), folder)
        acts, found = start_again(folder)
        assert found == EXPECTED[len(acts)]
        seen.add(len(acts))
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert seen == {0, 1, 2}
    assert step > 20
