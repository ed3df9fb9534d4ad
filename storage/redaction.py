"""Redaction: silences spans in a copy; the recording does not change. Pure.

The spans are removed from the stored runs before decoding, resampling and encoding, so that no filter and no encoder
can carry any of their audio over an edge.
"""

from collections.abc import Iterator, Sequence

from storage.sides import Blocks
from storage.spans import Cuts, Span, Survey, without
from storage.types import Channels, Redaction

MARGIN_S = 0.05
"""Also silenced before and after a span: people mark words to a tenth of a second."""
PIECE_S = 60.0
"""Longest span that is computed at once, to bound memory."""


class Silenced:
    """A recording without some spans; a `Blocks`."""

    def __init__(self, source: Blocks, redactions: Sequence[Redaction]) -> None:
        self._source = source
        self._cuts = _cuts(source, redactions)

    def blocks(self) -> Iterator[bytes]:
        """Yield the blocks of runs without the silenced spans, from the first, each time it is called."""
        return (without(block, self._cuts) for block in self._source.blocks())


def _cuts(source: Blocks, redactions: Sequence[Redaction]) -> Cuts:
    survey = Survey()
    for block in source.blocks():
        survey.take(block)
    left = survey.cuts(_spans(redactions, but=Channels.RIGHT))[0]
    right = survey.cuts(_spans(redactions, but=Channels.LEFT))[1]
    return left, right


def _spans(redactions: Sequence[Redaction], *, but: Channels) -> list[Span]:
    """Return the silenced spans of a side; long spans are split into pieces of `PIECE_S`."""
    found = []
    for one in redactions:
        if one.channels is but:
            continue
        at, end = max(one.start_s - MARGIN_S, 0.0), one.end_s + MARGIN_S
        while at < end:
            found.append(Span(start_s=at, end_s=min(at + PIECE_S, end), reason=one.reason, by=""))
            at += PIECE_S
    return found
