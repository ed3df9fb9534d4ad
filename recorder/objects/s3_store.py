"""A store that is a bucket of an object store that speaks S3, and a prefix in it."""

import errno
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from recorder.config.store_urls import is_object_store
from recorder.objects.s3_account import StoreAccount
from recorder.objects.s3_client import S3_ERRORS, client_of, code_of, is_missing, is_refused, problem_of_s3
from recorder.objects.store import Left, Patience, Removed, StoreAdvice, StoreFacts, check_key

_NO_LOCK = frozenset({"ObjectLockConfigurationNotFoundError", "NoSuchObjectLockConfiguration", "404"})
_NOT_SPOKEN = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})
_PART_BYTES = 1 << 20


class ObjectStore:
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
        assert is_object_store(url)
        address = urlsplit(url)
        self._url = url
        self._staging = staging
        self._advice = advice
        self._bucket = address.netloc
        self._prefix = f"{prefix}/" if (prefix := address.path.strip("/")) else ""
        self._client = client_of(account, patience)

    @property
    def name(self) -> str:
        """Return the URL."""
        return self._url

    @property
    def staging(self) -> Path:
        """Return a folder of this machine."""
        return self._staging

    def size(self, key: str) -> int | None:
        """See `recorder.objects.store.Store`."""
        with self._problems():
            found = self._found(self._client.head_object, key)
        return None if found is None else int(found["ContentLength"])

    def put(self, key: str, content: bytes) -> None:
        """See `recorder.objects.store.Store`."""
        with self._problems():
            self._client.put_object(**self._place(key), Body=content)

    def put_soon(self, key: str, content: bytes) -> None:
        """See `recorder.objects.store.Store`; the same as `put`."""
        self.put(key, content)

    def put_file(self, key: str, file: Path) -> None:
        """See `recorder.objects.store.RecordingStore`."""
        with file.open("rb") as content, self._problems():
            self._client.put_object(**self._place(key), Body=content)

    def stream(self, key: str) -> Iterator[bytes]:
        """See `recorder.objects.store.RecordingStore`."""
        with self._problems():
            found = self._found(self._client.get_object, key)
            if found is None:
                raise FileNotFoundError(errno.ENOENT, "it is not in the object store", key)
            with closing(found["Body"]) as body:
                yield from body.iter_chunks(_PART_BYTES)

    def flush(self) -> None:
        """See `recorder.objects.store.Store`; nothing waits."""

    def get(self, key: str) -> bytes | None:
        """See `recorder.objects.store.Store`."""
        return self._read(key)

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """See `recorder.objects.store.RecordingStore`."""
        try:
            return self._read(key, Range=f"bytes={start}-{start + length - 1}")
        except _PastEndError:
            return b""

    def keys(self, prefix: str) -> Iterator[str]:
        """See `recorder.objects.store.Store`."""
        pages = self._client.get_paginator("list_objects_v2")
        with self._problems():
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._below(prefix)):
                yield from (one["Key"].removeprefix(self._prefix) for one in page.get("Contents", ()))

    def remove(self, key: str) -> None:
        """See `recorder.objects.store.Store`."""
        with self._problems():
            self._found(self._client.delete_object, key)

    def tidy(self) -> None:
        """See `recorder.objects.store.Store`; nothing is left half."""

    def remove_all(self, folder: str) -> Removed:
        """See `recorder.objects.store.RecordingStore`. Versions that a lock protects are left, and listed."""
        gone, refused = 0, {}
        with self._problems():
            for upload in self._uploads(folder):
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                )  # fmt: skip
            for version in list(self._versions(folder)):
                try:
                    self._client.delete_object(
                        Bucket=self._bucket, Key=version["Key"], VersionId=version["VersionId"]
                    )  # fmt: skip
                    gone += 1
                except ClientError as error:
                    if not is_refused(error):
                        raise
                    refused[version["Key"], version["VersionId"]] = code_of(error)
            left = [self._left(one, refused) for one in self._versions(folder)]
            left += [self._left_upload(one) for one in self._uploads(folder)]
        return Removed(versions=gone, left=tuple(left))

    def every_key(self, folder: str) -> Iterator[str]:
        """See `recorder.objects.store.RecordingStore`."""
        last = ""
        with self._problems():
            for version in self._versions(folder):
                if version["Key"] != last:
                    last = version["Key"]
                    yield last.removeprefix(self._prefix)

    def facts(self) -> StoreFacts:
        """See `recorder.objects.store.RecordingStore`."""
        with self._problems():
            versioning = self._allowed(self._client.get_bucket_versioning)
            lock = self._allowed(self._client.get_object_lock_configuration, missing=_NO_LOCK)
        has_versions = None if versioning is None else "Status" in versioning
        return StoreFacts(has_versions=has_versions, lock=None if lock is None else _lock_words(lock))

    def _allowed(self, ask: Any, missing: frozenset[str] = frozenset()) -> dict[str, Any] | None:  # noqa: ANN401
        """Return an answer about the bucket; empty if it has none of it, None if this account may not ask."""
        try:
            return dict(ask(Bucket=self._bucket))
        except ClientError as error:
            if code_of(error) in missing | _NOT_SPOKEN:
                return {}
            if not is_refused(error):
                raise
            return None

    def _versions(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield every version in a folder, and every mark that says that an object was removed."""
        pages = self._client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._below(folder)):
            yield from page.get("Versions", ())
            yield from page.get("DeleteMarkers", ())

    def _uploads(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield uploads in a folder that were begun and not completed."""
        pages = self._client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._below(folder)):
            yield from page.get("Uploads", ())

    def _left(self, version: dict[str, Any], refused: dict[tuple[str, str], str]) -> Left:
        key = version["Key"].removeprefix(self._prefix)
        code = refused.get((version["Key"], version["VersionId"]))
        if code is None:
            return Left(key=key, until=None, why="the store says that it removed it, and lists it still")
        until, is_on_hold = self._lock_of(version)
        if until is not None or is_on_hold:
            why = "a legal hold of the store locks it" if is_on_hold else "a lock of the store protects it"
            return Left(key=key, until=until, why=why)
        return Left(key=key, until=None, why=f"the store refuses to remove it ({code}): check the account's rights")

    def _left_upload(self, upload: dict[str, Any]) -> Left:
        key = upload["Key"].removeprefix(self._prefix)
        return Left(key=key, until=None, why="an unfinished upload is still there")

    def _lock_of(self, version: dict[str, Any]) -> tuple[datetime | None, bool]:
        """Return when the lock of a version ends, and whether the store's own legal hold is on it."""
        try:
            found = self._client.head_object(
                Bucket=self._bucket, Key=version["Key"], VersionId=version["VersionId"]
            )  # fmt: skip
        except ClientError:
            return None, False
        return found.get("ObjectLockRetainUntilDate"), found.get("ObjectLockLegalHoldStatus") == "ON"

    def _read(self, key: str, **how: str) -> bytes | None:
        with self._problems():
            found = self._found(self._client.get_object, key, **how)
            if found is None:
                return None
            with closing(found["Body"]) as body:
                return bytes(body.read())

    def _found(self, act: Any, key: str, **how: str) -> dict[str, Any] | None:  # noqa: ANN401 - a method of the client
        """Return what the store says of an object; None: there is none."""
        try:
            return dict(act(**self._place(key), **how))
        except ClientError as error:
            if code_of(error) in {"InvalidRange", "416"}:
                raise _PastEndError from error
            if not is_missing(error):
                raise
            return None

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}

    def _below(self, folder: str) -> str:
        return f"{self._prefix}{check_key(folder)}/"

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except S3_ERRORS as error:
            raise problem_of_s3(error, self._url, self._advice) from error


class _PastEndError(Exception):
    """A range begins after the end of its object."""


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
