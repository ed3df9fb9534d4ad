"""An object as a file for reading, in ranges that are kept in memory for a while, never on disk."""

import errno
import io
import threading
from collections import OrderedDict
from collections.abc import Callable

from recorder.objects.store import RecordingStore

RANGE_BYTES = 8 << 20
"""One request for most recordings: reading goes through the whole of it anyway."""
MOST_RANGES = 8


class RangeCache:
    """The ranges that were read last, at most 64 MiB. They are sealed, as the objects are. Safe from any thread."""

    def __init__(self, most: int = MOST_RANGES) -> None:
        self._most = most
        self._found: OrderedDict[tuple[str, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, number: int, read: Callable[[], bytes | None]) -> bytes | None:
        """Return a range of an object, from memory or by reading it."""
        with self._lock:
            if (known := self._found.get((key, number))) is not None:
                self._found.move_to_end((key, number))
                return known
        found = read()
        if found is not None:
            with self._lock:
                self._found[key, number] = found
                while len(self._found) > self._most:
                    self._found.popitem(last=False)
        return found


class ObjectFile(io.RawIOBase):
    """An object, for reading.

    Args:
        store: The store.
        key: The object's name.
        cache: Ranges that were read.

    Raises:
        StoreError: The store cannot be used; applies to every method.
        FileNotFoundError: There is no such object; applies to every method.
    """

    def __init__(self, store: RecordingStore, key: str, cache: RangeCache) -> None:
        super().__init__()
        self._store = store
        self._key = key
        self._cache = cache
        self._at = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at}.get(whence)
        self._at = offset + (self._size() if base is None else base)
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read bytes from the position on; returns how many, 0 at the end."""
        number, offset = divmod(self._at, RANGE_BYTES)
        found = self._cache.get(self._key, number, lambda: self._read(number))
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "it is not in the object store", self._key)
        part = found[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _read(self, number: int) -> bytes | None:
        return self._store.get_range(self._key, number * RANGE_BYTES, RANGE_BYTES)

    def _size(self) -> int:
        size = self._store.size(self._key)
        if size is None:
            raise FileNotFoundError(errno.ENOENT, "it is not in the object store", self._key)
        return size
