"""How calls of a benchmark ended. Pure."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any

_AS_MANY = 0.95
"""Least share of the packets of the other side that a side has if nothing of it is missing."""


def outcomes_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many rows have which outcome; one-way with as many packets of both sides counts as recorded.

    The load sends noise. A window that holds the beginning of a stream may be taken for speech, on one side alone: then
    the call is one-way, and nothing of it is missing. `noise_as_speech` says how many these are. A side that came late,
    ended early or was lost for a while is missing, and its call is not recorded. Whether noise is told from speech is
    for `benchmarks.speech`.
    """
    return dict(collections.Counter("recorded" if _lacks_speech_only(row) else str(row.get("outcome")) for row in rows))


def noise_as_speech(rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many rows that `outcomes_of` counts as recorded have the outcome one-way."""
    return sum(map(_lacks_speech_only, rows))


def _lacks_speech_only(row: Mapping[str, Any]) -> bool:
    is_one_way = (row.get("outcome"), row.get("reason")) == ("partial", "one_way")
    packets = row.get("packets") or [0]
    return is_one_way and min(packets) > 0 and min(packets) >= _AS_MANY * max(packets)
