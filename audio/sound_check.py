"""Measures a spoken message as its callers hear it: decoded from A-law at 8 kHz.

The level of speech is the RMS of the slots (0.1 s) with speech, which comes close to the active speech level of ITU-T
P.56; `audio.speech` says which those are. Reads the file, and nothing else.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio.codecs import decode
from audio.prompts import FULL_SCALE, LoadedPrompt, load_prompt
from audio.speech import SLOTS_PER_S, WINDOW_SAMPLES, SpeechDetector
from audio.types import TICKS_PER_S, Codec, Prompt

SLOT_S = 1 / SLOTS_PER_S
SLOT_SAMPLES = TICKS_PER_S // SLOTS_PER_S
_HEARD_AT = 16000
"""Peak at which the detector hears the message."""
_FLOOR_DB = -90.0

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundMeasures:
    """What a sound file is like.

    Attributes:
        duration_s: Its length, seconds.
        rate_hz: Its sample rate.
        spoken_s: How long somebody speaks, seconds; 0.0 if nobody does.
        speech_dbfs: Level of the speech; None if there is none.
        peak_dbfs: Largest sample of the file.
        clipped_share: Share of its samples at full scale, in [0, 1].
        before_s: Seconds before the speech begins.
        after_s: Seconds after it has ended.
    """

    duration_s: float
    rate_hz: int
    spoken_s: float
    speech_dbfs: float | None
    peak_dbfs: float
    clipped_share: float
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
        spoken_s=round(len(spoken) * SLOT_S, 2),
        speech_dbfs=round(_mean_db(levels[active]), 1) if len(spoken) else None,
        peak_dbfs=round(_db(magnitudes.max()), 1),
        clipped_share=float((magnitudes >= FULL_SCALE).mean()),
        before_s=round(float(spoken[0]) * SLOT_S if len(spoken) else duration_s, 2),
        after_s=round(float(len(active) - 1 - spoken[-1]) * SLOT_S if len(spoken) else duration_s, 2),
    )


def as_heard(prompt: Prompt) -> Samples:
    """Return a prompt as a caller with A-law hears it: int16, 8 kHz."""
    return decode(Codec.PCMA, prompt.audio[Codec.PCMA])


def _speech(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the RMS of each slot, in [0, 1], and whether somebody speaks in it."""
    whole = np.zeros(-(-len(samples) // WINDOW_SAMPLES) * WINDOW_SAMPLES, np.int16)
    whole[: len(samples)] = samples
    rms = np.sqrt(np.square(whole.reshape(-1, SLOT_SAMPLES) / 32768).mean(axis=1))
    # The detector takes speech that is very quiet for none.
    loud = (whole * (_HEARD_AT / max(1, int(np.abs(whole.astype(np.int32)).max())))).astype(np.int16)
    detector = SpeechDetector()
    slots = [slot for window in loud.reshape(-1, WINDOW_SAMPLES) for slot in detector.slots(window)]
    count = -(-len(samples) // SLOT_SAMPLES)
    return rms[:count], np.array(slots[:count], dtype=np.bool_)


def _mean_db(rms: NDArray[np.float64]) -> float:
    return _db(float(np.sqrt(np.square(rms).mean())))


def _db(amplitude: float) -> float:
    return max(_FLOOR_DB, 20 * float(np.log10(max(amplitude, 1e-9))))
