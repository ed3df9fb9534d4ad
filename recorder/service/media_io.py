"""How media threads receive and send: by io_uring where this system allows it, else by epoll (ADR 70).

Calls come first: a system without io_uring is reported in the log, in health and by site-check, and stops nothing.
"""

import errno
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from audio.relay import Relay
from audio.types import MediaIo
from recorder.config.settings import Config
from recorder.service.findings import SiteFinding, ok, warning

_log = logging.getLogger(__name__)

LEAST_KERNEL = (6, 1)
"""First kernel that does a ring's work only when its thread asks for it."""
AUTO_KERNEL = (6, 12)
"""First kernel that says that it does not wake a thread for each of the many packets it waits for; older ones may."""
_NAMES = {MediaIo.IO_URING: "io_uring", MediaIo.EPOLL: "epoll"}
_REASONS = {
    errno.ENOSYS: "the kernel has no io_uring, or is older than 6.1",
    errno.EPERM: "kernel.io_uring_disabled or a system call filter forbids io_uring",
    errno.EACCES: "a security module forbids io_uring",
    errno.ENOMEM: "no more memory may be locked (LimitMEMLOCK)",
    errno.EMFILE: "no descriptor is left (LimitNOFILE)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UringMeans:
    """What this process and its machine offer for io_uring.

    Attributes:
        kernel: Version and patch level of the kernel.
        disabled: kernel.io_uring_disabled: 0 for nobody, 1 for users without CAP_SYS_ADMIN, 2 for all.
    """

    kernel: tuple[int, int]
    disabled: int


def read_uring_means(kernel: tuple[int, int], root: Path = Path("/")) -> UringMeans:
    """Return what this machine offers; kernels before 6.6 have no setting that disables io_uring."""
    try:
        disabled = int((root / "proc/sys/kernel/io_uring_disabled").read_text())
    except (OSError, ValueError):
        disabled = 0
    return UringMeans(kernel=kernel, disabled=disabled)


def _text(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def chosen_io(asked: MediaIo, kernel: tuple[int, int]) -> MediaIo:
    """Return what to try: with ``auto`` io_uring only on kernels for which it was measured."""
    return MediaIo.EPOLL if asked is MediaIo.AUTO and kernel < AUTO_KERNEL else asked


def report_io(relay: Relay, asked: MediaIo, kernel: tuple[int, int]) -> None:
    """Log how media threads receive and send, and why not by io_uring: a warning where that was asked for by name."""
    refused = relay.io_uring_refused
    if refused is not None:
        reason = _REASONS.get(refused.errno or 0, os.strerror(refused.errno or 0))
        level = logging.WARNING if asked is MediaIo.IO_URING else logging.INFO
        _log.log(level, "media is received and sent by epoll: %s", reason)
    elif asked is MediaIo.AUTO and relay.io is MediaIo.EPOLL:
        _log.info("media is received and sent by epoll: auto takes io_uring from Linux %s on", _text(AUTO_KERNEL))
    else:
        _log.info("media is received and sent by %s", _NAMES[relay.io])


def _obstacle(means: UringMeans, asked: MediaIo) -> tuple[str, str] | None:
    least = LEAST_KERNEL if asked is MediaIo.IO_URING else AUTO_KERNEL
    if means.kernel < least:
        return f"the kernel is {_text(means.kernel)}; this needs {_text(least)} or later", f"boot Linux {_text(least)}"
    if means.disabled:
        return f"kernel.io_uring_disabled is {means.disabled}", "set kernel.io_uring_disabled to 0, and restart"
    return None


def check_media_io(config: Config, means: UringMeans) -> Iterator[SiteFinding]:
    """Check how media threads will receive and send."""
    what, asked = "media input and output", config.media.io
    found = _obstacle(means, asked)
    if asked is MediaIo.EPOLL:
        yield ok(what, "by epoll, as [media] io says")
    elif found is None:
        yield ok(what, "by io_uring, unless the service's unit forbids it; its log says so")
    elif asked is MediaIo.AUTO:
        yield ok(what, f"by epoll: {found[0]}")
    else:
        yield warning(
            what, found[0],
            why="packets go by epoll: nothing is lost, but a call costs more CPU",
            do=f'{found[1]}; or write [media] io = "auto"',
        )  # fmt: skip
