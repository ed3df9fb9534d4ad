"""Rights on the files of a home: the one table of `recorder share`, `recorder site-check`, fsck and its repair.

If two users share a home, the console's user owns it and the daemon's user is in its group. Anything that is not in the
table is the owner's alone.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from recorder.access.signing import next_public_path, public_path, secret_path
from recorder.common.home import Home
from storage.group_modes import COMMON, is_shared
from storage.lost_found import FOLDER as LOST_FOUND

WRITTEN = ("audit", "state", "recordings", "keys/sealed", LOST_FOUND, COMMON)
"""Folders in which both users create and remove files."""
READ = ("keys", "keys/epochs", "keys/node", "notices")
"""Folders whose files the daemon reads."""
_OF_SITE = ("keys/nodes", "keys/site")
"""Folders that only the console host of a site with several machines has, likewise."""
_READ_FILES = ("recorder.toml", "pins.json")
_HOME = Path()
_ACTOR = secret_path(_HOME).parent
_VERIFYING = (public_path(_HOME), next_public_path(_HOME))
_LARGE = ("recordings", "keys/sealed")
"""Folders with a file for each recording, which only fsck looks through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """Rights on a file or folder of a shared home.

    Attributes:
        mode: Its mode.
        is_groups: Whether it is in the group of both users; else in its owner's own.
    """

    mode: int
    is_groups: bool


def rights_of(relative: PurePath, *, is_folder: bool) -> Rights:
    """Return the rights on a path of a shared home.

    Args:
        relative: Relative to the home.
        is_folder: Whether it is a folder.
    """
    name, folder = relative.as_posix(), relative.parent.as_posix()
    if name == _HOME.as_posix() or (is_folder and name in (*READ, *_OF_SITE)):
        return Rights(mode=0o2750, is_groups=True)
    if any(relative.is_relative_to(top) for top in WRITTEN):
        return Rights(mode=0o2770 if is_folder else 0o660, is_groups=True)
    if relative == _ACTOR:  # the daemon's user passes through it
        return Rights(mode=0o711, is_groups=False)
    if relative in _VERIFYING:
        return Rights(mode=0o644, is_groups=False)
    if not is_folder and (name in _READ_FILES or folder in (*READ, *_OF_SITE)):
        return Rights(mode=0o640, is_groups=True)
    return Rights(mode=0o700 if is_folder else 0o600, is_groups=False)


def forbidden_in(home: Home, path: Path) -> int:
    """Return the mode bits that a file or folder of a home must not have."""
    relative = path.relative_to(home.root)
    if relative in (_ACTOR, *_VERIFYING) or _is_shared(home):
        return 0o077 & ~rights_of(relative, is_folder=path.is_dir()).mode
    return 0o077


def _is_shared(home: Home) -> bool:
    return home.root.is_dir() and is_shared(home.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongRights:
    """A file or folder whose rights are wrong.

    Attributes:
        path: Relative to the home.
        found: Its state.
        more: Mode bits that it has and must not have.
        less: Mode bits that it lacks, so that the daemon's user cannot use it.
        is_given_away: It is its owner's alone, and in the group of both users: only its mode keeps the group out, and a
            mode is easily changed.
        is_strangers: The daemon's user may not write it, and it belongs to another user than the home, who could.
    """

    path: PurePath
    found: os.stat_result
    more: int
    less: int
    is_given_away: bool
    is_strangers: bool


def wrong_rights(home: Home) -> Iterator[WrongRights]:
    """Yield files and folders of a home whose rights are wrong, but for the files of recordings, which fsck checks.

    Messages to callers may be readable by anybody.
    """
    is_two, owner = _is_shared(home), home.root.stat()
    for path in _paths(home):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(found.st_mode):
            continue  # fsck names links
        relative = path.relative_to(home.root)
        wanted = rights_of(relative, is_folder=stat.S_ISDIR(found.st_mode))
        is_owners = not wanted.mode & 0o077
        one = WrongRights(
            path=relative,
            found=found,
            more=found.st_mode & forbidden_in(home, path),
            less=wanted.mode & ~found.st_mode & 0o070 if is_two and not stat.S_ISSOCK(found.st_mode) else 0,
            is_given_away=is_two and is_owners and found.st_gid == owner.st_gid,
            is_strangers=is_two and _is_strangers(wanted, found.st_uid, owner.st_uid),
        )
        if one.more or one.less or one.is_given_away or one.is_strangers:
            yield one


def _is_strangers(wanted: Rights, uid: int, owner: int) -> bool:
    """Tell whether a file's owner could write it and should not; root may own what the daemon only reads."""
    is_anybodys = bool(wanted.mode & stat.S_IWGRP)
    return not is_anybodys and uid != owner and not (uid == 0 and wanted.is_groups)


def _paths(home: Home) -> Iterator[Path]:
    yield home.root
    for folder, folders, files in os.walk(home.root):
        place = Path(folder)
        relative = place.relative_to(home.root).as_posix()
        if relative in _LARGE:
            folders.clear()
            continue
        if relative == "notices" and not _is_shared(home):
            continue
        yield from (place / name for name in sorted([*folders, *files]))
