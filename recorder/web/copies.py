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
from storage.encoding import MEDIA_TYPES, SUFFIXES, CopyFormat
from storage.package import zipped
from storage.types import RecordingRow


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
            ProblemError: 422, a value is invalid.
        """
        try:
            span_s = None
            if self.start.strip() or self.end.strip():
                start_s = position_in(self.start, row.started_at, zone) if self.start.strip() else 0.0
                span_s = start_s, position_in(self.end, row.started_at, zone) if self.end.strip() else None
            redactions = tuple(
                redaction_from(line, row.started_at, zone, reason=self.redact_reason)
                for line in self.redact.splitlines()
                if line.strip()
            )
        except ValueError as error:
            raise ProblemError(422, f"{error}.") from error
        return CopyOrder(
            form=format_of(self.audio_format),
            reason=self.reason,
            span_s=span_s,
            redactions=redactions,
            requester=self.requester.strip(),
            ground=_ground(self.ground),
            passphrase=(self.passphrase or None) if self.is_package else None,
            case=self.case.strip() if self.is_package else "",
        )


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
