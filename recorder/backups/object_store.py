"""A store on an object store that speaks S3: a bucket, and a prefix in it."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from recorder.backups.store import BackupError, check_key
from recorder.config.backup_options import is_object_store
from storage.errors import KeyProblemError
from storage.key_files import read_secret

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NAMES = ("endpoint", "region", "access_key_id", "secret_access_key")
_TIMEOUT = "60s"
_RETRIES, _RETRY_FOR = 5, timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccount:
    """An account of an object store."""

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


def read_account(file: Path) -> StoreAccount:
    """Read the file of an account: TOML with ``endpoint``, ``region``, ``access_key_id`` and ``secret_access_key``.

    Raises:
        BackupError: It cannot be read, others can read it, or it does not name these four texts.
    """
    try:
        found = tomllib.loads(read_secret(file).decode())
    except KeyProblemError as error:
        raise BackupError(str(error)) from error
    except ValueError as error:
        raise BackupError(f"{file} is not TOML") from error
    if found.keys() != set(_NAMES) or not all(isinstance(value, str) for value in found.values()):
        raise BackupError(f"{file} must have the texts {', '.join(_NAMES)}, and nothing else")
    address = urlsplit(found["endpoint"])
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
        raise BackupError(f"{file}: endpoint must begin with https://")
    return StoreAccount(**found)


class ObjectStore:
    """Objects in a bucket; an object is there as a whole or not at all, and durable once stored.

    Args:
        url: ``s3://BUCKET/PREFIX``.
        account: Who reads and writes there.
        staging: A private folder of this machine for files that are put together.
    """

    def __init__(self, url: str, account: StoreAccount, staging: Path) -> None:
        assert is_object_store(url)
        address = urlsplit(url)
        self._url = url
        self._staging = staging
        self._store = S3Store(
            address.netloc,
            prefix=address.path.strip("/") or None,
            endpoint=account.endpoint,
            region=account.region,
            access_key_id=account.access_key_id,
            secret_access_key=account.secret_access_key,
            virtual_hosted_style_request=False,
            client_options={"allow_http": account.endpoint.startswith("http:"), "timeout": _TIMEOUT},
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
        )

    @property
    def name(self) -> str:
        """Return the URL."""
        return self._url

    @property
    def staging(self) -> Path:
        """Return a folder of this machine."""
        return self._staging

    def size(self, key: str) -> int | None:
        """See `recorder.backups.store.Store`."""
        try:
            return obstore.head(self._store, check_key(key))["size"]
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._problem(error) from error

    def put(self, key: str, content: bytes) -> None:
        """See `recorder.backups.store.Store`."""
        try:
            obstore.put(self._store, check_key(key), content)
        except FileNotFoundError as error:
            raise BackupError(f"{self._url}: there is no such bucket, or this account does not see it") from error
        except BaseError as error:
            raise self._problem(error) from error

    def put_soon(self, key: str, content: bytes) -> None:
        """See `recorder.backups.store.Store`; the same as `put`."""
        self.put(key, content)

    def flush(self) -> None:
        """See `recorder.backups.store.Store`; nothing waits."""

    def get(self, key: str) -> bytes | None:
        """See `recorder.backups.store.Store`."""
        try:
            return bytes(obstore.get(self._store, check_key(key)).bytes())
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise self._problem(error) from error

    def keys(self, prefix: str) -> Iterator[str]:
        """See `recorder.backups.store.Store`."""
        try:
            for some in obstore.list(self._store, prefix=check_key(prefix)):
                yield from (one["path"] for one in some)
        except FileNotFoundError:
            return
        except BaseError as error:
            raise self._problem(error) from error

    def remove(self, key: str) -> None:
        """See `recorder.backups.store.Store`."""
        try:
            obstore.delete(self._store, check_key(key))
        except FileNotFoundError:
            return
        except BaseError as error:
            raise self._problem(error) from error

    def tidy(self) -> None:
        """See `recorder.backups.store.Store`; nothing is left half."""

    def _problem(self, error: BaseError) -> BackupError:
        """Return an error as a sentence; its own text has addresses and parts of requests."""
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
            return BackupError(f"{self._url} refuses this account: check its keys, and its rights on the bucket")
        return BackupError(
            f"{self._url} does not answer or refuses ({type(error).__name__}): check the endpoint, the network, and "
            "the bucket's quota. The last complete snapshot is unchanged"
        )
