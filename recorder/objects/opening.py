"""Opens the store that an address names: a folder, or a bucket of an object store."""

from pathlib import Path

from recorder.config.store_urls import is_object_store
from recorder.objects.folder_store import FolderStore
from recorder.objects.store import Patience, RecordingStore, StoreAdvice, StoreError


def open_store(
    address: str,
    s3_file: Path | None,
    staging: Path,
    *,
    section: str,
    advice: StoreAdvice,
    patience: Patience = Patience(),  # noqa: B008 - it never changes
) -> RecordingStore:
    """Open a store; nothing is read there yet.

    Args:
        address: An absolute folder, or ``s3://BUCKET/PREFIX``.
        s3_file: File of the account of an object store.
        staging: A private folder for files that are put together for an object store.
        section: How the account is given, for messages.
        advice: The ends of error messages.
        patience: How long requests to an object store may take.

    Raises:
        StoreError: The account cannot be used.
    """
    if not is_object_store(address):
        return FolderStore(Path(address), advice)
    if s3_file is None:
        raise StoreError(f"{address} needs the file of its account: {section}")
    # It brings a client of its own, which commands with a folder need not load.
    from recorder.objects.s3_account import read_account  # noqa: PLC0415
    from recorder.objects.s3_store import S3Store  # noqa: PLC0415

    return S3Store(address, read_account(s3_file), staging, advice=advice, patience=patience)
