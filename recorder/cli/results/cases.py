"""Results about cases and claims."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLetter:
    """The text of a letter about a case or a claim."""

    about: str
    letter: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A transcript in a case; without text when it was added."""

    case: str
    recording: str
    text: str | None
