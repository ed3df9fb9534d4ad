"""What a phone's process and its parent say to each other over their pipe, and the phones' one error."""

import time
from dataclasses import dataclass, field

RATE = 8000
"""Samples a second of everything that a phone plays and records."""


class PhoneError(Exception):
    """A phone is not there, refused a command, or an event did not come in time; a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneEvent:
    """What happened on the phone.

    Attributes:
        name: ``started``, ``incoming``, ``calling``, ``early``, ``confirmed``, ``disconnected``, ``refused`` (a call
            came in and was refused), ``played`` (a WAV came to its end), ``digit`` or ``error`` (it cannot start).
        code: SIP status behind it, the SIP port of ``started``, or 0. Of ``disconnected``: 200 after a BYE, else the
            status of the refusal, 487 for a call that was given up before it was answered.
        text: Reason phrase, caller's URI, digit or error.
        at: `time.monotonic` when it happened.
    """

    name: str
    code: int = 0
    text: str = ""
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Something that the phone is to do."""

    number: int
    name: str
    arguments: tuple[object, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandDone:
    """A command has been carried out, or refused for a reason."""

    number: int
    error: str = ""
