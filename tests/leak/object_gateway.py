"""The object gateway that stores finished recordings of a run, with versioning on: objects and files are a sink."""

import contextlib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from recorder.objects.elsewhere import ADVICE
from recorder.objects.s3_account import read_account
from recorder.objects.s3_store import S3Store
from tests.helpers.radosgw import radosgw
from tests.helpers.recorder_home import Edits

_PREFIX, _PLANTED = "leak", "planted/object"


class ObjectGateway:
    """The gateway of one run. Close it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="leak-objects-")))
        gateway = self._stack.enter_context(radosgw(self._folder / "gateway"))
        self._account = gateway.account(self._folder / "account.toml")
        self._url = f"s3://{gateway.bucket}/{_PREFIX}"
        self._store = S3Store(self._url, read_account(self._account), self._folder / "staging", advice=ADVICE)
        self._store._client.put_bucket_versioning(Bucket=gateway.bucket, VersioningConfiguration={"Status": "Enabled"})

    @property
    def edits(self) -> Edits:
        """Return the changes of a configuration that stores recordings there."""
        return (
            ('url = "off"                     # "s3://BUCKET', f'url = "{self._url}"  # "s3://BUCKET'),
            ('s3_file = "off"                 # for s3://B', f's3_file = "{self._account}"  # for s3://B'),
        )

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each object, and the gateway's own files: former versions are in those too."""
        for folder in ("recordings", "parts", "planted"):
            for key in self._store.keys(folder):
                yield key, key.encode() + b"\n" + (self._store.get(key) or b"")
        for path in sorted((self._folder / "gateway").rglob("*")):
            with contextlib.suppress(OSError):  # it has just been removed
                if path.is_file() and path.stat().st_size:
                    yield path.relative_to(self._folder).as_posix(), path.read_bytes()

    def plant(self, audio: bytes, digits: str, undo: ExitStack) -> None:
        """Store both as an object, until the stack is closed."""
        undo.callback(self._store.remove_all, "planted")
        self._store.put(_PLANTED, audio + b"\n" + digits.encode())

    def close(self) -> None:
        """End the gateway and remove its files."""
        self._stack.close()
