import pytest

from storage.rows import normalise_number, time_from_json, time_to_json


@pytest.mark.parametrize(
    ("number", "whole"),
    [
        ("02079460000", "+442079460000"),
        ("020 7946 0000", "+442079460000"),
        ("(020) 7946-0000", "+442079460000"),
        ("+44 (0)20 7946 0000", "+442079460000"),
        ("+442079460000", "+442079460000"),
        ("00442079460000", "+442079460000"),
        ("0033145000000", "+33145000000"),
        ("07700900123", "+447700900123"),
        ("2001", "2001"),
        ("999", "999"),
        ("112", "112"),
        ("0800", "0800"),
        ("anonymous", "anonymous"),
        ("", ""),
        ("٠٢٠٧", "٠٢٠٧"),
    ],
)
def test_numbers(number: str, whole: str) -> None:
    assert normalise_number(number) == whole
    assert normalise_number(whole) == whole


def test_times() -> None:
    assert time_to_json(time_from_json("2026-11-24T10:30:00+01:00")) == "2026-11-24T09:30:00Z"
    assert time_from_json(None) is None
    assert time_to_json(None) is None
