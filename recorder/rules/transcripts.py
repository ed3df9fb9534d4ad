"""Transcripts that people type or upload: reading, checking, and cutting for a copy. Pure.

A transcript is plain text or WebVTT. Text between [[ and ]] stays with the council; in WebVTT, cues that overlap a
silenced span are left out too. There is no speech recognition.
"""

import enum
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_BYTES = 500_000
MOST_CUES = 10_000
LEFT_OUT = "[left out]"
OVERHANG_S = 1.0
"""How far a cue may end after the recording: editors round."""

_SUBRIP = "srt"
_BOM = b"\xef\xbb\xbf"
_STAMP = rb"(\d{2,3}:[0-5]\d:[0-5]\d),(\d{3})"
_SUBRIP_TIMES = re.compile(rb"^" + _STAMP + rb"[ \t]+-->[ \t]+" + _STAMP, re.MULTILINE)
_NO_TEXT = {
    b"RIFF": "a sound file (WAV)", b"fLaC": "a sound file (FLAC)", b"OggS": "a sound file (Ogg)",
    b"ID3": "a sound file (MP3)", b"%PDF": "a PDF", b"PK\x03\x04": "a packed file, as word processors write them",
    b"\xd0\xcf\x11\xe0": "a file of a word processor", b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}  # fmt: skip
"""First bytes of files that people mistake for text."""
_MARKED = re.compile(r"\[\[.*?\]\]", re.DOTALL)
_MARK = re.compile(r"\[\[|\]\]")
_TIME = r"(?:(\d{2,3}):)?([0-5]\d):([0-5]\d)\.(\d{3})"
_TIMING = re.compile(rf"{_TIME}[ \t]+-->[ \t]+{_TIME}(?:[ \t].*)?", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^ <>]*)? ([^<>]*)>")
_TAG = re.compile(r"<[^<>]*>")
"""A tag ends before the next begins, so that half a million unclosed ones are scanned in linear time."""
_NO_CUES = ("NOTE", "STYLE", "REGION")


class TranscriptForm(enum.StrEnum):
    """The format of a transcript; also its file extension."""

    TEXT = "txt"
    VTT = "vtt"


class TranscriptError(ValueError):
    """The content is not a valid transcript; the message is a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cue:
    """The words of a span of the call, seconds since its beginning."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A checked transcript.

    Attributes:
        text: The whole text, if it is plain text.
        cues: Its cues, if it is WebVTT.
    """

    form: TranscriptForm
    text: str = ""
    cues: tuple[Cue, ...] = ()

    def written(self) -> str:
        """Return it as the contents of a file."""
        if self.form is TranscriptForm.TEXT:
            return self.text
        return "WEBVTT\n" + "".join(
            f"\n{_stamp(cue.start_s)} --> {_stamp(cue.end_s)}\n{html.escape(cue.text, quote=False)}\n"
            for cue in self.cues
        )

    @property
    def characters(self) -> int:
        """Return its length in characters."""
        return len(self.text) + sum(len(cue.text) for cue in self.cues)


def uploaded(name: str, content: bytes) -> tuple[bytes, TranscriptForm]:
    """Return the contents and format of an uploaded file; SubRip is converted to WebVTT.

    Args:
        name: File name; only its extension counts.
        content: The contents.

    Raises:
        TranscriptError: It is not a kind of file that is accepted.
    """
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending not in (*TranscriptForm, _SUBRIP):
        raise TranscriptError("A transcript is a file of plain text (.txt), WebVTT (.vtt) or SubRip (.srt).")
    kind = next((words for start, words in _NO_TEXT.items() if content.startswith(start)), None)
    if kind is not None:
        raise TranscriptError(f"That is {kind}. A transcript is plain text.")
    if ending == _SUBRIP:
        text = content.removeprefix(_BOM).replace(b"\r\n", b"\n")
        return b"WEBVTT\n\n" + _SUBRIP_TIMES.sub(rb"\1.\2 --> \3.\4", text), TranscriptForm.VTT
    return content, TranscriptForm(ending)


def read_transcript(content: bytes, form: TranscriptForm, *, duration_s: float) -> Transcript:
    """Read and check a transcript.

    Args:
        content: The contents of the file.
        form: Its format.
        duration_s: Length of the recording, which bounds the cues.

    Raises:
        TranscriptError: It is not valid.
    """
    if len(content) > MOST_BYTES:
        raise TranscriptError(f"A transcript has at most {MOST_BYTES:,} bytes, not {len(content):,}.")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise TranscriptError("A transcript is text in UTF-8.") from error
    if any(not (c.isprintable() or c in "\n\t") for c in text):
        raise TranscriptError("A transcript has no control characters.")
    if not text.strip():
        raise TranscriptError("The transcript is empty.")
    if form is TranscriptForm.TEXT:
        _check_marks(text)
        return Transcript(form=form, text=text.strip() + "\n")
    return Transcript(form=form, cues=tuple(_cues(text, duration_s)))


def for_copy(
    transcript: Transcript, *, span_s: tuple[float, float], silent: Sequence[tuple[float, float]]
) -> Transcript:
    """Return a transcript as it goes with a copy: without text that is marked, silenced or outside the copy.

    Args:
        transcript: The original.
        span_s: The span of the copy, seconds of the call; its cues count from there.
        silent: Silenced spans, of either side.

    Raises:
        TranscriptError: Silenced text cannot be found, because it is plain text without marks.
    """
    if transcript.form is TranscriptForm.TEXT:
        if silent and not _MARKED.search(transcript.text):
            raise TranscriptError(
                "Part of the copy is silenced, and the transcript is plain text without times: "
                "put [[ and ]] around the text to leave out."
            )
        return Transcript(form=transcript.form, text=_MARKED.sub(LEFT_OUT, transcript.text))
    start_s, end_s = span_s
    cues = [
        Cue(
            start_s=max(cue.start_s - start_s, 0.0), end_s=min(cue.end_s, end_s) - start_s,
            text=LEFT_OUT if _is_silent(cue, silent) else _MARKED.sub(LEFT_OUT, cue.text),
        )
        for cue in transcript.cues
        if cue.start_s < end_s and cue.end_s > start_s
    ]  # fmt: skip
    return Transcript(form=transcript.form, cues=tuple(cues))


def _is_silent(cue: Cue, silent: Sequence[tuple[float, float]]) -> bool:
    return any(cue.start_s < end_s and cue.end_s > start_s for start_s, end_s in silent)


def _check_marks(text: str) -> None:
    marks = _MARK.findall(text)
    if len(marks) % 2 or marks != ["[[", "]]"] * (len(marks) // 2):
        raise TranscriptError("Each [[ needs its ]], and no pair may lie inside another.")


def _cues(text: str, duration_s: float) -> list[Cue]:
    head, *blocks = re.split(r"\n{2,}", text.strip("\n"))
    if head.split("\n")[0].split(" ")[0].split("\t")[0] != "WEBVTT":
        raise TranscriptError("A WebVTT file begins with the line WEBVTT.")
    cues: list[Cue] = []
    for block in blocks:
        lines = [line for line in block.split("\n") if line.strip()]
        if not lines or lines[0].split(" ")[0] in _NO_CUES:
            continue
        cues.append(_cue(lines, duration_s, cues[-1].start_s if cues else 0.0))
        if len(cues) > MOST_CUES:
            raise TranscriptError(f"A transcript has at most {MOST_CUES:,} cues.")
    if not cues:
        raise TranscriptError("The transcript has no cues.")
    return cues


def _cue(lines: list[str], duration_s: float, earliest_s: float) -> Cue:
    number = 0 if "-->" in lines[0] else 1
    timing = _TIMING.fullmatch(lines[number].strip()) if number < len(lines) else None
    if timing is None:
        raise TranscriptError(
            f"{lines[0][:60]!r} is not the beginning of a cue: write 00:01.000 --> 00:04.000 and the words below."
        )
    start_s, end_s = _seconds(timing.groups()[:4]), _seconds(timing.groups()[4:])
    if not earliest_s <= start_s < end_s:
        raise TranscriptError(f"The cue at {_stamp(start_s)} ends before it begins, or comes before the one above it.")
    if end_s > duration_s + OVERHANG_S:
        raise TranscriptError(
            f"The cue at {_stamp(start_s)} ends after the recording, which is {duration_s:.1f} s long."
        )
    said = "\n".join(lines[number + 1 :])
    if "-->" in said:
        raise TranscriptError(f"An empty line is missing after the cue at {_stamp(start_s)}.")
    return Cue(start_s=start_s, end_s=end_s, text=_plain(said))


def _plain(said: str) -> str:
    """Return the words without markup, so that nothing in them can form another cue."""
    text = html.unescape(_TAG.sub("", _VOICE.sub(_named, said))).replace("-->", "→")
    lines = ("".join(filter(str.isprintable, line)).strip() for line in text.split("\n"))
    plain = "\n".join(filter(None, lines))
    _check_marks(plain)
    return plain


def _named(voice: re.Match[str]) -> str:
    name = voice[1].strip()
    return f"{name}: " if name else ""


def _seconds(parts: Sequence[str | None]) -> float:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    return hours * 3600 + minutes * 60 + seconds + thousandths / 1000


def _stamp(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02d}:{whole // 60_000 % 60:02d}:{whole // 1000 % 60:02d}.{whole % 1000:03d}"
