"""Keeps the process of the object store running: of the daemon, or of a console in a home without one."""

import os
from collections.abc import Callable

from recorder.common.child_process import Child, start_module
from recorder.common.home import Home
from recorder.common.kept_process import KeptProcess
from recorder.config.settings import Config
from recorder.forwarding.retries import pause_s

_END_S = 3.0
"""It may be killed anywhere, so a stop of the daemon need not wait for a store that hangs."""


def kept_object_process(
    home: Home, config: Callable[[], Config], *, is_mine: Callable[[], bool] = lambda: True
) -> KeptProcess:
    """Return what keeps the process running while an object store is configured.

    Args:
        home: The recorder's home.
        config: Returns the configuration in force.
        is_mine: Tells whether it must run for the caller: a console leaves it to the daemon, if there is one.
    """
    return KeptProcess(
        "The process that keeps recordings in the object store", name="objects",
        wanted=lambda: _wanted(config()) if is_mine() else None, start=lambda: _start(home), pause_s=pause_s,
        end_s=_END_S,
    )  # fmt: skip


def _start(home: Home) -> Child:
    return start_module("recorder.service.object_process", str(home.root), str(os.getpid()))


def _wanted(config: Config) -> object | None:
    return (config.objects, config.storage, config.log) if config.objects.url is not None else None
