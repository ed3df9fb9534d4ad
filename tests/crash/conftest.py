"""What the crash tests share: one zygote for a session, and folders in memory."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.zygote import Zygote

_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """A process that imports what victims need once, and forks one for each kill."""
    with Zygote() as made:
        yield made


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder in memory. A process that is killed leaves the kernel alive, so nothing has to wait for a disk."""
    with tempfile.TemporaryDirectory(prefix="crash-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        yield Path(folder)
