"""Copies as streamed responses, never written to disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from recorder.common.problems import ProblemError
from recorder.exports.copy_orders import CopyOrder, CopyRepositories, Ordered
from recorder.exports.exporting import Copying
from recorder.exports.left_out import Ground
from recorder.exports.span_words import position_in, redaction_from
from recorder.permissions import Person
from recorder.web.deps import AudioFile
from recorder.web.forms import FieldErrors
from storage.encoding import MEDIA_TYPES, SUFFIXES, CopyFormat
from storage.package import zipped
from storage.types import RecordingRow, Redaction


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyForm:
    """The form for a copy, as typed.

    Attributes:
        audio_format: Value of `CopyFormat`.
        reason: Reason for the audit log and the cover sheet.
        start: Start, seconds, ``mm:ss`` or ``T14:30:05``; empty is the beginning.
        end: End; empty is the end of the recording.
        redact: Spans to silence, one per line.
        redact_reason: Why they are silenced.
        requester: Who asked.
        ground: Value of `Ground`, or empty.
        passphrase: Passphrase that encrypts the package; empty for none.
        case: Case whose transcripts go with it, or empty.
        is_package: Whether to add a cover sheet and hashes.
    """

    audio_format: str
    reason: str
    start: str = ""
    end: str = ""
    redact: str = ""
    redact_reason: str = ""
    requester: str = ""
    ground: str = ""
    passphrase: str = ""
    case: str = ""
    is_package: bool = False

    def order(self, row: RecordingRow, zone: ZoneInfo) -> CopyOrder:
        """Return the order.

        Raises:
            ProblemError: 422, values are invalid; it names their fields.
        """
        errors = FieldErrors()
        with errors.of("format"):
            form = format_of(self.audio_format)
        start_s, end_s = None, None
        with errors.of("start"):
            start_s = position_in(self.start, row.started_at, zone) if self.start.strip() else None
        with errors.of("end"):
            since_s = start_s or 0.0
            end_s = position_in(self.end, row.started_at, zone, since_s=since_s) if self.end.strip() else None
        with errors.of("redact"):
            redactions = tuple(self._redactions(row, zone))
        with errors.of("ground"):
            ground = _ground(self.ground)
        errors.check()
        return CopyOrder(
            form=form,
            reason=self.reason,
            span_s=None if start_s is None and end_s is None else (start_s or 0.0, end_s),
            redactions=redactions,
            requester=self.requester.strip(),
            ground=ground,
            passphrase=(self.passphrase or None) if self.is_package else None,
            case=self.case.strip() if self.is_package else "",
        )

    def _redactions(self, row: RecordingRow, zone: ZoneInfo) -> Iterator[Redaction]:
        for line in filter(str.strip, self.redact.splitlines()):
            yield redaction_from(line, row.started_at, zone, reason=self.redact_reason)


def format_of(word: str) -> CopyFormat:
    """Return a format by its value; ProblemError 422 if there is none."""
    try:
        return CopyFormat(word)
    except ValueError as error:
        raise ProblemError(422, f"The format must be one of {', '.join(CopyFormat)}.") from error


def _ground(word: str) -> Ground | None:
    try:
        return Ground(word) if word else None
    except ValueError as error:
        raise ProblemError(422, f"The ground must be one of {', '.join(Ground)}.") from error


def taken(
    repos: CopyRepositories, person: Person, order: CopyOrder, ordered: Ordered, *, is_package: bool
) -> AudioFile:
    """Return a copy as a download: the audio alone, or a ZIP archive with a cover sheet and hashes."""
    copying = Copying(repos, person, order, [ordered])
    if is_package:
        dated = repos.now().astimezone(ZoneInfo(repos.timezone))
        chunks: Iterator[bytes] = zipped(copying.package(), dated, passphrase=order.passphrase)
        return AudioFile(media_type="application/zip", suffix="zip", chunks=chunks)
    suffix = SUFFIXES[order.form]
    chunks = copying.sound(0, f"{ordered.row.id}.{suffix}")
    return AudioFile(media_type=MEDIA_TYPES[order.form], suffix=suffix, chunks=chunks)
