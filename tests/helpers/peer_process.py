"""Somebody else's program as a process of a test: its output goes to a log, and it is ended whatever happens."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.recorder_home import eventually

_ENDS_S = 20.0


@contextmanager
def peer_process(command: Sequence[str], log: Path, is_ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, and wait until it is ready; one that ends before fails with the end of its log."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def is_up() -> bool:
        assert process.poll() is None, f"{command[0]} ended at its start: {log.read_text(errors='replace')[-2000:]}"
        return is_ready()

    try:
        eventually(is_up, f"{command[0]} is ready")
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with SIGTERM, and with SIGKILL if it does not leave."""
    process.terminate()
    try:
        process.wait(_ENDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_ENDS_S)
