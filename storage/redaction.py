"""Spans that are silenced in a copy, the recording itself left as it is. Pure.

What is silenced is taken out of the stored runs, before anything is decoded, resampled or encoded: a copy is made as if
it had never been there, so no filter and no encoder can carry any of it over an edge.
"""

from collections.abc import Iterator, Sequence

from storage.sides import Blocks
from storage.spans import Cuts, Span, Survey, without
from storage.types import Channels, Redaction

MARGIN_S = 0.05
"""Silenced on either side as well: people point at words to a tenth of a second."""


class Silenced:
    """A recording without some spans; a `Blocks`."""

    def __init__(self, source: Blocks, redactions: Sequence[Redaction]) -> None:
        self._source = source
        self._cuts = _cuts(source, redactions)

    def blocks(self) -> Iterator[bytes]:
        """Yield the blocks of runs without what is silenced, from the first, each time it is called."""
        return (without(block, self._cuts) for block in self._source.blocks())


def _cuts(source: Blocks, redactions: Sequence[Redaction]) -> Cuts:
    survey = Survey()
    for block in source.blocks():
        survey.take(block)
    left = survey.cuts(_spans(redactions, but=Channels.RIGHT))[0]
    right = survey.cuts(_spans(redactions, but=Channels.LEFT))[1]
    return left, right


def _spans(redactions: Sequence[Redaction], *, but: Channels) -> list[Span]:
    return [
        Span(start_s=max(one.start_s - MARGIN_S, 0.0), end_s=one.end_s + MARGIN_S, reason=one.reason, by="")
        for one in redactions
        if one.channels is not but
    ]
