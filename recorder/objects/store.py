"""Stores of objects by key: the interface, and its errors. An object is written as a whole or not at all."""

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from storage.errors import StorageError

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9.+_-]*(/[A-Za-z0-9_][A-Za-z0-9.+_-]*)*")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class StoreError(StorageError):
    """A store cannot be used; the message says what to do next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAdvice:
    """The ends of messages about a store that fails.

    Attributes:
        unharmed: Says what is safe all the same, without a full stop.
        when_full: Says what to do when it is full, in small letters, without a full stop.
    """

    unharmed: str = "Nothing was changed"
    when_full: str = "free space there, or raise the quota"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a store may take, seconds, and how often a request is tried."""

    connect_s: float = 10.0
    read_s: float = 60.0
    tries: int = 6
    connections: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftVersion:
    """A version of an object that could not be removed.

    Attributes:
        key: Its key.
        until: When its lock ends; None if no lock is known.
        why: Why it is left.
    """

    key: str
    until: datetime | None
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The result of removing a folder of objects: how many versions went, and which are left."""

    versions: int = 0
    left: tuple[LeftVersion, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFacts:
    """How a store keeps objects.

    Attributes:
        has_versions: Whether replaced and removed objects stay as older versions; None if the account may not ask.
        lock: The rule by which new objects are locked, for people; "" for none, None if the account may not ask.
    """

    has_versions: bool | None = False
    lock: str | None = ""


class Store(Protocol):
    """Objects by key: letters, digits, ``.``, ``_``, ``-``, in folders divided by ``/``.

    Every method raises StoreError if the store cannot be used.
    """

    @property
    def name(self) -> str:
        """Return the name for people."""

    @property
    def staging(self) -> Path:
        """Return a private folder for files that are put together before they are stored; the caller clears it."""

    def size(self, key: str) -> int | None:
        """Return an object's size in bytes, or None: there is none."""

    def put(self, key: str, content: bytes) -> None:
        """Store an object durably; an existing one is replaced."""

    def put_soon(self, key: str, content: bytes) -> None:
        """Store an object, durably only once `flush` has returned."""

    def flush(self) -> None:
        """Make durable what `put_soon` stored."""

    def get(self, key: str) -> bytes | None:
        """Return an object as it is on the medium, or None: there is none."""

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys in a folder and those below it, in no order."""

    def remove(self, key: str) -> None:
        """Remove an object; it may be missing."""

    def tidy(self) -> None:
        """Remove what interrupted writers left. Nobody may be writing."""


class RecordingStore(Store, Protocol):
    """A store that recordings are kept in: read in ranges, and removed so that no older version is left."""

    def put_file(self, key: str, file: Path) -> None:
        """Store a file's content durably, in constant memory. Raises OSError if the file cannot be read."""

    def get_range(self, key: str, start: int, length: int) -> bytes | None:
        """Return ``length`` bytes from ``start`` on, fewer at the end; None: there is no such object."""

    def stream(self, key: str) -> Iterator[bytes]:
        """Yield an object's content in parts, as the store has it now.

        Raises:
            FileNotFoundError: There is no such object.
        """

    def remove_all(self, folder: str) -> Removed:
        """Remove every version of every object in a folder, and unfinished uploads; look afterwards what is left."""

    def every_key(self, folder: str) -> Iterator[str]:
        """Yield the keys in a folder, also those of which only older versions are left, in order, each once."""

    def facts(self) -> StoreFacts:
        """Return how it keeps objects."""


def check_key(key: str) -> str:
    """Return a key, or raise ValueError if it cannot be the key of an object."""
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} cannot be the key of an object")
    return key


def problem_of(error: OSError, where: str, advice: StoreAdvice) -> StoreError:
    """Return a system's error about a folder as a sentence."""
    if error.errno in _FULL:
        return StoreError(f"{where} is full. {advice.unharmed}; {advice.when_full}")
    return StoreError(f"{where} cannot be used: {error.strerror or error}; is it mounted, and may this user write?")
