"""Reads the rows of call records, one at a time, so that a file may be of any size."""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import TextIO

from recorder.assurance.call_records import CallLeg, CallRecordsError
from recorder.assurance.formats import UNIQUE_OR_USER, Layout
from recorder.assurance.local_times import LocalTimeError, Times
from recorder.reports.bypassed_calls import UnreadableLineError, read_line

_LONGEST_FIELD = 100_000
_LONGEST_LINE = 1 << 20
"""Characters; no call record is longer, and a file without line feeds must not fill the memory."""
_LENGTH = re.compile(r"(?:[0-9]{1,3}:){0,2}[0-9]{1,7}(?:\.[0-9]{1,9})?")
_UNIQUE_ID = re.compile(r"(?:.*-)?[0-9]+\.[0-9]+")
"""Asterisk's id of a channel: seconds since 1970 and a number, after the name of the system if it has one."""
_STAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} .*")
_REPLACED = "\ufffd"
Names = dict[str, int]
"""Places of columns by name, in lower case."""


def read_legs(file: TextIO, layout: Layout, times: Times) -> Iterator[CallLeg]:
    """Yield each row of a file.

    Args:
        file: Opened with ``newline=""`` and the encoding of the layout. Bytes of another encoding may have been
            replaced: callers choose their names.
        layout: How it is laid out.
        times: Reads its times.

    Raises:
        CallRecordsError: A line is not of this layout, or the file has no rows.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    is_exact = not layout.is_raw
    rows = csv.reader(_lines(file), delimiter=layout.delimiter, strict=is_exact, doublequote=is_exact)
    reader = _Rows(layout, times)
    before = 0
    try:
        for row in rows:
            line, before = before + 1, rows.line_num
            try:
                leg = reader.read(row, line)
            except CallRecordsError as error:
                if line == 1 and any(_REPLACED in one for one in row):
                    raise CallRecordsError(_not_encoded(layout), line) from error
                raise
            if leg is not None:
                yield leg
    except csv.Error as error:
        raise CallRecordsError(f"this is no line of comma-separated values: {error}", before + 1) from error
    except UnicodeDecodeError as error:
        raise CallRecordsError(_not_encoded(layout), before + 1) from error
    if not before:
        raise CallRecordsError("the file is empty; nothing was imported")


def _not_encoded(layout: Layout) -> str:
    return f"the file is not {layout.encoding}: is it a call record file?"


def _lines(file: TextIO) -> Iterator[str]:
    for number in count(1):
        if not (line := file.readline(_LONGEST_LINE)):
            return
        if len(line) == _LONGEST_LINE and not line.endswith("\n"):
            raise CallRecordsError("it is longer than any call record: is it a call record file?", number)
        yield line


def read_bypassed(file: TextIO) -> Iterator[CallLeg]:
    """Yield each call of Kamailio's list that went on unrecorded; those that it refused are no calls.

    Args:
        file: The list, opened.

    Raises:
        CallRecordsError: A line is not of this list, or there are none.
    """
    number = 0
    for number, line in enumerate(_lines(file), 1):
        try:
            call = read_line(line)
        except UnreadableLineError as error:
            raise CallRecordsError(str(error), number) from error
        if not call.is_refused:
            is_in = call.direction == "in"
            yield CallLeg(
                line=number, call_id=call.call_id, started_at=call.at, answered_at=call.at, ended_at=call.at,
                talk_s=0.0,
                caller="" if is_in else call.extension, called=call.extension if is_in else "", is_bypassed=True,
            )  # fmt: skip
    if not number:
        raise CallRecordsError("the file is empty; nothing was imported")


class _Rows:
    def __init__(self, layout: Layout, times: Times) -> None:
        self._layout = layout
        self._times = times
        self._names: Names | None = None
        self._by_width: dict[int, Names] = {}
        self._skips = 0
        self._is_named = False

    def read(self, row: Sequence[str], line: int) -> CallLeg | None:
        if not row or not any(field.strip() for field in row):
            return None
        if self._names is None:
            self._names, is_header = self._header(row, line)
            self._is_named = is_header
            if is_header:
                self._skips = int(self._layout.types_line)
                return None
        if self._skips:
            self._skips -= 1
            return None
        needed = self._layout.least if not self._is_named else 1 + max(self._names.values())
        if len(row) < needed:
            raise CallRecordsError(f"it has {len(row)} columns, expected {needed}", line)
        if not self._is_named:
            row = self._rejoined(row) if self._layout.is_raw else row
            self._names = self._names_of(len(row))
        return self._leg(row, line)

    def _names_of(self, width: int) -> Names:
        if (names := self._by_width.get(width)) is None:
            columns = self._layout.columns_of(width)
            names = self._by_width[width] = {name.lower(): place for place, name in enumerate(columns)}
        return names

    def _rejoined(self, row: Sequence[str]) -> Sequence[str]:
        """Join a caller's name that was split at a comma, as it has quotes, until the times are in their place."""
        place = self._names_of(len(row))[self._layout.facts["started"][0]]
        while len(row) > self._layout.least and not _STAMP.fullmatch(row[place]):
            row = [f"{row[0]},{row[1]}", *row[2:]]
        return row

    def _header(self, row: Sequence[str], line: int) -> tuple[Names, bool]:
        layout, found = self._layout, {field.strip().strip('"').lower(): place for place, field in enumerate(row)}
        found.pop("", None)
        started = [name.lower() for name in layout.facts["started"]]
        if any(name in found for name in started):
            if missing := self._missing(found):
                raise CallRecordsError(f"the header has no column {missing!r}, which {layout.name} has", line)
            return found, True
        if layout.columns:
            return self._names_of(len(row)), False
        raise CallRecordsError(
            f"the first line has to be the header of {layout.name}, with a column {layout.facts['started'][0]!r}", line
        )

    def _missing(self, found: Names) -> str | None:
        for fact in ("started", "caller", "called"):
            if not any(name.lower() in found for name in self._layout.facts[fact]):
                return self._layout.facts[fact][0]
        timing = [fact for fact in ("talk_s", "answered", "ended") if self._has(fact, found)]
        if "talk_s" not in timing and timing != ["answered", "ended"]:
            return self._layout.facts["talk_s" if "talk_s" in self._layout.facts else "answered"][0]
        return None

    def _has(self, fact: str, found: Names) -> bool:
        return any(name.lower() in found for name in self._layout.facts.get(fact, ()))

    def _leg(self, row: Sequence[str], line: int) -> CallLeg | None:
        wanted = self._layout.record_type
        if wanted is not None and (kind := self._field(row, wanted[0])) != wanted[1]:
            raise CallRecordsError(f"{wanted[0]} is {kind!r}, not {wanted[1]}: this file has no call records", line)
        try:
            return self._read(row, line)
        except LocalTimeError as error:
            raise CallRecordsError(str(error), line) from error
        except OverflowError as error:
            raise CallRecordsError("the call lies outside the years that there are", line) from error

    def _read(self, row: Sequence[str], line: int) -> CallLeg:
        started = self._times.read(self._value(row, "started"))
        answered, ended = self._moment(row, "answered"), self._moment(row, "ended")
        talk_s, duration_s = self._seconds(row, "talk_s", line), self._seconds(row, "duration_s", line)
        state = self._value(row, "state").lower()
        is_answered = (answered is not None or "answered" not in self._known) and (
            not self._layout.answered_states or state in self._layout.answered_states
        )
        if talk_s is not None:
            is_answered = is_answered and talk_s > 0
        if is_answered and answered is None:
            waited_s = max(0.0, duration_s - (talk_s or 0.0)) if duration_s is not None else 0.0
            answered = started + timedelta(seconds=waited_s)
        if is_answered and answered is not None and talk_s is None:
            talk_s = 0.0 if ended is None else (ended - answered).total_seconds()
        if ended is None:
            ended = (answered or started) + timedelta(seconds=talk_s or 0.0)
        if ended < started or (talk_s or 0.0) < 0:
            raise CallRecordsError("the call ends before it begins", line)
        return CallLeg(
            line=line, call_id=self._call_id(row), started_at=started, answered_at=answered if is_answered else None,
            ended_at=ended, talk_s=(talk_s or 0.0) if is_answered else 0.0, caller=self._number(row, "caller"),
            called=self._number(row, "called"), answered_by=self._number(row, "answered_by"),
            linked_id=self._value(row, "linked_id"),
        )  # fmt: skip

    @property
    def _known(self) -> set[str]:
        assert self._names is not None
        return {fact for fact in self._layout.facts if self._has(fact, self._names)}

    def _call_id(self, row: Sequence[str]) -> str:
        names = self._layout.facts.get("call_id", ())
        found = [self._field(row, name) for name in names]
        if self._layout.name == "asterisk":  # linkedid is of the whole call, uniqueid of a channel
            return next((one for name, one in zip(names, found, strict=True) if one and _is_id(name, one)), "")
        return "/".join(found) if any(found) else ""

    def _number(self, row: Sequence[str], fact: str) -> str:
        pattern = self._layout.number.get(fact)
        text = self._value(row, fact)
        if pattern is None or not text:
            return text
        found = pattern.match(text)
        return found["number"] if found else ""

    def _moment(self, row: Sequence[str], fact: str) -> datetime | None:
        text = self._value(row, fact)
        return None if text in ("", "0", "0000-00-00 00:00:00") else self._times.read(text)

    def _seconds(self, row: Sequence[str], fact: str, line: int) -> float | None:
        text = self._value(row, fact)
        if not text:
            return None
        if not _LENGTH.fullmatch(text):
            raise CallRecordsError(f"{text!r} is no length in seconds, or as 00:01:30", line)
        total = 0.0
        for part in text.split(":"):
            total = total * 60 + float(part)
        return total

    def _value(self, row: Sequence[str], fact: str) -> str:
        for name in self._layout.facts.get(fact, ()):
            if value := self._field(row, name):
                return value
        return ""

    def _field(self, row: Sequence[str], name: str) -> str:
        assert self._names is not None
        place = self._names.get(name.lower())
        return row[place].strip() if place is not None and place < len(row) else ""


def _is_id(name: str, value: str) -> bool:
    return name != UNIQUE_OR_USER or _UNIQUE_ID.fullmatch(value) is not None
