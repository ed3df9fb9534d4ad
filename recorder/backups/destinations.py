"""Opens the store that a destination names: a folder, or a bucket of an object store."""

from pathlib import Path

from recorder.backups.rules import STAGING
from recorder.backups.store import BackupError, FolderStore, Store
from recorder.config.backup_options import is_object_store


def open_store(destination: str, s3_file: Path | None, state: Path | None = None) -> Store:
    """Open a destination; nothing is read there yet.

    Args:
        destination: An absolute folder, or ``s3://BUCKET/PREFIX``.
        s3_file: File of the account of an object store.
        state: The home's folder of states; None to restore, which puts nothing together.

    Raises:
        BackupError: The account cannot be used.
    """
    if not is_object_store(destination):
        return FolderStore(Path(destination))
    if s3_file is None:
        raise BackupError(f"{destination} needs the file of its account: give --s3-file FILE, or s3_file in [backup]")
    # It brings a runtime of its own, which commands with a folder need not load.
    from recorder.backups.object_store import ObjectStore, read_account  # noqa: PLC0415

    return ObjectStore(destination, read_account(s3_file), (state or Path()) / STAGING)
