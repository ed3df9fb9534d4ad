"""Who may have which rights on what lies in a home: the one rule of fsck, its repair and `recorder site-check`."""

from collections.abc import Iterator
from pathlib import Path

from recorder.access.signing import public_path, secret_path
from recorder.common.home import Home
from storage.group_modes import forbidden, is_shared


def forbidden_in(home: Home, path: Path) -> int:
    """Return the bits of a mode that give somebody rights who may have none, of a file or folder of a home.

    Accounts, private keys and the key that signs are no group's, whatever folder they lie in. The daemon's user, who
    may be another one, passes through the folder of that key, and reads the one that checks.
    """
    if path == secret_path(home.root).parent:
        return 0o066
    if path == public_path(home.root):
        return 0o033
    return 0o077 if path in _owners(home) else forbidden(path)


def given_away(home: Home) -> Iterator[Path]:
    """Yield what is its owner's alone and yet of the group that both users of a shared home are of.

    The mode keeps that group out as long as nothing changes it; in the owner's own group nobody has to rely on it.
    """
    if not home.root.is_dir() or not is_shared(home.root):
        return
    group = home.root.stat().st_gid
    yield from (path for path in _owners(home) if path.exists() and path.stat().st_gid == group)


def _owners(home: Home) -> tuple[Path, ...]:
    return (home.people, home.private_keys, secret_path(home.root))
