"""Rewrites the assertions of test modules beside the collection, on a new clone: seven seconds of CPU.

pytest rewrites the assertions of each module when it imports it, and keeps the result in ``__pycache__``. While the
first process imports modules from the first to the last, another one rewrites them from the last to the first, so that
they meet in the middle. Where everything is kept already, it ends after a look at each.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from tests.helpers.processors import PROCESSORS


def begin(config: pytest.Config, folders: Iterable[Path]) -> int | None:
    """Begin in a process of its own, which may have no threads; returns it, None where there is nothing to gain."""
    if sys.dont_write_bytecode or PROCESSORS < 2:
        return None
    pid = os.fork()
    if pid == 0:
        try:
            modules = sorted(path for folder in folders for path in folder.rglob("test_*.py"))
            rewrite_all(config, reversed(modules))
        finally:
            os._exit(0)  # what it did not do, the first process does
    return pid


def end(pid: int | None) -> None:
    """Wait until it has ended."""
    if pid is not None:
        os.waitpid(pid, 0)


def rewrite_all(config: pytest.Config, modules: Iterable[Path]) -> None:
    """Rewrite modules that pytest has not rewritten as they are, and keep them where it looks for them."""
    state = config.stash[rewrite.assertstate_key]
    for module in modules:
        folder = rewrite.get_cache_dir(module)
        kept = folder / f"{module.stem}{rewrite.PYC_TAIL}"
        if rewrite.try_makedirs(folder) and rewrite._read_pyc(module, kept, state.trace) is None:
            source_hash, code = rewrite._rewrite_test(module, config)
            rewrite._write_pyc(state, code, source_hash, kept)
