"""The line of a phone at a desk: what it sends and hears, with level meters."""

import contextlib
import math
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from audio.portaudio import SoundError
from audio.sound_devices import FRAME_S, open_loudspeaker, open_microphone
from recorder.demo.phones.line_ends import (
    LoudspeakerSink,
    MicrophoneSource,
    Recording,
    Samples,
    Sink,
    SoundFile,
    Source,
    Tone,
    silence,
)
from recorder.demo.phones.messages import RATE

SILENT_DB = -90.0
"""Level that is shown for silence, dB below full scale."""


def level_db(samples: Samples) -> float:
    """Return the root mean square of samples in dB below full scale, at least `SILENT_DB`."""
    power = float(np.mean(np.square(samples.astype(np.float64)))) if len(samples) else 0.0
    return max(SILENT_DB, 10 * math.log10(power / 32768.0**2)) if power else SILENT_DB


class Meter:
    """The loudest level since it was last read."""

    def __init__(self) -> None:
        self._level_db = SILENT_DB

    def measure(self, samples: Samples) -> None:
        """Take samples into account."""
        self._level_db = max(self._level_db, level_db(samples))

    def read_db(self) -> float:
        """Return the level since the last call, dB below full scale."""
        found, self._level_db = self._level_db, SILENT_DB
        return found


class Line:
    """What one phone sends and hears. A context manager that closes devices and files."""

    def __init__(self, source: Source, *sinks: Sink) -> None:
        self._source, self._sinks = source, sinks
        self.is_muted = False
        """Whether silence is sent instead."""
        self.sent, self.heard = Meter(), Meter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def next(self) -> Samples:
        """Return the next 20 ms to send."""
        samples = self._source.next()
        if self.is_muted:
            samples = silence()
        self.sent.measure(samples)
        return samples

    def put(self, samples: Samples) -> None:
        """Take what has arrived."""
        self.heard.measure(samples)
        for sink in self._sinks:
            sink.put(samples)

    @property
    def problem(self) -> SoundError | None:
        """Why a sound device has failed; None while all work."""
        return next(filter(None, (getattr(one, "problem", None) for one in (self._source, *self._sinks))), None)

    def close(self) -> None:
        """Close devices and files."""
        self._source.close()
        for sink in self._sinks:
            sink.close()


def open_line(
    *,
    tone_hz: float | None,
    play: Path | None,
    record_to: Path | None,
    microphone: str = "",
    speaker: str = "",
) -> tuple[Line, str]:
    """Open what a phone sends and hears.

    With a tone or a file there is no microphone, and the phone goes on without a loudspeaker if none can be opened and
    none was named.

    Args:
        tone_hz: Frequency of the tone that is sent, Hz.
        play: The sound file that is sent.
        record_to: New WAV file of what is heard.
        microphone: Name of the microphone; empty for the default one.
        speaker: Name of the loudspeaker; empty for the default one.

    Returns:
        The line, and why there is no loudspeaker; "" if there is one.

    Raises:
        PhoneError: A file cannot be read or written.
        SoundError: A device is missing or cannot be opened; nothing is left open.
    """
    with contextlib.ExitStack() as opened:
        source: Source
        if play is not None:
            source = SoundFile(play)
        elif tone_hz is not None:
            source = Tone(tone_hz)
        else:
            source = MicrophoneSource(open_microphone(RATE, device=microphone))
        opened.callback(source.close)
        sinks: list[Sink] = []
        missing = ""
        try:
            sinks.append(LoudspeakerSink(open_loudspeaker(RATE, device=speaker, frame_s=FRAME_S)))
            opened.callback(sinks[-1].close)
        except SoundError as error:
            if speaker or isinstance(source, MicrophoneSource):
                raise
            missing = str(error)
        if record_to is not None:
            sinks.append(Recording(record_to))
        opened.pop_all()
    return Line(source, *sinks), missing
