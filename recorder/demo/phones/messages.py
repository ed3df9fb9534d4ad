"""Messages between a phone's process and its parent, and the phones' error."""

import time
from dataclasses import dataclass, field

RATE = 8000
"""Sample rate of everything that a phone plays and records."""


class PhoneError(Exception):
    """A phone is not available, refused a command, or an event did not come in time; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneEvent:
    """An event of the phone.

    Attributes:
        name: ``started``, ``incoming``, ``calling``, ``early``, ``confirmed``, ``disconnected``, ``refused`` (an
            incoming call was refused), ``played`` (a WAV was played to its end), ``digit``, ``pressed`` (a key of its
            own was released; only the built-in phone reports that) or ``error`` (it cannot start).
        code: SIP status, the SIP port of ``started``, the sample of the WAV at which a ``pressed`` key was
            released, or 0.
            For ``disconnected``: 200 after a BYE, else the status of the refusal, 487 for a call that was given up
            before it was answered.
        text: Reason phrase, caller's URI, digit or error.
        at: `time.monotonic` of the event.
    """

    name: str
    code: int = 0
    text: str = ""
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to the phone."""

    number: int
    name: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDone:
    """Result of a command: done, or refused for a reason."""

    number: int
    error: str = ""
