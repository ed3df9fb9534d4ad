"""Recorders that are broken on purpose: `kills.py --mutation NAME` must find each of them out."""

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from recorder.recordings import recovery
from recorder.retention.eraser import Eraser
from storage.audit_entry import RECORDER
from storage.deletion import Done, Shredder
from storage.durable import AppendFile
from storage.tombstones import DELETED, Tombstone, deleted_details


def folders_unsynced() -> None:
    """Names are not made durable."""
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            real(descriptor)

    _put(os, "fsync", fsync)


def files_unsynced() -> None:
    """What is written to a container is not made durable."""
    _put(AppendFile, "sync", lambda _self: None)


def returned_unnoticed() -> None:
    """A start does not look whether anything that was deleted is there."""
    _put(recovery, "destroy_returned", lambda *_: [])


def tombstone_last() -> None:
    """Recordings are destroyed before the audit log says so."""

    def delete(self: Shredder, doomed: Sequence[Tombstone], *, rule: str, **_: Any) -> Done:
        done = self._destroy(doomed)
        self.audit.append(act=DELETED, actor=RECORDER, subject="", details=deleted_details(rule, doomed))
        return done

    _put(Shredder, "delete", delete)


def erased_row_unsaved() -> None:
    """An erasure does not tell the index what the recording is now."""
    _put(Eraser, "_save", lambda *_: None)


def order_done_unerased() -> None:
    """An order to erase is said to be carried out and is not."""
    _put(Eraser, "_erase", lambda *_: None)


def _put(owner: object, name: str, value: Callable[..., Any]) -> None:
    assert hasattr(owner, name), f"{owner} has no {name} any more"
    setattr(owner, name, value)


MUTATIONS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        one.__name__.replace("_", "-"): one
        for one in (
            folders_unsynced, files_unsynced, returned_unnoticed, tombstone_last, erased_row_unsaved,
            order_done_unerased,
        )
    }
)  # fmt: skip
"""By name. The first two need ``--power``."""
