"""Requests to a bucket that speaks S3, below a prefix; `recorder.objects.s3_store` is made of them."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from recorder.config.store_urls import is_object_store
from recorder.objects.s3_account import StoreAccount
from recorder.objects.s3_client import S3_ERRORS, client_of, code_of, is_missing, is_refused, problem_of_s3
from recorder.objects.store import LeftVersion, Patience, StoreAdvice, check_key

_NOT_SPOKEN = frozenset({"NotImplemented", "MethodNotAllowed", "501", "405"})


class PastEndError(Exception):
    """A range begins after the end of its object."""


class S3Bucket:
    """A bucket and a prefix in it. May be used by several threads.

    Args:
        url: ``s3://BUCKET/PREFIX``.
        account: Who reads and writes there.
        advice: The ends of error messages.
        patience: How long requests may take.

    Attributes:
        url: As given.
        name: The bucket's.
        client: The client.
    """

    def __init__(self, url: str, account: StoreAccount, advice: StoreAdvice, patience: Patience) -> None:
        assert is_object_store(url)
        address = urlsplit(url)
        self.url = url
        self.name = address.netloc
        self.client = client_of(account, patience)
        self._advice = advice
        self._prefix = f"{prefix}/" if (prefix := address.path.strip("/")) else ""

    def allowed(self, ask: Any, missing: frozenset[str] = frozenset()) -> dict[str, Any] | None:  # noqa: ANN401
        """Return an answer about the bucket; empty if it has none of it, None if this account may not ask."""
        try:
            return dict(ask(Bucket=self.name))
        except ClientError as error:
            if code_of(error) in missing | _NOT_SPOKEN:
                return {}
            if not is_refused(error):
                raise
            return None

    def versions(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield every version in a folder, and every mark that says that an object was removed."""
        pages = self.client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=self.name, Prefix=self.below(folder)):
            yield from page.get("Versions", ())
            yield from page.get("DeleteMarkers", ())

    def uploads(self, folder: str) -> Iterator[dict[str, Any]]:
        """Yield uploads in a folder that were begun and not completed."""
        pages = self.client.get_paginator("list_multipart_uploads")
        for page in pages.paginate(Bucket=self.name, Prefix=self.below(folder)):
            yield from page.get("Uploads", ())

    def remove_version(self, version: dict[str, Any]) -> None:
        """Remove one version of an object. Raises ClientError if the store refuses."""
        self.client.delete_object(Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"])

    def abort_upload(self, upload: dict[str, Any]) -> None:
        """Remove an upload that was begun and not completed."""
        self.client.abort_multipart_upload(Bucket=self.name, Key=upload["Key"], UploadId=upload["UploadId"])

    def left(self, version: dict[str, Any], refused: dict[tuple[str, str], str]) -> LeftVersion:
        """Return why a version is still there; ``refused`` has the store's answers by key and version."""
        key = self.key_of(version)
        code = refused.get((version["Key"], version["VersionId"]))
        if code is None:
            return LeftVersion(key=key, until=None, why="the store says that it removed it, and lists it still")
        until, is_on_hold = self._lock_of(version)
        if until is not None or is_on_hold:
            why = "a legal hold of the store locks it" if is_on_hold else "a lock of the store protects it"
            return LeftVersion(key=key, until=until, why=why)
        return LeftVersion(
            key=key, until=None, why=f"the store refuses to remove it ({code}): check the account's rights"
        )

    def left_upload(self, upload: dict[str, Any]) -> LeftVersion:
        """Return that an upload is still there."""
        return LeftVersion(key=self.key_of(upload), until=None, why="an unfinished upload is still there")

    def _lock_of(self, version: dict[str, Any]) -> tuple[datetime | None, bool]:
        """Return when the lock of a version ends, and whether the store's own legal hold is on it."""
        try:
            found = self.client.head_object(
                Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"]
            )  # fmt: skip
        except ClientError:
            return None, False
        return found.get("ObjectLockRetainUntilDate"), found.get("ObjectLockLegalHoldStatus") == "ON"

    def read(self, key: str, **how: str) -> bytes | None:
        """Return an object's content, or None: there is none. Raises PastEndError."""
        with self.problems():
            found = self.found(self.client.get_object, key, **how)
            if found is None:
                return None
            with closing(found["Body"]) as body:
                return bytes(body.read())

    def found(self, act: Any, key: str, **how: str) -> dict[str, Any] | None:  # noqa: ANN401 - a method of the client
        """Return what the store says of an object; None: there is none."""
        try:
            return dict(act(**self.place(key), **how))
        except ClientError as error:
            if code_of(error) in {"InvalidRange", "416"}:
                raise PastEndError from error
            if not is_missing(error):
                raise
            return None

    def key_of(self, listed: dict[str, Any]) -> str:
        """Return the key, without the prefix, of what the store lists."""
        return str(listed["Key"]).removeprefix(self._prefix)

    def place(self, key: str) -> dict[str, str]:
        """Return bucket and full key of an object, for a request."""
        return {"Bucket": self.name, "Key": self._prefix + check_key(key)}

    def below(self, folder: str) -> str:
        """Return the full prefix of the keys in a folder."""
        return f"{self._prefix}{check_key(folder)}/"

    @contextmanager
    def problems(self) -> Iterator[None]:
        """Turn errors of the client into StoreError."""
        try:
            yield
        except S3_ERRORS as error:
            raise problem_of_s3(error, self.url, self._advice) from error
