"""Notices and tones to be played to a leg: loading, speaking, and the tones that we make ourselves.

Runs where files may be read: at start-up, at a reload, in the command line; never on the call thread's hot path.
Prompts are immutable; every one is ready in all three codecs. None of our tones is a DTMF digit (a test holds it).
"""

import functools
import hashlib
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audio.codecs import LINEAR_RATE, encode
from audio.types import TICKS_PER_S, Codec, Prompt

MAX_PROMPT_S = 120.0
PACKET_TICKS = 160
CLIPPED_SHARE = 0.001
"""Share of samples at full scale above which a file counts as clipped."""
FULL_SCALE = 0.9999
"""From this magnitude on a sample is at full scale."""
MAX_BYTES = 100_000_000
"""Largest file that is read: 120 s of two channels at 96 kHz and 32 bits have 92 MB."""
MAX_SAMPLES = round(MAX_PROMPT_S) * 96_000 * 2
"""Most samples that are read: 120 s of two channels at 96 kHz. A small FLAC file may have more."""
_SPEAK_TIMEOUT_S = 60.0
_SPEECH_RATE_HZ = 16000
SPOKEN_BY = "Spoken by espeak-ng, voice"
"""Begins the comment in a file that `speak` made."""
_PAUSE_S = 0.6
"""Between two messages that are played one after the other."""
_TONE_AMPLITUDE = 0.08
"""Of full scale for each frequency: about -22 dBFS, modest beside a voice."""
_FADE_S = 0.005

Signal = NDArray[np.float64]


class PromptError(Exception):
    """A prompt cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPrompt:
    """A prompt from a file, with the SHA-256 (hex) of the file's bytes: what was played can be proved.

    ``made_by`` is the file's comment on who made it (`speak` writes one), or empty.
    """

    prompt: Prompt
    sha256: str
    made_by: str = ""


def load_prompt(path: Path, *, name: str | None = None) -> LoadedPrompt:
    """Load a WAV, FLAC or Ogg file of any rate and number of channels (mixed to one).

    Args:
        path: The file.
        name: Name of the prompt; the file's stem if None.

    Raises:
        PromptError: It cannot be read, is empty or silent, longer than 120 s, larger than 100 MB, or clipped.
    """
    try:
        if not path.is_file() and path.exists():
            raise PromptError(f"{path} is no file; give a WAV, FLAC or Ogg file.")
        if path.stat().st_size > MAX_BYTES:
            raise PromptError(f"{path} has over {MAX_BYTES / 1e6:.0f} MB; save it as mono at 48 kHz or less.")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with soundfile.SoundFile(path) as file:
            rate, seconds = file.samplerate, file.frames / file.samplerate
            if seconds > MAX_PROMPT_S:
                raise PromptError(f"{path} lasts {seconds:.0f} s, at most {MAX_PROMPT_S:.0f} s are allowed.")
            if file.frames * file.channels > MAX_SAMPLES:
                raise PromptError(
                    f"{path} has {file.channels} channels of {rate} Hz; save it as mono at 48 kHz or less."
                )
            channels, made_by = file.read(dtype="float64", always_2d=True), file.comment
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror or error}.") from error
    except soundfile.LibsndfileError as error:
        raise PromptError(f"{path} is not a WAV, FLAC or Ogg file that can be read: {error.error_string}") from error
    _check_level(path, channels)
    prompt = _prompt_of(name or path.stem, channels.mean(axis=1), rate)
    return LoadedPrompt(prompt=prompt, sha256=digest, made_by=made_by)


def _check_level(path: Path, channels: Signal) -> None:
    if channels.size == 0:
        raise PromptError(f"{path} is empty.")
    magnitudes = np.abs(channels)
    if magnitudes.max() < 10 ** (-60 / 20):
        raise PromptError(f"{path} is silent.")
    clipped = float((magnitudes >= FULL_SCALE).mean())
    if clipped > CLIPPED_SHARE:
        raise PromptError(f"{path} is clipped: {clipped:.1%} of its samples are at full scale; record it more quietly.")


def _prompt_of(name: str, signal: Signal, rate_hz: int) -> Prompt:
    """Return a prompt in every codec, padded with silence to whole packets."""
    packets = -(-len(signal) * TICKS_PER_S // (rate_hz * PACKET_TICKS))
    audio: dict[Codec, bytes] = {}
    for codec in Codec:
        rate = LINEAR_RATE[codec]
        resampled = soxr.resample(signal, rate_hz, rate, quality="HQ") if rate != rate_hz else signal
        samples = np.zeros(packets * PACKET_TICKS * rate // TICKS_PER_S, np.int16)
        count = min(len(samples), len(resampled))
        samples[:count] = np.clip(np.rint(resampled[:count] * 32767), -32768, 32767)
        audio[codec] = encode(codec, samples)
    return Prompt(name=name, audio=audio)


def speak(text: str, voice: str, path: Path) -> None:
    """Have espeak-ng say a text into a mono FLAC or WAV file of 16 kHz, replaced as a whole.

    Args:
        text: What to say.
        voice: A voice of ``espeak-ng --voices``, for example ``en-gb``.
        path: The file; its suffix chooses the format.

    Raises:
        PromptError: espeak-ng is not installed, refuses the voice, or says nothing; the file is unchanged.
    """
    program = shutil.which("espeak-ng")
    if program is None:
        raise PromptError("espeak-ng is not installed; install it or give an audio file.")
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    raw = path.with_name(f".{path.stem}.spoken.wav")
    try:
        result = subprocess.run(  # noqa: S603  # a fixed program; text goes in by stdin, the voice as one argument
            [program, "-v", voice, "-s", "150", "-w", str(raw), "--stdin"],
            input=text.encode(),
            capture_output=True,
            timeout=_SPEAK_TIMEOUT_S,
            check=False,
        )
        if result.returncode != 0 or not raw.exists():
            said = result.stderr.decode(errors="replace").strip().splitlines()
            raise PromptError(
                f"espeak-ng could not speak with voice {voice!r}: {said[-1].rstrip('.') if said else 'no reason'}."
            )
        signal, rate = soundfile.read(raw, dtype="float64")
        if len(signal) == 0:
            raise PromptError("espeak-ng gave no audio for this text.")
        quiet = soxr.resample(signal, rate, _SPEECH_RATE_HZ, quality="HQ") * (0.5 / np.abs(signal).max())
        write_sound(part, quiet, _SPEECH_RATE_HZ, made_by=f"{SPOKEN_BY} {voice}")
        part.replace(path)
    except subprocess.TimeoutExpired as error:
        raise PromptError(f"espeak-ng took longer than {_SPEAK_TIMEOUT_S:.0f} s.") from error
    except (OSError, soundfile.LibsndfileError) as error:
        raise PromptError(f"{path} cannot be written: {error}.") from error
    finally:
        raw.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def write_sound(path: Path, signal: Signal, rate_hz: int, *, made_by: str) -> None:
    """Write a mono WAV, FLAC or Ogg file with a comment on who made it.

    Raises:
        OSError: From the system.
        soundfile.LibsndfileError: From libsndfile; an unknown suffix is a ``TypeError``.
    """
    with soundfile.SoundFile(path, "w", rate_hz, 1) as file:
        file.comment = made_by
        file.write(signal)


def joined(name: str, prompts: Sequence[Prompt]) -> Prompt:
    """Return prompts one after the other, with a pause between them."""
    if len(prompts) == 1:
        return replace(prompts[0], name=name)
    silence = _prompt_of("pause", np.zeros(round(_PAUSE_S * _SPEECH_RATE_HZ)), _SPEECH_RATE_HZ)
    audio = {codec: silence.audio[codec].join(one.audio[codec] for one in prompts) for codec in Codec}
    return Prompt(name=name, audio=audio)


def _tone(seconds: float, *frequencies_hz: float) -> Signal:
    """Return a sum of sines at 16 kHz with soft edges; no frequency is silence."""
    count = round(seconds * 16000)
    times = np.arange(count) / 16000
    signal = np.zeros(count)
    for frequency in frequencies_hz:
        signal += _TONE_AMPLITUDE * np.sin(2 * np.pi * frequency * times)
    edge = min(round(_FADE_S * 16000), count // 2)
    ramp = np.linspace(0.0, 1.0, edge, endpoint=False)
    signal[:edge] *= ramp
    signal[count - edge :] *= ramp[::-1]
    return signal


def _prompt_of_tones(name: str, *tones: Signal) -> Prompt:
    return _prompt_of(name, np.concatenate(tones), 16000)


@functools.cache
def ringback() -> Prompt:
    """Return one period (3 s) of UK ringing tone, to be looped: 400 + 450 Hz, 0.4 s on, 0.2 off, 0.4 on, 2.0 off."""
    burst = _tone(0.4, 400, 450)
    return _prompt_of_tones("ringback", burst, _tone(0.2), burst, _tone(2.0))


@functools.cache
def paused_tone() -> Prompt:
    """Return two falling notes: the recording is paused."""
    return _prompt_of_tones("paused", _tone(0.12, 660), _tone(0.04), _tone(0.2, 440))


@functools.cache
def resumed_tone() -> Prompt:
    """Return two rising notes: the recording goes on."""
    return _prompt_of_tones("resumed", _tone(0.12, 440), _tone(0.04), _tone(0.2, 660))


@functools.cache
def refused_tone() -> Prompt:
    """Return three low notes: the key was refused."""
    return _prompt_of_tones("refused", *([_tone(0.1, 300), _tone(0.08)] * 3))


@functools.cache
def still_paused_tone() -> Prompt:
    """Return one note, twice: a reminder that the recording is still paused."""
    return _prompt_of_tones("still-paused", _tone(0.08, 440), _tone(0.12), _tone(0.08, 440))


@functools.cache
def ended_tone() -> Prompt:
    """Return three falling notes: nothing more of this call is kept (opted out, or discarded)."""
    notes = (_tone(0.12, 660), _tone(0.04), _tone(0.12, 550), _tone(0.04), _tone(0.24, 440))
    return _prompt_of_tones("ended", *notes)


@functools.cache
def signed_on_tone() -> Prompt:
    """Return three rising notes: whoever keyed the code is signed on at this phone."""
    notes = (_tone(0.12, 440), _tone(0.04), _tone(0.12, 550), _tone(0.04), _tone(0.24, 660))
    return _prompt_of_tones("signed-on", *notes)


@functools.cache
def hold_tone() -> Prompt:
    """Return a soft note every 3 s, to be looped: somebody is waiting while the notice is played to the other."""
    return _prompt_of_tones("hold", _tone(0.25, 425), _tone(2.75))


TONES = (
    ringback, hold_tone, refused_tone, paused_tone, resumed_tone, still_paused_tone, ended_tone, signed_on_tone,
)  # fmt: skip
"""All tones: each is made once in a process, since nobody changes a prompt."""
