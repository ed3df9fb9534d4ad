"""Marks a store as the one that recordings are in."""

from recorder.objects.names import MARK
from recorder.objects.store import RecordingStore, StoreError
from storage.objects import Objects


def begin(store: RecordingStore, objects: Objects) -> None:
    """Mark a new store, and recognise it each time: a share can be unmounted at any moment.

    Raises:
        StoreError: It has no mark although recordings are stored: another bucket, or a folder that is not mounted.
        DatabaseError: The database cannot be used.
    """
    if store.size(MARK) is not None:
        return
    if objects.has_any():
        raise StoreError(
            f"{store.name} is not the store that recordings are in: is the disk mounted, and is `url` in [objects] "
            f"right? If the store was lost, restore it, or put an empty object named {MARK} there to begin anew"
        )
    store.put(MARK, b"Finished recordings of a recorder, sealed. See docs/storage-format.md.\n")


def check_still_there(store: RecordingStore) -> None:
    """Check that a store is still the one that `begin` found: what was written or looked for since is in it.

    Raises:
        StoreError: It is not: its disk or share was unmounted meanwhile.
    """
    if store.size(MARK) is None:
        raise StoreError(
            f"{store.name} is not the store that recordings are in any more: was its disk or share unmounted? Mount it "
            "again; what was not done is tried again"
        )
