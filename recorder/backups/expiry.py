"""Expires classes of snapshots whose period is over, and removes what no snapshot needs any more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from recorder.backups.journal import Journal
from recorder.backups.rules import BackupClass, expired
from recorder.backups.snapshots import Repository, Snapshot
from recorder.objects.store import StoreError


@dataclass(slots=True, kw_only=True)
class Expired:
    """What expired.

    Attributes:
        snapshots: Ids of the snapshots that lost a class, or everything.
        unreadable: Sentences about snapshots that cannot be read; while there are any, no pieces are removed.
    """

    snapshots: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def expire(repository: Repository, classes: Sequence[BackupClass], days: Mapping[str, int], now: datetime) -> Expired:
    """Expire what is due at one destination, after its newest snapshot was completed. Nobody may be writing there.

    Safe to kill and to run again.

    Args:
        repository: The destination.
        classes: Classes that it has.
        days: The period of each.
        now: The present time.

    Raises:
        BackupError: The destination cannot be used.
    """
    done = Expired()
    snapshots = _readable(repository, done)
    for name in classes:
        having = {one.id: one for one in snapshots if repository.has(one, name)}
        for old in expired([(one.id, one.at) for one in having.values()], days[name], now):
            repository.remove_class(having[old], name)
            done.snapshots.append(old)
    done.snapshots = sorted(set(done.snapshots))
    repository.remove_incomplete()
    if done.unreadable:
        return done
    left = _readable(repository, done)
    journal = Journal(repository)
    oldest = next((one.head for one in left if repository.has(one, BackupClass.AUDIT)), None)
    if oldest is not None:
        journal.expire(oldest.number or 0)
    try:
        for name in classes:
            _remove_unneeded(repository, left, journal, name)
    except StoreError as error:
        done.unreadable.append(str(error))
    return done


def _readable(repository: Repository, done: Expired) -> list[Snapshot]:
    found = []
    for name in repository.ids():
        try:
            found.append(repository.load(name))
        except StoreError as error:
            done.unreadable.append(f"an older snapshot cannot be read, so nothing was freed: {error}")
    return found


def _remove_unneeded(
    repository: Repository, snapshots: Sequence[Snapshot], journal: Journal, name: BackupClass
) -> None:
    needed: set[str] = set()
    for one in snapshots:
        if repository.has(one, name):
            needed.update(piece for file in repository.files(one, name) for piece in file.pieces)
    if name is BackupClass.MEDIA:
        for segment in journal.after(0):
            needed.update(piece for files in segment.rewritten.values() for file in files for piece in file.pieces)
    for key in [key for key in repository.store.keys(str(name)) if key not in needed]:
        repository.store.remove(key)
