"""Whoever places or releases a hold is killed at each step: after the next start the table says what the log says."""

import shutil
from pathlib import Path

import pytest

from recorder.retention.holding import place_hold, release_hold, settle_holds
from recorder.rules.holds import HoldWish
from storage.hold_journal import PLACED, RELEASED, replay_holds
from storage.holds import Holds
from storage.retention_types import HoldKind, HoldState
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote
from tests.helpers.erasure_site import DORA, LEA, ErasureSite
from tests.helpers.storage_home import ID

WISH = HoldWish(kind=HoldKind.COMPLAINT, reason="complaint 17", case_reference="C-17", against=("mona",))


def keep(steps: Steps, folder: Path, only: str = "") -> None:
    """Place and release a hold; ``only``: the one method of `Holds` that is a step."""
    site = ErasureSite(folder)
    if only:
        steps.watch_one(Holds, only)
    else:
        steps.watch(of_os=("write", "fdatasync", "fsync"), of_path=("replace", "unlink"), is_after=True)
        for name in ("place", "save"):
            steps.watch_one(Holds, name, is_after=True)
    hold = place_hold(site.hold_repositories, LEA, ID, WISH)
    release_hold(site.hold_repositories, DORA, hold.id, reason="over")


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


EXPECTED = {0: [], 1: [HoldState.ACTIVE], 2: [HoldState.GRACE]}
"""Where holds stand, by how many acts the audit log has."""


@pytest.mark.parametrize(("step", "acts"), [("place", [PLACED]), ("save", [PLACED, RELEASED])])
def test_killed_between_the_audit_log_and_the_table(
    memory_path: Path, zygote: Zygote, step: str, acts: list[str]
) -> None:
    ErasureSite(memory_path).index.close()
    assert zygote.until(keep, 1, memory_path, only=step) is None
    site = ErasureSite(memory_path)
    assert len(site.holds.of_recording(ID)) == len(acts) - 1
    site.index.close()
    assert start_again(memory_path) == (acts, EXPECTED[len(acts)])


@pytest.mark.slow
def test_killed_at_each_step(memory_path: Path, zygote: Zygote) -> None:
    ErasureSite(memory_path / "first").index.close()
    step, seen = 1, set()
    while True:
        folder = shutil.copytree(memory_path / "first", memory_path / str(step))
        total = zygote.until(keep, step, folder)
        acts, found = start_again(folder)
        assert found == EXPECTED[len(acts)]
        seen.add(len(acts))
        if total is not None:
            assert total == step - 1
            break
        step += 1
    assert seen == {0, 1, 2}
    assert step > 20
