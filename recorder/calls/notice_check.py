"""Says whether callers would understand a sound file as a message: errors, and warnings that a person may accept.

`audio.sound_check` measures; the limits are here. That no speech was found is a warning: music behind a voice hides it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from audio.prompts import LoadedPrompt, PromptError
from audio.sound_check import SoundMeasures, measure

LEAST_S, SHORT_S, LONG_S = 2.0, 5.0, 60.0
LEAST_SPEECH_S, LEAST_SPEECH_SHARE = 1.0, 0.3
QUIETEST_DBFS, QUIET_DBFS, LOUD_DBFS = -40.0, -32.0, -14.0
"""Telephone networks expect speech at about -20 to -26 dBFS (ITU-T P.56, G.111)."""
MOST_BEFORE_S, LATE_S = 3.0, 1.0
MOST_AFTER_S, TRAILING_S = 10.0, 3.0
LEAST_RATE_HZ = 8000
_LOUDER = "record it closer to the microphone or with more gain"
_CUT = "cut it off in a sound editor"


class SoundFault(StrEnum):
    """How much a finding about a sound file counts."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFinding:
    """Something that is wrong with a sound file; ``do`` is what to do about it."""

    level: SoundFault
    says: str
    do: str

    @property
    def sentence(self) -> str:
        """Return both as one sentence, without its full stop."""
        return f"{self.says}: {self.do}" if self.do else self.says


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedSound:
    """A sound file that was checked.

    Attributes:
        findings: What is wrong, faults first.
        measures: What it is like; None if it cannot be loaded.
        loaded: Its prompt; None likewise.
    """

    findings: tuple[SoundFinding, ...]
    measures: SoundMeasures | None = None
    loaded: LoadedPrompt | None = None

    @property
    def errors(self) -> tuple[SoundFinding, ...]:
        """Return the findings that nobody may accept."""
        return tuple(one for one in self.findings if one.level is SoundFault.ERROR)

    @property
    def warnings(self) -> tuple[SoundFinding, ...]:
        """Return the findings that a person who listened to it may accept."""
        return tuple(one for one in self.findings if one.level is SoundFault.WARNING)


def check_sound(path: Path) -> CheckedSound:
    """Measure a sound file and judge it. Reads the file; nothing else."""
    try:
        loaded, measures = measure(path)
    except PromptError as error:
        return CheckedSound(findings=(SoundFinding(level=SoundFault.ERROR, says=str(error).rstrip("."), do=""),))
    found = sorted(findings(measures), key=lambda one: one.level is not SoundFault.ERROR)
    return CheckedSound(findings=tuple(found), measures=measures, loaded=loaded)


def findings(sound: SoundMeasures) -> Iterator[SoundFinding]:
    """Judge the measures of a sound file. Pure."""
    if sound.duration_s < LEAST_S:
        yield _warning(f"it lasts {sound.duration_s:.1f} s, too short to tell anything", "record the whole text")
    elif sound.duration_s < SHORT_S:
        yield _warning(f"it lasts only {sound.duration_s:.1f} s", "listen whether it says who records, and why")
    elif sound.duration_s > LONG_S:
        yield _warning(f"it lasts {sound.duration_s:.0f} s, and callers hang up", "shorten it")
    yield from _level(sound)
    if sound.clipped_share > 0:
        yield _warning("some samples are at full scale, and crackle", "record it more quietly")
    if sound.rate_hz < LEAST_RATE_HZ:
        yield _warning(
            f"it has {sound.rate_hz} samples a second, fewer than a telephone's {LEAST_RATE_HZ}", "record it again"
        )


def _level(sound: SoundMeasures) -> Iterator[SoundFinding]:
    spoken_s = sound.spoken_s
    if sound.speech_dbfs is None or spoken_s < LEAST_SPEECH_S or spoken_s < LEAST_SPEECH_SHARE * sound.duration_s:
        yield _warning(
            f"speech was found in {spoken_s:.1f} s of {sound.duration_s:.1f} s",
            "music, tones and noise tell callers nothing; listen to it, and record somebody who reads the text",
        )
        return
    if sound.speech_dbfs < QUIETEST_DBFS:
        yield _error(f"the speech is at {sound.speech_dbfs:.0f} dBFS, too quiet to understand", _LOUDER)
    elif sound.speech_dbfs < QUIET_DBFS:
        yield _warning(f"the speech is quiet, {sound.speech_dbfs:.0f} dBFS; -20 to -26 is usual", _LOUDER)
    elif sound.speech_dbfs > LOUD_DBFS:
        yield _warning(
            f"the speech is loud, {sound.speech_dbfs:.0f} dBFS; -20 to -26 is usual", "record it more quietly"
        )
    yield from _ends(sound)


def _ends(sound: SoundMeasures) -> Iterator[SoundFinding]:
    begins = f"the speech begins after {sound.before_s:.1f} s"
    if sound.before_s > MOST_BEFORE_S:
        yield _error(f"{begins}, and callers take the silence for a fault", _CUT)
    elif sound.before_s > LATE_S:
        yield _warning(begins, _CUT)
    ends = f"{sound.after_s:.1f} s follow the last word"
    if sound.after_s > MOST_AFTER_S:
        yield _error(f"{ends}, and callers wait for nothing", _CUT)
    elif sound.after_s > TRAILING_S:
        yield _warning(ends, _CUT)


def _error(says: str, do: str) -> SoundFinding:
    return SoundFinding(level=SoundFault.ERROR, says=says, do=do)


def _warning(says: str, do: str) -> SoundFinding:
    return SoundFinding(level=SoundFault.WARNING, says=says, do=do)
