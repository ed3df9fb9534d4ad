"""The pool of media ports when the process runs out of descriptors."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from audio.ports import PortPool
from audio.types import PortsExhaustedError


@contextmanager
def few_descriptors(left: int) -> Iterator[None]:
    """Leave the process as many descriptors as that."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    fill = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(before[0], 400), before[1]))
    try:
        while True:
            fill.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    for _ in range(left):
        os.close(fill.pop())
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in fill:
            os.close(descriptor)


def test_no_descriptor_is_said_and_costs_no_port() -> None:
    pool = PortPool(address="127.0.0.1", ports=(41000, 41019), quarantine_s=0)
    said = []
    with few_descriptors(left=3):  # a pair and half of another
        first = pool.take()
        for _ in range(20):
            try:
                pool.take()
            except PortsExhaustedError as error:
                said.append(str(error))
        pool.give_back(first)
        second = pool.take()
        pool.give_back(second)
    assert len(said) == 20
    assert set(said) == {"no descriptor or memory for a media socket: Too many open files"}
    assert pool.taken == 0
