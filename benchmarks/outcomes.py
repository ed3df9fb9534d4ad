"""How calls of a benchmark ended. Pure."""

import collections
from collections.abc import Mapping, Sequence
from typing import Any


def outcomes_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many rows have which outcome; one-way with packets of both sides counts as recorded.

    The load sends noise. A window that holds the beginning of a stream may be taken for speech, on one side alone: then
    the call is one-way, and nothing of it is missing. Whether noise is told from speech is for `benchmarks.speech`.
    """
    return dict(collections.Counter("recorded" if _lacks_speech_only(row) else str(row.get("outcome")) for row in rows))


def _lacks_speech_only(row: Mapping[str, Any]) -> bool:
    is_one_way = (row.get("outcome"), row.get("reason")) == ("partial", "one_way")
    return is_one_way and all(row.get("packets") or [0])
