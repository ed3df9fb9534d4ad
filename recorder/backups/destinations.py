"""Opens the store that a destination names: a folder, or a bucket of an object store."""

from pathlib import Path

from recorder.backups.rules import STAGING
from recorder.objects import opening
from recorder.objects.store import Store, StoreAdvice

ADVICE = StoreAdvice(
    unharmed="The last complete snapshot is unchanged",
    when_full="free space there, or shorten the periods in [backup], and run it again",
)


def open_store(destination: str, s3_file: Path | None, state: Path | None = None) -> Store:
    """Open a destination; nothing is read there yet.

    Args:
        destination: An absolute folder, or ``s3://BUCKET/PREFIX``.
        s3_file: File of the account of an object store.
        state: The home's folder of states; None to restore, which puts nothing together.

    Raises:
        StoreError: The account cannot be used.
    """
    return opening.open_store(
        destination, s3_file, (state or Path()) / STAGING, section="give --s3-file FILE, or s3_file in [backup]",
        advice=ADVICE,
    )  # fmt: skip
