"""Measures a spoken message as its callers hear it: decoded from A-law at 8 kHz.

The level of speech is the RMS of the frames with speech, which comes close to the active speech level of ITU-T P.56.
webrtcvad takes hum, tones and noise for speech too, but these keep their level; speech has pauses. Reads the file, and
nothing else.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import webrtcvad
from numpy.typing import NDArray

from audio.codecs import decode
from audio.prompts import FULL_SCALE, LoadedPrompt, load_prompt
from audio.types import TICKS_PER_S, Codec, Prompt

FRAME_TICKS = 160
FRAME_S = FRAME_TICKS / TICKS_PER_S
_STRICT = 3
"""The mode of webrtcvad that takes the least for speech."""
_HEARD_AT = 16000
"""Peak at which the detector hears the message."""
_PAUSE_DB = 12.0
"""A frame this far below the level of speech is in a pause between words or syllables."""
_LEAST_PAUSES = 0.04
"""Least share of such frames from the first word to the last; a tone, hum or noise has fewer."""
_FLOOR_DB = -90.0

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundMeasures:
    """What a sound file is like.

    Attributes:
        duration_s: Its length, seconds.
        rate_hz: Its sample rate.
        speech_s: How long somebody speaks, seconds; 0.0 if nobody does.
        speech_dbfs: Level of the speech; None if there is none.
        peak_dbfs: Largest sample of the file.
        clipped: Share of its samples at full scale, in [0, 1].
        before_s: Seconds before the speech begins.
        after_s: Seconds after it has ended.
    """

    duration_s: float
    rate_hz: int
    speech_s: float
    speech_dbfs: float | None
    peak_dbfs: float
    clipped: float
    before_s: float
    after_s: float


def measure(path: Path) -> tuple[LoadedPrompt, SoundMeasures]:
    """Load a sound file and measure it.

    Raises:
        PromptError: As `load_prompt`.
    """
    loaded = load_prompt(path)
    with soundfile.SoundFile(path) as file:
        rate_hz, magnitudes = file.samplerate, np.abs(file.read(dtype="float64"))
    levels, active = _speech(as_heard(loaded.prompt))
    spoken, duration_s = np.flatnonzero(active), loaded.prompt.duration_s
    return loaded, SoundMeasures(
        duration_s=round(duration_s, 2),
        rate_hz=rate_hz,
        speech_s=round(len(spoken) * FRAME_S, 2),
        speech_dbfs=round(_mean_db(levels[active]), 1) if len(spoken) else None,
        peak_dbfs=round(_db(magnitudes.max()), 1),
        clipped=float((magnitudes >= FULL_SCALE).mean()),
        before_s=round(float(spoken[0]) * FRAME_S if len(spoken) else duration_s, 2),
        after_s=round(float(len(active) - 1 - spoken[-1]) * FRAME_S if len(spoken) else duration_s, 2),
    )


def as_heard(prompt: Prompt) -> Samples:
    """Return a prompt as a caller with A-law hears it: int16, 8 kHz."""
    return decode(Codec.PCMA, prompt.audio[Codec.PCMA])


def _speech(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the RMS of each frame, in [0, 1], and whether somebody speaks in it."""
    frames = samples.reshape(-1, FRAME_TICKS)
    rms = np.sqrt(np.square(frames / 32768).mean(axis=1))
    detector, gain = webrtcvad.Vad(_STRICT), _HEARD_AT / max(1, int(np.abs(samples.astype(np.int32)).max()))
    loud = (frames * gain).astype(np.int16)  # the detector takes speech that is very quiet for none
    active = np.array([detector.is_speech(frame.tobytes(), TICKS_PER_S) for frame in loud], dtype=np.bool_)
    spoken = np.flatnonzero(active)
    if not len(spoken):
        return rms, active
    least = _mean_db(rms[active]) - _PAUSE_DB
    between = rms[spoken[0] : spoken[-1] + 1]
    pauses = float((between < 10 ** (least / 20)).mean())
    return rms, active if pauses >= _LEAST_PAUSES else np.zeros_like(active)


def _mean_db(rms: NDArray[np.float64]) -> float:
    return _db(float(np.sqrt(np.square(rms).mean())))


def _db(amplitude: float) -> float:
    return max(_FLOOR_DB, 20 * float(np.log10(max(amplitude, 1e-9))))
