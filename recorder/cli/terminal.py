"""Keys that a person presses while a command runs, one at a time and without Enter."""

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from enum import StrEnum

_READ_BYTES = 1024


class Key(StrEnum):
    """Keys that are no character."""

    LEFT = "left"
    RIGHT = "right"
    ENTER = "enter"


_SEQUENCES = {
    b"\x1b[D": Key.LEFT, b"\x1b[C": Key.RIGHT, b"\x1bOD": Key.LEFT, b"\x1bOC": Key.RIGHT,
    b"\r": Key.ENTER, b"\n": Key.ENTER,
}  # fmt: skip


def keys_in(data: bytes) -> list[str]:
    """Return the keys in bytes from a terminal: characters, and names of `Key`; unknown sequences are left out."""
    found: list[str] = []
    while data:
        sequence = next((one for one in _SEQUENCES if data.startswith(one)), None)
        if sequence is not None:
            found.append(_SEQUENCES[sequence])
            data = data[len(sequence) :]
        elif data.startswith((b"\x1b[", b"\x1bO")):
            data = data[2:].lstrip(b"0123456789;")[1:]
        else:
            if 0x20 <= data[0] < 0x7F:
                found.append(chr(data[0]))
            data = data[1:]
    return found


class Keys:
    """Standard input as keys; made by `pressed_keys`."""

    def __init__(self) -> None:
        self._is_open = True

    def read(self) -> list[str]:
        """Return the keys that were pressed since; never waits."""
        if not self._is_open or not select.select([sys.stdin.fileno()], [], [], 0)[0]:
            return []
        data = os.read(sys.stdin.fileno(), _READ_BYTES)
        self._is_open = bool(data)
        return keys_in(data)


class NoKeys(Keys):
    """Standard input that is not there, as below a test or a service manager."""

    def read(self) -> list[str]:
        """Return nothing."""
        return []


@contextlib.contextmanager
def pressed_keys() -> Iterator[Keys]:
    """Read keys for as long as the block: at once and unseen from a terminal, and as they come from a pipe."""
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):
        yield NoKeys()
        return
    if not os.isatty(descriptor):
        yield Keys()
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys()
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
