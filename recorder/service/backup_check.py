"""Checks of `recorder site-check` on where backups go."""

import os
from collections.abc import Iterator
from pathlib import Path

from recorder.backups.snapshots import REPOSITORY
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.config.store_urls import is_object_store
from recorder.service.findings import SiteFinding, ok, warning

_WHAT = "backup"


def check_backup(home: Home, config: Config) -> Iterator[SiteFinding]:
    """Check that there are destinations for data and keys, mounted, begun, on other disks, of the home's owner."""
    options = config.backup
    if options.destination is None:
        yield warning(
            _WHAT, "no destination is configured",
            why="a lost disk takes every recording; copies of another kind do not follow deletions",
            do="set destination and keys_destination in [backup]; docs/operations.md says how to begin",
        )  # fmt: skip
        return
    if options.keys_destination is None:
        yield warning(
            _WHAT, "no destination of the keys is configured",
            why="without the private keys no recording opens, and without the node's nothing is restored",
            do="set keys_destination in [backup], or give --keys to `recorder backups add` by hand",
        )  # fmt: skip
    folders = [one for one in (options.destination, options.keys_destination) if one and not is_object_store(one)]
    found = [_problem(home, Path(one)) for one in folders]
    yield from (one for one in found if one is not None)
    if not any(found):
        yield ok(_WHAT, f"goes to {options.destination}, the keys to {options.keys_destination or 'no place'}")


def _problem(home: Home, folder: Path) -> SiteFinding | None:
    if not folder.is_dir():
        return warning(
            _WHAT, f"{folder} does not exist", why="no backup is made, and deletions are not carried there",
            do="mount the disk; the recorder never creates it",
        )  # fmt: skip
    if folder.stat().st_uid != home.root.stat().st_uid:
        return warning(
            _WHAT, f"{folder} belongs to another user than {home.root}", why="the console cannot write there",
            do=f"chown it to the owner of {home.root}, mode 0700",
        )  # fmt: skip
    if folder.stat().st_dev == home.root.stat().st_dev:
        return warning(
            _WHAT, f"{folder} is on the same file system as {home.root}", why="one disk loses both",
            do="mount another disk or a share there",
        )  # fmt: skip
    if os.access(folder, os.R_OK) and not (folder / REPOSITORY).exists():
        return warning(
            _WHAT, f"{folder} was not begun", why="`recorder backups add` takes an unmounted disk for it and refuses",
            do="run `recorder backups add --init` once, with the disk mounted",
        )  # fmt: skip
    return None
