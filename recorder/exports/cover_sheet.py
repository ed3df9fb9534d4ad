"""The cover sheet of a copy as HTML for the recipient; `recorder.exports.pdf` makes a tagged PDF from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from recorder.exports.left_out import LeftOut
from recorder.rules import times
from storage.encoding import CopyFormat
from storage.types import RecordingRow

_TEMPLATES = Path(__file__).parent / "templates"

_FORMATS: Mapping[CopyFormat, str] = MappingProxyType(
    {
        CopyFormat.G711: "WAV with G.711: the sound exactly as it came over the telephone line",
        CopyFormat.WAV: "WAV: no loss of sound quality",
        CopyFormat.FLAC: "FLAC: no loss of sound quality",
        CopyFormat.MP3: "MP3",
        CopyFormat.OPUS: "Ogg Opus",
    }
)
_PLAYERS: Mapping[CopyFormat, str] = MappingProxyType(
    {
        CopyFormat.G711: "Most media players can open the sound files, including Windows Media Player and VLC.",
        CopyFormat.WAV: "All media players can open the sound files. On most computers you can double-click the file.",
        CopyFormat.FLAC: "Most media players can open the sound files, including VLC and those in Windows and macOS.",
        CopyFormat.MP3: "All media players and telephones can open the sound files. You can double-click the file.",
        CopyFormat.OPUS: "Web browsers and VLC can open the sound files.",
    }
)
_DIRECTIONS: Mapping[str, str] = MappingProxyType(
    {"inbound": "A call to us", "outbound": "A call from us", "internal": "A call between officers"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheeted:
    """One copy as listed on the cover sheet.

    Attributes:
        row: The recording.
        file: File name of the copy.
        form: Format of the copy.
        span_s: Span of the call that it covers, seconds.
        is_whole: Whether that is the whole call.
        left_out: Spans that cannot be heard.
        bytes: Size of the file.
        sha256: SHA-256 of the file, hex.
    """

    row: RecordingRow
    file: str
    form: CopyFormat
    span_s: tuple[float, float]
    is_whole: bool
    left_out: Sequence[LeftOut]
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptFile:
    """A transcript that goes with copies: file name, size and SHA-256."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverSheet:
    """The contents of a cover sheet.

    Attributes:
        site: Name of the council.
        timezone: IANA name of the time zone of its times.
        requester: Person who asked for the copies; may be empty.
        ground: Ground of the order, as text.
        reason: Reason of the order.
        made_by: Person who made the copies.
        made_at: When they were made.
        recordings: The copies, all in one format.
        transcripts: Transcripts that go with them.
        case: Reference of the case, or empty.
        identity: How the requester's identity was checked, or empty.
    """

    site: str
    timezone: str
    requester: str
    ground: str
    reason: str
    made_by: str
    made_at: datetime
    recordings: Sequence[Sheeted]
    transcripts: Sequence[TranscriptFile] = ()
    case: str = ""
    identity: str = ""

    @property
    def has_spans(self) -> bool:
        """Whether a copy begins later than its call."""
        return any(one.span_s[0] > 0 for one in self.recordings)

    @property
    def how_to_play(self) -> str:
        """A sentence that says which programs open the files."""
        return _PLAYERS[self.recordings[0].form]

    def html(self) -> str:
        """Return the page as one HTML file without references to others."""
        zone = ZoneInfo(self.timezone)
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        environment.filters.update(
            when=lambda moment: _kept_together(times.moment(moment, zone)),
            when_exact=lambda moment: _kept_together(times.moment(moment, zone, with_seconds=True)),
            duration=lambda seconds: _kept_together(times.duration(seconds)),
            position=lambda seconds: _kept_together(times.position(seconds, exact=True)),
            direction=lambda word: _DIRECTIONS.get(word, word),
            format_words=_FORMATS.__getitem__,
        )
        one = len(self.recordings) == 1
        title = f"Copy of {'a recorded call' if one else f'{len(self.recordings)} recorded calls'}"
        return environment.get_template("cover_sheet.html").render(sheet=self, title=title)


def _kept_together(text: str) -> Markup:
    """Return a text as HTML that does not break over two lines."""
    return Markup('<span class="whole">{}</span>').format(text)
