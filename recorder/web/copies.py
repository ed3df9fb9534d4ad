"""Copies for taking away, as answers that are made while they are sent: never on a disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from recorder.common.problems import ProblemError
from recorder.exports.copy_orders import CopyOrder, CopyRepositories, Ordered
from recorder.exports.copying import Ground
from recorder.exports.exporting import Copying
from recorder.exports.span_words import position_in, redaction_from
from recorder.permissions import Person
from recorder.web.deps import AudioFile
from storage.encoding import MEDIA_TYPES, SUFFIXES, CopyFormat
from storage.package import zipped
from storage.types import RecordingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyForm:
    """A copy as it is asked for on a page: what people typed.

    Attributes:
        audio_format: A word of `CopyFormat`.
        reason: Why.
        start: From where, seconds, ``mm:ss`` or ``T14:30:05``; nothing is the beginning.
        end: Up to where; nothing is the end.
        redact: Spans to silence, one a line.
        redact_reason: Why they are to be silent.
        requester: Who asked.
        ground: A word of `Ground`, or nothing.
        passphrase: Seals the package; nothing leaves it open.
        case: The case whose transcripts go with it, or nothing.
        is_package: Whether a cover sheet and hashes come with it.
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
        """Return it in our words.

        Raises:
            ProblemError: 422: something is not what it should be; a sentence.
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
    """Return a format by its word; ProblemError, 422, if there is none."""
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
    """Return a copy to be taken away: the sound alone, or an archive with a cover sheet and hashes."""
    copying = Copying(repos, person, order, [ordered])
    if is_package:
        dated = repos.now().astimezone(ZoneInfo(repos.timezone))
        chunks: Iterator[bytes] = zipped(copying.package(), dated, passphrase=order.passphrase)
        return AudioFile(media_type="application/zip", suffix="zip", chunks=chunks)
    suffix = SUFFIXES[order.form]
    chunks = copying.sound(0, f"{ordered.row.id}.{suffix}")
    return AudioFile(media_type=MEDIA_TYPES[order.form], suffix=suffix, chunks=chunks)
