"""A virtual sound card: PulseAudio in a folder of its own, whose loudspeaker can be heard and microphone can be fed."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers.starvation import noting_starvation

T = TypeVar("T")
RATE = 16000
_FRAME_BYTES = 4
_STARTS_S = 20.0
_TRIES, _TRIED_S, _STARVED_S = 5, 60.0, 0.01
_ALSA = """\
pcm.!default { type pulse }
ctl.!default { type pulse }
pcm.second { type pulse }
"""
"""Nothing else: ALSA's own configuration names dozens of devices, and PortAudio opens each of them."""


class SoundCard:
    """A PulseAudio server with one loudspeaker of two channels and one microphone.

    Attributes:
        rate: Sampling rate of both, Hz: what is played at it is heard sample by sample.
        env: What leads a program to it.
    """

    def __init__(self, folder: Path, rate: int = RATE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.rate = rate
        self._folder, socket, alsa = folder, folder / "pulse.sock", folder / "asound.conf"
        alsa.write_text(_ALSA)
        self.env = {
            "XDG_RUNTIME_DIR": str(folder), "XDG_CONFIG_HOME": str(folder), "PULSE_SERVER": f"unix:{socket}",
            "ALSA_CONFIG_PATH": str(alsa), "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        }  # fmt: skip
        self._log, self._heard, self._fed = folder / "pulse.log", folder / "heard.raw", folder / "fed.raw"
        self._children = [
            self._start(
                "pulseaudio", "--exit-idle-time=-1", "--daemonize=no", "-n", "--use-pid-file=no", "--disable-shm",
                "--realtime=no", "--high-priority=no",
                "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
                "-L", f"module-null-sink sink_name=loudspeaker rate={rate} channels=2",
                "-L", f"module-null-sink sink_name=mouth rate={rate} channels=1",
                "-L", "module-remap-source master=mouth.monitor source_name=microphone",
            )
        ]  # fmt: skip
        try:
            self._wait_ready()
            self._control("set-default-sink", "loudspeaker")
            self._control("set-default-source", "microphone")
            self._children += [
                self._start(
                    "parec", "--raw", f"--device={source}", f"--rate={rate}", f"--channels={channels}",
                    "--format=s16le", "--latency-msec=20", output=into,
                )
                for source, channels, into in (
                    ("loudspeaker.monitor", 2, self._heard), ("microphone", 1, self._fed),
                )
            ]  # fmt: skip
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for child in reversed(self._children):
            child.terminate()
            child.wait(10)
        self._children = []

    def use(self, patch: pytest.MonkeyPatch) -> None:
        """Lead this process to the card."""
        for name, value in self.env.items():
            patch.setenv(name, value)

    def now(self) -> int:
        """Return the present position in what is heard, frames; waits until both ways run, two seconds at first."""
        for file in (self._heard, self._fed):
            self._wait_for(file)
        return self._heard.stat().st_size // _FRAME_BYTES

    def heard(self, since: int) -> NDArray[np.int16]:
        """Return what the loudspeaker has played since a position, shape (n, 2)."""
        with self._heard.open("rb") as file:
            file.seek(since * _FRAME_BYTES)
            data = file.read()
        return np.frombuffer(data[: len(data) // _FRAME_BYTES * _FRAME_BYTES], dtype=np.int16).reshape(-1, 2)

    def heard_whole(self, since: int, quiet_s: float = 0.3) -> NDArray[np.int16]:
        """Return what the loudspeaker has played since a position, once there was sound, and then none for so long."""
        quiet, deadline = int(quiet_s * self.rate), time.monotonic() + _STARTS_S
        while True:
            heard = self.heard(since)
            if heard.any() and len(heard) > quiet and not heard[-quiet:].any():
                return heard
            assert time.monotonic() < deadline, f"{len(heard)} frames, no silence after a sound"
            time.sleep(0.02)

    def hear_all(self, wanted: NDArray[np.int16], play: Callable[[], T]) -> T:
        """Have something played until each of its samples is heard, and then nothing; returns what ``play`` returned.

        A busy machine leaves gaps, and one time without any shows that we lose nothing. It must come within five; for
        a minute, those do not count in which this process or the sound server got no CPU for a moment.

        Args:
            wanted: What is played, shape (n, 2).
            play: Plays it in this process, to its end.
        """
        until_s, counted = time.monotonic() + _TRIED_S, 0
        while True:
            starved: list[float] = []
            with ExitStack() as noting:
                for pid in (os.getpid(), *(child.pid for child in self._children)):
                    noting.enter_context(_noting(pid, starved))
                since = self.now()
                result = play()
                heard = self.heard_whole(since)
            first = int(np.argmax(heard.any(axis=1))) - int(np.argmax(wanted.any(axis=1)))
            if np.array_equal(heard[first : first + len(wanted)], wanted):
                assert not heard[first + len(wanted) :].any(), "something is heard after it"
                return result
            counted += not starved
            assert counted < _TRIES, f"{counted} times something was missing, though nobody waited for a CPU"
            assert time.monotonic() < until_s, f"something was missing each time; {counted} times nobody waited"

    @contextmanager
    def spoken(self, samples: NDArray[np.int16]) -> Iterator[None]:
        """Feed the microphone with samples of 16 kHz; what is left at the end of the block is not said."""
        said = self._folder / "said.raw"
        said.write_bytes(samples.tobytes())
        speaker = self._start(
            "paplay", "--raw", "--device=mouth", f"--rate={RATE}", "--channels=1", "--format=s16le", str(said)
        )
        try:
            yield
        finally:
            speaker.terminate()
            speaker.wait(10)

    def _wait_for(self, file: Path) -> None:
        deadline = time.monotonic() + _STARTS_S
        while not file.stat().st_size:
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)

    def _start(self, *command: str, output: Path | None = None) -> "subprocess.Popen[bytes]":
        with self._log.open("ab") as log, (output or self._log).open("ab") as out:
            return subprocess.Popen(
                command, env={**os.environ, **self.env}, stdin=subprocess.DEVNULL, stdout=out, stderr=log
            )

    def _control(self, *words: str) -> bool:
        done = subprocess.run(["pactl", *words], env={**os.environ, **self.env}, capture_output=True, timeout=10)  # noqa: PLW1510
        return done.returncode == 0

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _STARTS_S
        while not self._control("get-default-sink"):
            assert self._children[0].poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.02)


def _noting(pid: int, starved: list[float]) -> AbstractContextManager[None]:
    """Note how long a process got no CPU, where that may leave a gap."""
    return noting_starvation(
        lambda: pid, lambda began_s, ended_s: starved.append(ended_s - began_s), longer_than_s=_STARVED_S
    )


def tone(frequency_hz: float, seconds: float, *, rate: int = RATE, level: float = 0.3) -> NDArray[np.int16]:
    """Return a sine tone, int16."""
    at = np.arange(int(seconds * rate)) / rate
    return (level * 32767 * np.sin(2 * np.pi * frequency_hz * at)).astype(np.int16)


def loudest_hz(samples: NDArray[np.int16], rate: int = RATE) -> float:
    """Return the frequency at which samples of one channel have the most energy."""
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64)))
    return float(np.argmax(spectrum) * rate / len(samples))
