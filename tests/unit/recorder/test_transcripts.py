"""Transcripts: what is read, what is refused, and what does not leave with a copy."""

import pytest

from recorder.rules.transcripts import (
    LEFT_OUT,
    MOST_BYTES,
    TranscriptError,
    TranscriptForm,
    for_copy,
    read_transcript,
)

TEXT, VTT = TranscriptForm.TEXT, TranscriptForm.VTT
CAPTIONS = """\ufeffWEBVTT - her call\r
\r
NOTE nobody's business\r
\r
1\r
00:00.000 --> 00:01.500 align:left\r
<v Officer>Good <b>morning</b> &amp; welcome\r
\r
00:00:01.500 --> 00:00:03.000\r
My neighbour [[Mr Example]] said so.\r
"""


def test_webvtt_is_read_without_its_markup() -> None:
    found = read_transcript(CAPTIONS.encode(), VTT, duration_s=3.0)
    assert [(cue.start_s, cue.end_s, cue.text) for cue in found.cues] == [
        (0.0, 1.5, "Officer: Good morning & welcome"),
        (1.5, 3.0, "My neighbour [[Mr Example]] said so."),
    ]
    assert read_transcript(found.written().encode(), VTT, duration_s=3.0) == found, "what is written is read again"
    assert "nobody's business" not in found.written()


def test_what_is_marked_silent_or_not_in_the_copy_stays_here() -> None:
    found = read_transcript(CAPTIONS.encode(), VTT, duration_s=3.0)
    copy = for_copy(found, span_s=(0.0, 3.0), silent=[])
    assert [cue.text for cue in copy.cues][1] == f"My neighbour {LEFT_OUT} said so."
    silenced = for_copy(found, span_s=(0.0, 3.0), silent=[(1.4, 1.45)])
    assert [cue.text for cue in silenced.cues] == [LEFT_OUT, f"My neighbour {LEFT_OUT} said so."]
    part = for_copy(found, span_s=(1.5, 2.5), silent=[])
    assert [(cue.start_s, cue.end_s) for cue in part.cues] == [(0.0, 1.0)]
    assert "morning" not in part.written()


def test_plain_text_with_a_silenced_copy_needs_marks() -> None:
    plain = read_transcript(b"She said: my neighbour\nMr Example", TEXT, duration_s=3.0)
    assert for_copy(plain, span_s=(0.0, 3.0), silent=[]) == plain
    with pytest.raises(TranscriptError, match="put"):
        for_copy(plain, span_s=(0.0, 3.0), silent=[(0.0, 1.0)])
    marked = read_transcript(b"She said: my [[neighbour\nMr Example]]", TEXT, duration_s=3.0)
    assert for_copy(marked, span_s=(0.0, 3.0), silent=[(0.0, 1.0)]).text == f"She said: my {LEFT_OUT}\n"


@pytest.mark.parametrize(
    ("content", "form", "words"),
    [
        (b"", TEXT, "empty"),
        (b" \n\t", TEXT, "empty"),
        (b"\xff\xfe", TEXT, "UTF-8"),
        (b"a\x00b", TEXT, "control"),
        (b"a\x1b[2Jb", TEXT, "control"),
        (b"x" * (MOST_BYTES + 1), TEXT, "at most"),
        (b"[[ open", TEXT, "its ]]"),
        (b"closed ]]", TEXT, "its ]]"),
        (b"[[ one [[ two ]]", TEXT, "another"),
        (b"hello", VTT, "WEBVTT"),
        (b"WEBVTTX\n\n00:00.000 --> 00:01.000\nx", VTT, "WEBVTT"),
        (b"WEBVTT", VTT, "no cues"),
        (b"WEBVTT\n\nNOTE only", VTT, "no cues"),
        (b"WEBVTT\n\n00:00 --> 00:01\nx", VTT, "is not the beginning of a cue"),
        (b"WEBVTT\n\n00:02.000 --> 00:01.000\nx", VTT, "before it begins"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nx\n\n00:00.500 --> 00:02.000\ny", VTT, "above it"),
        (b"WEBVTT\n\n00:00.000 --> 00:09.000\nx", VTT, "after the recording"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\nx\n00:01.000 --> 00:02.000\ny", VTT, "empty line"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\n&#91;&#91; hidden", VTT, "its ]]"),
        (b"WEBVTT\n\n00:00.000 --> 00:01.000\n[<b>[ hidden", VTT, "its ]]"),
        (b"WEBVTT" + b"\n\n00:00.000 --> 00:01.000\nx" * 10_001, VTT, "cues"),
    ],
)
def test_what_is_no_transcript(content: bytes, form: TranscriptForm, words: str) -> None:
    with pytest.raises(TranscriptError, match=words):
        read_transcript(content, form, duration_s=3.0)


def test_markup_that_hides_a_cue_makes_none() -> None:
    content = b"WEBVTT\n\n00:00.000 --> 00:01.000\nx&#10;&#10;00:00.000 --&gt; 00:02.000&#10;y <script>x</script>"
    (cue,) = read_transcript(content, VTT, duration_s=3.0).cues
    written = read_transcript(content, VTT, duration_s=3.0).written()
    assert len(read_transcript(written.encode(), VTT, duration_s=3.0).cues) == 1
    assert "<script>" not in written
    assert cue.end_s == 1.0
