"""The account of an object store, read from a private file."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from recorder.objects.store import StoreError
from storage.errors import KeyProblemError
from storage.key_files import read_secret

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_NAMES = ("endpoint", "region", "access_key_id", "secret_access_key")
_CA = "ca"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccount:
    """An account of an object store.

    Attributes:
        endpoint: URL of the store.
        region: As the store names it.
        access_key_id: Name of the account.
        secret_access_key: Its secret.
        ca: File (PEM) of the authorities of the store's certificate; None is the system's.
    """

    endpoint: str
    region: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    ca: str | None = None


def read_account(file: Path) -> StoreAccount:
    """Read the file of an account: TOML with ``endpoint``, ``region``, ``access_key_id`` and ``secret_access_key``.

    ``ca`` may be there too, for a store whose certificate is of a private authority. In a shared folder its group may
    read it too: daemon and console use the same account.

    Raises:
        StoreError: It cannot be read, others can read it, it does not name these texts, or its ``ca`` is no file.
    """
    try:
        found = tomllib.loads(read_secret(file, is_groups=True).decode())
    except KeyProblemError as error:
        raise StoreError(str(error)) from error
    except ValueError as error:
        raise StoreError(f"{file} is not TOML") from error
    if found.keys() - {_CA} != set(_NAMES) or not all(isinstance(value, str) for value in found.values()):
        raise StoreError(f"{file} must have the texts {', '.join(_NAMES)}, perhaps {_CA}, and nothing else")
    address = urlsplit(found["endpoint"])
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
        raise StoreError(f"{file}: endpoint must begin with https://")
    if _CA in found and not Path(found[_CA]).is_file():
        raise StoreError(f"{file}: {_CA} {found[_CA]} is not a file")
    return StoreAccount(**found)
