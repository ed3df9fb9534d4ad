"""File permissions allowed in a home: the one rule of fsck, its repair and `recorder site-check`."""

from collections.abc import Iterator
from pathlib import Path

from recorder.access.signing import public_path, secret_path
from recorder.common.home import Home
from storage.group_modes import forbidden, is_shared


def forbidden_in(home: Home, path: Path) -> int:
    """Return the mode bits that a file or folder of a home must not have.

    Accounts, private keys and the signing key are closed to the group, whatever folder they are in. The daemon's user,
    who may be another one, passes through the signing key's folder and reads the verifying key.
    """
    if path == secret_path(home.root).parent:
        return 0o066
    if path == public_path(home.root):
        return 0o033
    return 0o077 if path in _owners(home) else forbidden(path)


def given_away(home: Home) -> Iterator[Path]:
    """Yield files for their owner only that nevertheless belong to the group of a shared home.

    Their mode keeps the group out only as long as nobody changes it; in the owner's own group that does not matter.
    """
    if not home.root.is_dir() or not is_shared(home.root):
        return
    group = home.root.stat().st_gid
    yield from (path for path in _owners(home) if path.exists() and path.stat().st_gid == group)


def _owners(home: Home) -> tuple[Path, ...]:
    return (home.people, home.private_keys, secret_path(home.root))
