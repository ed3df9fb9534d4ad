"""All spellings of one telephone number have one form."""

import pytest
from hypothesis import given
from hypothesis.strategies import from_regex, lists, sampled_from, text

from storage.phone_numbers import normalise_number


@pytest.mark.parametrize(
    ("number", "whole"),
    [
        ("02079460000", "+442079460000"),
        ("020 7946 0000", "+442079460000"),
        ("(020) 7946-0000", "+442079460000"),
        ("+44 (0)20 7946 0000", "+442079460000"),
        ("(+44) 020 7946 0000", "+442079460000"),
        ("+442079460000", "+442079460000"),
        ("00442079460000", "+442079460000"),
        ("0044 (0)20 7946 0000", "+442079460000"),
        ("442079460000", "+442079460000"),
        ("44 (0)20-7946.0000", "+442079460000"),
        ("+02079460000", "+442079460000"),
        ("020\u20117946\u20110000", "+442079460000"),
        ("\u202a+44 20 7946 0000\u202c", "+442079460000"),
        ("07700900123", "+447700900123"),
        ("0800 496000", "+44800496000"),
        ("44800496000", "+44800496000"),
        ("0033145000000", "+33145000000"),
        ("+33 (0)1 45 00 00 00", "+33145000000"),
        ("0033 (0)1 45 00 00 00", "+33145000000"),
        ("+39 06 698 00000", "+390669800000"),
        ("2001", "2001"),
        ("20-01", "2001"),
        ("999", "999"),
        ("112", "112"),
        ("0800", "0800"),
        ("4477", "4477"),
        ("4477009005", "4477009005"),
        ("44770090055500", "44770090055500"),
        ("444700900555", "444700900555"),
        ("0000000000", "0000000000"),
        ("anonymous", "anonymous"),
        ("Ann 2", "Ann 2"),
        ("", ""),
        ("\u0660\u0662\u0660\u0667", "\u0660\u0662\u0660\u0667"),
    ],
)
def test_numbers(number: str, whole: str) -> None:
    assert normalise_number(number) == whole
    assert normalise_number(whole) == whole


_NATIONAL = from_regex(r"[1235789][0-9]{9}|[18][0-9]{8}", fullmatch=True)
_PREFIXES = ("0", "+44", "0044", "44", "+44(0)", "0044(0)", "44(0)", "+440", "+0")
_SEPARATORS = sampled_from(["", " ", "-", ".", "\u00a0", "\u2011"])


@given(national=_NATIONAL, prefix=sampled_from(_PREFIXES), between=lists(_SEPARATORS, min_size=12, max_size=12))
def test_every_spelling_of_a_number_has_the_same_form(national: str, prefix: str, between: list[str]) -> None:
    spelled = prefix + "".join(f"{separator}{digit}" for separator, digit in zip(between, national, strict=False))
    assert normalise_number(f" {spelled} ") == f"+44{national}"


@given(from_regex(r"[1-9][0-9]{1,7}", fullmatch=True))
def test_a_short_number_stays(extension: str) -> None:
    assert normalise_number(extension) == extension


@given(text(alphabet="04+4 ()-.1279a\u2011", max_size=20) | text(max_size=12))
def test_the_form_of_a_form_is_the_same(number: str) -> None:
    once = normalise_number(number)
    assert normalise_number(once) == once
