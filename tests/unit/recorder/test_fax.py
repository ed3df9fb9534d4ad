"""What is a fax: an answering tone at once, a calling tone when it comes again soon."""

import pytest

from recorder.domain.fax import CALLING_WITHIN_S, FaxRule


def test_an_answering_tone_is_a_fax() -> None:
    assert FaxRule().heard("ced", 0.0)


@pytest.mark.parametrize(
    ("apart_s", "is_fax"), [(3.5, True), (CALLING_WITHIN_S, True), (CALLING_WITHIN_S + 0.1, False)]
)
def test_a_calling_tone_has_to_come_again(apart_s: float, is_fax: bool) -> None:
    rule = FaxRule()
    assert not rule.heard("cng", 100.0), "a whistle is no fax"
    assert rule.heard("cng", 100.0 + apart_s) is is_fax
