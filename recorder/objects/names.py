"""Names of the objects of recordings. Pure.

A recording's objects are in a folder that is named by the digest of its container. The digest is of sealed audio under
a key that nobody else has, so a name tells nothing about the call, and a rewritten recording has another name.
"""

import re
from collections.abc import Iterable

from storage.epochs import epoch_order, is_epoch

ROOT = "recordings"
MARK = "recorder-objects"
"""An object that says that this is the store: an unmounted folder, or another bucket, has none."""
_CONTAINER = re.compile(rf"{ROOT}/[0-9a-f]{{2}}/([0-9a-f]{{64}})/.+")


def folder_of(sha256: str) -> str:
    """Return the folder of all objects of a recording."""
    return f"{ROOT}/{sha256[:2]}/{sha256}"


def container_key(sha256: str) -> str:
    """Return the name of a container."""
    return f"{folder_of(sha256)}/container.rec"


def keys_folder(sha256: str) -> str:
    """Return the folder of a recording's sealed keys, in a folder for each epoch."""
    return f"{folder_of(sha256)}/keys"


def key_folder(sha256: str, epoch: str) -> str:
    """Return the folder of a recording's key that is sealed to an epoch."""
    return f"{keys_folder(sha256)}/{epoch}"


def key_key(sha256: str, epoch: str) -> str:
    """Return the name of a recording's key that is sealed to an epoch."""
    return f"{key_folder(sha256, epoch)}/sealed.key"


def part_key(sha256: str, start: int) -> str:
    """Return the name of a part of a recording in progress that begins at a byte."""
    return f"{folder_of(sha256)}/part-{start:012}"


def epoch_in(key: str) -> str | None:
    """Return the epoch that the name of a sealed key says; None if it is none, such as ``..``: it names a folder."""
    parts = key.split("/")
    return parts[-2] if len(parts) > 1 and is_epoch(parts[-2]) else None


def newest_key(keys: Iterable[str]) -> tuple[str, str] | None:
    """Return the name of a recording's newest sealed key in the store, and its epoch; None if there is none.

    Args:
        keys: Names of objects in the folder of its keys; one without a proper epoch is passed over.
    """
    found = [(key, epoch) for key in keys if (epoch := epoch_in(key)) is not None]
    return max(found, key=lambda one: epoch_order(one[1]), default=None)


def digest_in(key: str) -> str | None:
    """Return the digest that an object's name says; None if it is no object of a recording."""
    found = _CONTAINER.fullmatch(key)
    return None if found is None else found[1]
