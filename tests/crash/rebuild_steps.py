"""Kills `reindex` or `fsck --repair` at each of its steps, and says what is left: one JSON document a step on stdout.

    python tests/crash/rebuild_steps.py reindex FOLDER [EVERY]

One process that forks: loading the recorder anew for each step would take longer than the step. A step is a write, a
sync, a rename, a removal or a commit. EVERY: kill at each n-th of them only.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = tests

import sqlalchemy as sa  # noqa: E402

from recorder.recordings.fsck import Checker  # noqa: E402
from recorder.recordings.repair import Repair  # noqa: E402
from recorder.retention.sweep_process import opened_sweeper  # noqa: E402
from storage.audit import AuditLog  # noqa: E402
from storage.errors import StorageError  # noqa: E402
from storage.types import RecordingId  # noqa: E402
from tests.helpers.rebuild_site import RebuildSite  # noqa: E402
from tests.helpers.sweep_site import NOW, agreed  # noqa: E402

LATER = datetime.now(UTC) + timedelta(days=2)
FAR = LATER + timedelta(days=91)
HELD, UNHELD, MISPLACED = range(3)


def prepare(site: RebuildSite, act: str) -> list[RecordingId]:
    """Make three recordings, one of them held, one call of which nothing was kept; and break what is to be mended."""
    found = [site.record(NOW) for _ in range(3)]
    site.miss(NOW)
    site.hold(found[HELD], NOW)
    site.now = datetime.now(UTC)
    if act == "reindex":
        site.database.close()
        with site.home.index.open("r+b") as file:
            file.write(b"this is no database any more")
        return found
    path = site.file_of(found[MISPLACED])
    (path.parent.parent / "someone").mkdir(mode=0o700)
    path.rename(path.parent.parent / "someone" / path.name)
    with site.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM holds")
        connection.exec_driver_sql(f"UPDATE recordings SET document = '{{' WHERE id = '{found[HELD]}'")
    site.index.remove(found[UNHELD])
    lone = site.record(NOW)
    site.file_of(lone).unlink()
    site.index.remove(lone)
    site.database.close()
    return found


def run(act: str, folder: Path) -> None:
    """Do the act once, to its end."""
    site = RebuildSite(folder)
    if act == "reindex":
        site.database.close()
        site.reindexer(LATER).run("dora")
        return
    mender = Repair(
        home=site.home, config=site.config, vault=site.vault, database=site.database, audit=AuditLog(site.home.audit),
        now=lambda: LATER,
    )  # fmt: skip
    for finding in findings(site):
        mender.repair(finding)
    site.close()


def findings(site: RebuildSite) -> list[Any]:
    checker = Checker(
        home=site.home, vault=site.vault, database=site.database, audit=AuditLog(site.home.audit), now=lambda: LATER,
        is_live=False,
    )  # fmt: skip
    return list(checker.findings())


def arm(step: int) -> None:
    """Have this process killed at its n-th step."""
    count = 0

    def at_step(*_: object) -> None:
        nonlocal count
        count += 1
        if count == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            at_step()
            return real(*args, **options)

        return call

    for name in ("write", "fdatasync", "fsync"):
        setattr(os, name, counted(getattr(os, name)))
    for name in ("replace", "rename", "unlink", "mkdir"):
        setattr(Path, name, counted(getattr(Path, name)))
    sa.event.listen(sa.engine.Engine, "commit", at_step)


def forked(act: Callable[[], None]) -> int:
    """Do something in a process of its own; returns how it ended."""
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - said, and seen by whoever waits
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(act: str, folder: Path, step: int) -> int:
    def run_armed() -> None:
        arm(step)
        run(act, folder)

    return forked(run_armed)


def sweep_far_ahead(folder: Path) -> None:
    """Sweep as the daily process would now, 91 days ahead; that it cannot, or will not, is as well."""
    site = RebuildSite(folder)
    with (
        contextlib.suppress(StorageError, OSError),
        opened_sweeper(site.home, site.config, now=lambda: FAR) as sweeper,
    ):
        agreed(sweeper).run()


def state(folder: Path, found: list[RecordingId]) -> dict[str, Any]:
    """Say how a home stands after the act was run again."""
    site = RebuildSite(folder)
    stands = {
        "rows": [one for one in site.ids() if one in found],
        "holds": len(site.holds.of_recording(found[HELD])),
        "findings": [str(one.kind) for one in findings(site)],
        "containers": sorted(path.stem for path in site.vault.finished()),
        "marked": (site.home.state / "reconcile").exists(),
        "audit": site.audit.verify().bad is None,
        "aside": sorted(path.name[6:] for path in site.home.root.glob("lost+found/*/*") if path.suffix != ".json"),
        "paths_fit": all(
            (site.vault.root / str(site.index.get(one).path)).is_file() for one in found if one in site.ids()
        ),
    }
    site.close()
    return stands


def main(act: str, folder: Path, every: int) -> None:
    """Kill at each step, run again, and print how things stand."""
    site = RebuildSite(folder / "first")
    found = prepare(site, act)
    for path in site.home.root.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    for step in range(1, 10_000, every):
        stands = after(act, folder, found, step)
        sys.stdout.write(json.dumps({"step": step, **stands}) + "\n")
        sys.stdout.flush()
        if not stands["killed"]:
            return


def after(act: str, folder: Path, found: list[RecordingId], step: int) -> dict[str, Any]:
    """Kill a run at a step, see what a sweep would make of it, run it again, and say how things stand."""
    home, swept = folder / "next", folder / "swept"
    for old in (home, swept):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folder / "first", home)
    ended = killed_at(act, home, step)
    assert ended in (0, -signal.SIGKILL), f"step {step}: ended with {ended}"
    is_safe = act != "reindex" or (home / "home" / "state" / "reconcile").exists() or not _is_replaced(home)
    # Nobody finishes it for 91 days. What is held is there, whatever the sweep made of what the kill left.
    shutil.copytree(home, swept)
    forked(lambda: sweep_far_ahead(swept))
    is_held_there = any(swept.glob(f"home/recordings/**/{found[HELD]}.rec"))
    assert forked(lambda: run(act, home)) == 0, f"step {step}: it cannot be run again"
    return {"killed": ended != 0, "safe": is_safe, "held": is_held_there, **state(home, found)}


def _is_replaced(folder: Path) -> bool:
    """Tell whether a sweep could open an index at all that is not the damaged one."""
    index = folder / "home" / "index.sqlite"
    return not index.exists() or not index.read_bytes().startswith(b"this is no database")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
