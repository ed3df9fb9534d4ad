import json

import pytest

from storage.rows import row_from_text, time_from_json, time_to_json


def test_times() -> None:
    assert time_to_json(time_from_json("2026-11-24T10:30:00+01:00")) == "2026-11-24T09:30:00Z"
    assert time_from_json(None) is None
    assert time_to_json(None) is None


@pytest.mark.parametrize(
    "document",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        *(json.dumps({"id": "x", "outcome": "recorded", **damage}) for damage in (
            {"outcome": "lost"}, {"notice": "played"}, {"participants": ["Anna"]}, {"participants": 1},
            {"segments": ["all"]}, {"archived": {"format": "flac"}}, {"started_at": 5}, {"peaks": [1, 2]},
        )),
    ],
)  # fmt: skip
def test_whatever_is_damaged_in_a_row_its_reader_has_three_errors_to_take(document: str) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        row_from_text(document)
