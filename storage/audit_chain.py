"""Verifies an audit log: entries, their chain, their texts, and heads noted elsewhere. Reads only; constant memory.

The chain shows every change of an entry. It does not show that entries were cut off the end, or that the log was forged
from some entry on; for that, heads that were noted elsewhere are needed (`storage.heads`).
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from storage.audit_entry import GENESIS, LONGEST_BYTES, AuditEntry, break_between, parse_line
from storage.audit_texts import AuditTexts, KeptTexts, TextsReader
from storage.heads import Head

REPAIRED = "audit.repaired"
"""Act of the entry about a torn end that was moved aside."""

Progress = Callable[[float, float], None]
"""Called with the bytes done and the bytes in all."""
_TELL_EVERY = 2000
_MOST_LISTED = 100
"""Most findings of one kind that are listed; further ones are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadEntry:
    """A place where the log was changed.

    Attributes:
        line: Number of the line, from 1.
        offset: Of the line, bytes from the start of the file.
        problem: What is wrong, as a clause: "its hash does not fit".
        number: Number of the entry that belongs there.
    """

    line: int
    offset: int
    problem: str
    number: int

    @property
    def sentence(self) -> str:
        """The finding as a sentence, for people."""
        return f"entry {self.number} (line {self.line}, byte {self.offset}): {self.problem}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditState:
    """The result of verifying a log.

    Attributes:
        entries: Number of good entries before the first bad one.
        head: Hash of the last good entry.
        bad: The first bad, missing or cut entry, or None.
        bytes: Length of the log that was verified.
        heads: Number of heads noted elsewhere that are in it.
        texts: Number of free texts that match their entry's commitment.
        gone_texts: Number of texts that expired or were deleted.
        bad_texts: Texts that do not match their entry's commitment, the first 100.
        stray_texts: Number of texts that belong to no entry, or whose commitment was changed.
        texts_problem: Why the file of texts could not be read; empty if it could.
        moved_aside: Entries about torn ends that were moved aside, the first 100; each should be looked at.
    """

    entries: int
    head: str
    bad: BadEntry | None
    bytes: int = 0
    heads: int = 0
    texts: int = 0
    gone_texts: int = 0
    bad_texts: tuple[BadEntry, ...] = ()
    stray_texts: int = 0
    texts_problem: str = ""
    moved_aside: tuple[AuditEntry, ...] = ()

    @property
    def problems(self) -> list[str]:
        """A sentence for each finding; empty if the log is as it was written."""
        found = [one.sentence for one in (self.bad, *self.bad_texts) if one is not None]
        if self.stray_texts:
            found.append(f"{self.stray_texts} of the free texts fit no entry: they were changed, or put there")
        if self.texts_problem:
            found.append(f"the free texts cannot be read: {self.texts_problem}")
        return found


def lines_of(path: Path, size: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield number from 1, offset and content of each line of the first bytes of a log.

    Raises:
        OSError: It cannot be read.
    """
    offset = 0
    if not size:
        return
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_BYTES), b""), 1):
            if offset >= size:
                return
            yield number, offset, line
            offset += len(line)


def checked_lines(path: Path, size: int) -> Iterator[tuple[int, int, AuditEntry | str]]:
    """Yield number, offset and entry of each line; a sentence instead of the entry if the line is not one."""
    for number, offset, line in lines_of(path, size):
        if not line.endswith(b"\n"):
            is_long = len(line) >= LONGEST_BYTES
            yield number, offset, "it is longer than any entry" if is_long else "it is cut: its end is missing"
            continue
        try:
            yield number, offset, parse_line(line)
        except ValueError as error:
            yield number, offset, str(error)


@dataclass(slots=True)
class NotedHeads:
    """The heads noted elsewhere that a walk along a log has not yet met."""

    by_number: dict[int, list[Head]] = field(default_factory=lambda: defaultdict(list))
    loose: set[str] = field(default_factory=set)
    """Hashes without a known number."""
    confirmed: int = 0
    """Number of the last entry that matches a head."""
    found: int = 0

    @classmethod
    def of(cls, heads: Iterable[Head]) -> "NotedHeads":
        """Sort heads by their number."""
        made = cls()
        for head in heads:
            if head.number is None:
                made.loose.add(head.hash)
            else:
                made.by_number[head.number].append(head)
        return made

    def problem_at(self, entry: AuditEntry) -> str | None:
        """Return why an entry differs from the head noted for its number, or None."""
        if entry.hash in self.loose:
            self.loose.discard(entry.hash)
            self.confirmed, self.found = entry.number, self.found + 1
        for head in self.by_number.pop(entry.number, ()):
            if head.hash != entry.hash:
                start = self.confirmed + 1
                where = "here" if start == entry.number else f"somewhere from entry {start} on"
                return f"it is not the entry that was noted as {head.words}: the log was written anew {where}"
            self.confirmed, self.found = entry.number, self.found + 1
        return None

    def problem_behind(self, last: int) -> str | None:
        """Return what is missing after the last entry, or None."""
        if self.by_number:
            number = max(self.by_number)
            head = self.by_number[number][0]
            missing = f"entry {number} is" if number == last + 1 else f"entries {last + 1} to {number} are"
            return f"the log ends before it, but {head.words} was noted: {missing} cut off"
        if self.loose:
            return f"no entry has the hash {sorted(self.loose)[0]}: its end was cut off, or the log was written anew"
        return None


class ChainWalk:
    """One verification of one log.

    Args:
        path: The log.
        size: How much of it to read, bytes.
        kept_texts: The texts that were stored when the log had that size; None: they cannot be read.
        texts: The texts of the log.
    """

    def __init__(self, path: Path, size: int, kept_texts: KeptTexts | None, texts: AuditTexts) -> None:
        self._path = path
        self._size = size
        self._texts = texts
        self._kept_texts = kept_texts
        self._fitting = self._gone = self._not_settled = 0
        self._bad_texts: list[BadEntry] = []
        self._moved_aside: list[AuditEntry] = []
        self._texts_problem = ""

    def run(self, heads: Iterable[Head] = (), progress: Progress = lambda _done, _total: None) -> AuditState:
        """Check every entry, its text, and the heads noted elsewhere.

        Raises:
            OSError: The log cannot be read.
        """
        noted = NotedHeads.of(heads)
        with self._texts.reading() as texts:
            last, bad = self._walk(noted, texts, progress)
        if bad is None:
            bad = self._cut(noted, last)
        settled = self._kept_texts.settled if self._kept_texts else 0
        stray = settled + self._not_settled - self._fitting - len(self._bad_texts)
        return AuditState(
            entries=last[1].number if last else 0,
            head=last[1].hash if last else GENESIS,
            bad=bad,
            bytes=self._size,
            heads=noted.found,
            texts=self._fitting,
            gone_texts=self._gone,
            bad_texts=tuple(self._bad_texts[:_MOST_LISTED]),
            stray_texts=0 if bad or self._texts_problem or self._kept_texts is None else max(stray, 0),
            texts_problem=self._texts_problem or ("the file is damaged" if self._kept_texts is None else ""),
            moved_aside=tuple(self._moved_aside),
        )

    def _walk(
        self, noted: NotedHeads, texts: TextsReader, progress: Progress
    ) -> tuple[tuple[int, AuditEntry] | None, BadEntry | None]:
        """Return the last good entry with its line, and the first bad one."""
        last: AuditEntry | None = None
        line = 0
        for line, offset, found in checked_lines(self._path, self._size):
            problem = found if isinstance(found, str) else break_between(last, found) or noted.problem_at(found)
            if problem is not None:
                number = last.number + 1 if last else 1
                return (line - 1, last) if last else None, BadEntry(
                    line=line, offset=offset, problem=problem, number=number
                )
            assert isinstance(found, AuditEntry)
            last = found
            self._look_at_text(texts, found, line, offset)
            if found.act == REPAIRED and len(self._moved_aside) < _MOST_LISTED:
                self._moved_aside.append(found)
            if not line % _TELL_EVERY:
                progress(offset, self._size)
        progress(self._size, self._size)
        return (line, last) if last else None, None

    def _cut(self, noted: NotedHeads, last: tuple[int, AuditEntry] | None) -> BadEntry | None:
        line, number = (last[0], last[1].number) if last else (0, 0)
        problem = noted.problem_behind(number)
        if problem is None:
            return None
        return BadEntry(line=line + 1, offset=self._size, problem=problem, number=number + 1)

    def _look_at_text(self, texts: TextsReader, entry: AuditEntry, line: int, offset: int) -> None:
        if entry.text_commitment is None or self._texts_problem:
            return
        try:
            stored = texts.get(entry.text_commitment)
        except sqlite3.Error as error:
            self._texts_problem = str(error)
            return
        if stored is None:
            self._gone += 1
            return
        if self._kept_texts is not None and entry.text_commitment in self._kept_texts.prepared:
            self._not_settled += 1
        if stored.fits:
            self._fitting += 1
        else:
            problem = "its free text was changed: it does not fit the entry's commitment"
            self._bad_texts.append(BadEntry(line=line, offset=offset, problem=problem, number=entry.number))
