"""Spans of a call: pairs of whole microseconds since its beginning, [from, to), in order and disjoint. Pure."""

from collections.abc import Iterable

Span = tuple[int, int]
Spans = tuple[Span, ...]

US = 1_000_000
"""Microseconds in a second."""


def span_of(start_s: float, end_s: float) -> Span:
    """Return a span that is given in seconds."""
    return round(start_s * US), round(end_s * US)


def merged(spans: Iterable[Span]) -> Spans:
    """Return spans in order, with touching or overlapping ones joined; empty ones are left out."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if start >= end:
            continue
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return tuple(found)


def common(left: Spans, right: Spans) -> Spans:
    """Return the spans that lie in both."""
    return merged((max(a, c), min(b, d)) for a, b in left for c, d in right)


def rest_of(spans: Spans, end: int) -> Spans:
    """Return the spans from 0 to ``end`` that lie in none of these."""
    found, at = [], 0
    for start, upto in spans:
        found.append((at, min(start, end)))
        at = max(at, upto)
    return merged([*found, (at, end)])


def length_of(spans: Spans) -> int:
    """Return the total length of spans, microseconds."""
    return sum(end - start for start, end in spans)


def in_seconds(spans: Spans) -> list[tuple[float, float]]:
    """Return spans in seconds."""
    return [(start / US, end / US) for start, end in spans]
