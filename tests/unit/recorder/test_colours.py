"""Contrast as WCAG 2.2 defines it; the values are its own examples and common ones."""

import pytest

from recorder.rules.colours import contrast_with_white, is_colour


@pytest.mark.parametrize(
    ("colour", "ratio"), [("#000000", 21.0), ("#ffffff", 1.0), ("#767676", 4.54), ("#1d70b8", 5.17), ("#FF0000", 4.0)]
)
def test_contrast(colour: str, ratio: float) -> None:
    assert contrast_with_white(colour) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("text", ["", "red", "#fff", "#12345g", "#1234567", "#123456\n", "1d70b8"])
def test_other_texts_are_no_colour(text: str) -> None:
    assert not is_colour(text)
