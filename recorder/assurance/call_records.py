"""Rows of call records. Pure."""

from dataclasses import dataclass
from datetime import datetime

NUMBER_DIGITS = 4
"""How many last digits of an outside number are kept: enough to tell calls of one minute at one extension apart."""


class CallRecordsError(Exception):
    """A file of call records cannot be used; the message is a sentence for whoever imports it.

    Args:
        sentence: What is wrong, and what to do.
        line: The line in the file, from 1; None if it is the file as a whole.
    """

    def __init__(self, sentence: str, line: int | None = None) -> None:
        super().__init__(sentence if line is None else f"line {line}: {sentence}")
        self.line = line


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLeg:
    """One row of a file of call records: a call, or one part of it.

    Attributes:
        line: Its line in the file, from 1.
        call_id: The PBX's id of the call, which its parts share; empty if the file has none.
        started_at: When it began, UTC by the PBX's clock.
        answered_at: When it was answered; None if it was not.
        ended_at: When it ended.
        talk_s: How long both sides were connected, seconds; 0 if it was not answered.
        caller: Number of the calling side.
        called: Number that was dialled.
        answered_by: Number that answered; empty if the file does not say.
        linked_id: The id of another part of the call, where parts have ids of their own; else empty.
        is_bypassed: A proxy in front of the recorders sent it round them.
    """

    line: int
    call_id: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime
    talk_s: float
    caller: str
    called: str
    answered_by: str = ""
    linked_id: str = ""
    is_bypassed: bool = False


def end_of(number: str) -> str:
    """Return the last digits of a number; empty for a withheld one and for words."""
    digits = "".join(character for character in number if character.isascii() and character.isdigit())
    return digits[-NUMBER_DIGITS:] if len(digits) >= NUMBER_DIGITS else ""
