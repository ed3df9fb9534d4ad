"""PortAudio's library by PyAudio: loaded on demand, its devices listed and chosen, its noise kept off the terminal."""

import contextlib
import ctypes
import functools
import io
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_INSTALL_PYAUDIO = (
    "PyAudio is not installed: pip install 'council-call-recorder[desk]', which takes the Debian packages "
    "portaudio19-dev, python3-dev and gcc."
)
_INSTALL_PORTAUDIO = "PortAudio is not installed: install the Debian package libportaudio2."
_NO_DEVICE = (
    "This machine has no {kind}. Plug one in, or start a sound server (PulseAudio or PipeWire, with the Debian package "
    "libasound2-plugins)."
)
_STDERR = 2
_quieting = threading.Lock()


class SoundError(Exception):
    """There is no sound device, or it cannot be used; the message is a sentence that says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundDevice:
    """A sound device.

    Attributes:
        index: PortAudio's number of it, valid in this process now.
        name: Its name, by which it is chosen.
        inputs: Channels that can be recorded; 0 if it is no microphone.
        outputs: Channels that can be played; 0 if it is no loudspeaker.
        is_default_input: Whether it is used where no microphone is named.
        is_default_output: Whether it is used where no loudspeaker is named.
    """

    index: int
    name: str
    inputs: int
    outputs: int
    is_default_input: bool
    is_default_output: bool


@contextlib.contextmanager
def open_library() -> Iterator[Any]:
    """Yield PyAudio for as long as the block.

    Raises:
        SoundError: PyAudio or PortAudio is missing.
    """
    with quiet():
        library = started()
        try:
            yield library
        finally:
            library.terminate()


def started() -> Any:  # noqa: ANN401 - PyAudio has no types
    """Return PyAudio, which the caller terminates.

    Raises:
        SoundError: PyAudio or PortAudio is missing.
    """
    try:
        return pyaudio_module().PyAudio()
    except OSError as error:
        raise SoundError(f"PortAudio cannot start: {reason_of(error)}.") from error


def pyaudio_module() -> Any:  # noqa: ANN401 - PyAudio has no types
    """Return the module; SoundError if it or PortAudio is not installed."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints when its C module cannot be loaded
            import pyaudio  # noqa: PLC0415 - an optional extra
    except ModuleNotFoundError as error:
        raise SoundError(_INSTALL_PYAUDIO) from error
    except ImportError as error:
        raise SoundError(_INSTALL_PORTAUDIO if "portaudio.so" in str(error) else _INSTALL_PYAUDIO) from error
    _silence_alsa()
    return pyaudio


@functools.cache
def _silence_alsa() -> None:
    """Keep what ALSA prints in the middle of a sound from the terminal, such as a gap on a busy machine."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libasound.so.2")
        library.snd_lib_error_set_handler(_SAY_NOTHING)


def _say_nothing(_file: bytes, _line: int, _function: bytes, _error: int, _words: bytes) -> None:
    """Handle an error message of ALSA."""


_SAY_NOTHING = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)(
    _say_nothing
)
"""Kept for as long as the process, because ALSA keeps its address."""


def listed(library: Any) -> list[SoundDevice]:  # noqa: ANN401 - PyAudio has no types
    """Return all devices."""
    defaults = [_default(library, "input"), _default(library, "output")]
    found = [library.get_device_info_by_index(index) for index in range(library.get_device_count())]
    return [
        SoundDevice(
            index=one["index"], name=str(one["name"]), inputs=one["maxInputChannels"], outputs=one["maxOutputChannels"],
            is_default_input=one["index"] == defaults[0], is_default_output=one["index"] == defaults[1],
        )
        for one in found
    ]  # fmt: skip


def _default(library: Any, way: str) -> int | None:  # noqa: ANN401 - PyAudio has no types
    try:
        return int(getattr(library, f"get_default_{way}_device_info")()["index"])
    except OSError:  # there is none
        return None


def chosen(devices: list[SoundDevice], kind: str, wanted: str) -> SoundDevice:
    """Return the device of that name.

    Raises:
        SoundError: There is none, or several fit.
    """
    usable = [one for one in devices if (one.inputs if kind == "microphone" else one.outputs)]
    if not usable:
        raise SoundError(_NO_DEVICE.format(kind=kind))
    if not wanted:
        default = [one for one in usable if (one.is_default_input if kind == "microphone" else one.is_default_output)]
        return (default or usable)[0]
    exact = [one for one in usable if one.name.casefold() == wanted.casefold()]
    fitting = exact or [one for one in usable if wanted.casefold() in one.name.casefold()]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(one.name for one in (fitting or usable))
    if fitting:
        raise SoundError(f"{wanted} is the name of more than one {kind}: {names}. Give the whole name.")
    raise SoundError(f"There is no {kind} {wanted}. There are: {names}.")


def reason_of(error: Exception) -> str:
    """Return PortAudio's words: PyAudio gives them as ``[Errno -9985] Device unavailable``."""
    return str(getattr(error, "strerror", None) or error).rstrip(".")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what ALSA and JACK print while they look for devices from the terminal; errors are raised all the same."""
    os.environ.setdefault("JACK_NO_START_SERVER", "1")
    with _quieting:
        kept, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(nowhere)
            os.close(kept)
