"""A store that is a bucket of an object store that speaks S3, and a prefix in it."""

import errno
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from recorder.objects.s3_account import StoreAccount
from recorder.objects.s3_bucket import PastEndError, S3Bucket
from recorder.objects.s3_client import code_of, is_refused
from recorder.objects.store import Patience, Removed, StoreAdvice, StoreFacts

_NO_LOCK = frozenset({"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "404"})
_PART_BYTES = 1 << 20


class S3Store:
    """Objects in a bucket; an object is there as a whole or not at all, and durable once stored.

    An object is stored by one request, so no upload is ever left unfinished by this program. May be used by several
    threads.

    Args:
        url: ``s3://BUCKET/PREFIX``.
        account: Who reads and writes there.
        staging: A private folder of this machine for files that are put together.
        advice: The ends of error messages.
        patience: How long requests may take.
    """

    def __init__(
        self,
        url: str,
        account: StoreAccount,
        staging: Path,
        *,
        advice: StoreAdvice = StoreAdvice(),  # noqa: B008 - it never changes
        patience: Patience = Patience(),  # noqa: B008 - it never changes
    ) -> None:
        self._bucket = S3Bucket(url, account, advice, patience)
        self._client = self._bucket.client
        self._staging = staging

    @property
    def name(self) -> str:
        """Return the URL."""
        return self._bucket.url

    @property
    def staging(self) -> Path:
        """Return a folder of this machine."""
        return self._staging

    def size(self, key: str) -> int | None:
        """See `recorder.objects.store.Store`."""
        with self._bucket.problems():
            found = self._bucket.found(self._client.head_object, key)
        return None if found is None else int(found["ContentLength"])

    def put(self, key: str, content: bytes) -> None:
        """See `recorder.objects.store.Store`."""
        with self._bucket.problems():
            self._client.put_object(**self._bucket.place(key), Body=content)

    def put_soon(self, key: str, content: bytes) -> None:
        """See `recorder.objects.store.Store`; the same as `put`."""
        self.put(key, content)

    def put_file(self, key: str, file: Path) -> None:
        """See `recorder.objects.store.RecordingStore`."""
        with file.open("rb") as content, self._bucket.problems():
            self._client.put_object(**self._bucket.place(key), Body=content)

    def stream(self, key: str) -> Iterator[bytes]:
        """See `recorder.objects.store.RecordingStore`."""
        with self._bucket.problems():
            found = self._bucket.found(self._client.get_object, key)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, "it is not in the object store", key)
            with closing(found["Body"]) as body:
                yield from body.iter_chunks(_PART_BYTES)

    def flush(self) -> None:
        """See `recorder.objects.store.Store`; nothing waits."""

    def get(self, key: str) -> bytes | None:
        """See `recorder.objects.store.Store`."""
        return self._bucket.read(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """See `recorder.objects.store.RecordingStore`."""
        try:
            return self._bucket.read(key, Range=f"bytes={start}-{start + length - 1}")
        except PastEndError:
            return b""

    def keys(self, prefix: str) -> Iterator[str]:
        """See `recorder.objects.store.Store`."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._bucket.problems():
            for page in pages.paginate(Bucket=self._bucket.name, Prefix=self._bucket.below(prefix)):
                yield from map(self._bucket.key_of, page.get("Contents", ()))

    def remove(self, key: str) -> None:
        """See `recorder.objects.store.Store`."""
        with self._bucket.problems():
            self._bucket.found(self._client.delete_object, key)

    def tidy(self) -> None:
        """See `recorder.objects.store.Store`; nothing is left half."""

    def remove_all(self, folder: str) -> Removed:
        """See `recorder.objects.store.RecordingStore`. Versions that a lock protects are left, and listed."""
        gone, refused = 0, {}
        with self._bucket.problems():
            for upload in self._bucket.uploads(folder):
                self._bucket.abort_upload(upload)
            for version in list(self._bucket.versions(folder)):
                try:
                    self._bucket.remove_version(version)
                    gone += 1
                except ClientError as error:
                    if not is_refused(error):
                        raise
                    refused[version["Key"], version["VersionId"]] = code_of(error)
            left = [self._bucket.left(one, refused) for one in self._bucket.versions(folder)]
            left += [self._bucket.left_upload(one) for one in self._bucket.uploads(folder)]
        return Removed(versions=gone, left=tuple(left))

    def every_key(self, folder: str) -> Iterator[str]:
        """See `recorder.objects.store.RecordingStore`."""
        last = ""
        with self._bucket.problems():
            for version in self._bucket.versions(folder):
                if version["Key"] != last:
                    last = version["Key"]
                    yield self._bucket.key_of(version)

    def facts(self) -> StoreFacts:
        """See `recorder.objects.store.RecordingStore`."""
        with self._bucket.problems():
            versioning = self._bucket.allowed(self._client.get_bucket_versioning)
            lock = self._bucket.allowed(self._client.get_object_lock_configuration, missing=_NO_LOCK)
        has_versions = None if versioning is None else "Status" in versioning
        return StoreFacts(has_versions=has_versions, lock=None if lock is None else _lock_words(lock))


def _lock_words(found: dict[str, Any]) -> str:
    """Return the rule by which a bucket locks new objects, for people; "" for none."""
    settings = found.get("ObjectLockConfiguration", {})
    if settings.get("ObjectLockEnabled") != "Enabled":
        return ""
    rule = settings.get("Rule", {}).get("DefaultRetention", {})
    if not rule:
        return "objects can be locked; new ones are not"
    length = f"{rule['Days']} days" if "Days" in rule else f"{rule.get('Years')} years"
    return f"new objects are locked for {length} ({str(rule.get('Mode', '')).lower()})"
