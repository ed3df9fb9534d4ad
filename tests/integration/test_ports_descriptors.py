"""The pool of media ports when the process runs out of descriptors."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from audio.ports import PortPool
from audio.types import PortsExhaustedError


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Leave the process three descriptors: one pair and half of another."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(entry.name) for entry in Path("/proc/self/fd").iterdir()}
    limit = max(taken) + 1
    fill = [os.open("/dev/null", os.O_RDONLY) for _ in range(limit - len(taken))]
    top = max((*fill, *taken)) + 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (top + 3, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)
    for descriptor in fill:
        os.close(descriptor)


@pytest.mark.usefixtures("descriptors")
def test_no_descriptor_is_said_and_costs_no_port() -> None:
    pool = PortPool(address="127.0.0.1", ports=(41000, 41019), quarantine_s=0)
    first = pool.take()
    for _ in range(20):
        with pytest.raises(PortsExhaustedError, match="descriptor"):
            pool.take()
    pool.give_back(first)
    second = pool.take()
    assert pool.taken == 1
    pool.give_back(second)
