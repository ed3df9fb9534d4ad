"""Codes of authenticator apps: the vectors of RFC 6238, and somebody else's library."""

import base64
from datetime import UTC, datetime, timedelta

import pyotp
import pytest

from recorder.access.qr import svg_of
from recorder.access.totp import STEP_S, address_of, code_of, matching_step, new_secret, spaced, step_of

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [
    (59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
    (20000000000, "353130"),
]  # fmt: skip
"""RFC 6238 appendix B, SHA-1, the last six digits of eight."""
NOW = datetime(2026, 11, 26, 9, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(("at_s", "code"), VECTORS)
def test_vectors(at_s: int, code: str) -> None:
    assert code_of(RFC_SECRET, step_of(datetime.fromtimestamp(at_s, UTC))) == code


def test_an_app_of_somebody_else_shows_the_same() -> None:
    for _ in range(50):
        secret = new_secret()
        app = pyotp.parse_uri(address_of(secret, "ann.o'neill", "Wold & Vale"))
        assert isinstance(app, pyotp.TOTP)
        assert (app.name, app.issuer) == ("ann.o'neill", "Wold & Vale")
        assert app.at(NOW) == code_of(secret, step_of(NOW))


def test_secrets_differ_and_are_long_enough() -> None:
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(base64.b32decode(new_secret())) == 20
    assert spaced("ABCDEFGHIJ") == "ABCD EFGH IJ"


@pytest.mark.parametrize(("late_s", "counts"), [(-70, False), (-30, True), (0, True), (30, True), (70, False)])
def test_a_clock_may_be_off_by_one_step(late_s: int, counts: bool) -> None:
    code = code_of(RFC_SECRET, step_of(NOW + timedelta(seconds=late_s)))
    assert (matching_step(RFC_SECRET, code, NOW, after=0) is not None) == counts


def test_a_code_and_those_before_it_count_no_more() -> None:
    step = step_of(NOW)
    codes = {at: code_of(RFC_SECRET, at) for at in (step - 1, step, step + 1)}
    assert matching_step(RFC_SECRET, codes[step], NOW, after=step - 1) == step
    assert matching_step(RFC_SECRET, codes[step], NOW, after=step) is None
    assert matching_step(RFC_SECRET, codes[step - 1], NOW, after=step) is None
    assert matching_step(RFC_SECRET, codes[step + 1], NOW, after=step) == step + 1


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "١٢٣٤٥٦", "000000\x00", "\ud800", "' or 1=1"])
def test_what_is_no_code(typed: str) -> None:
    assert matching_step(RFC_SECRET, typed, datetime.fromtimestamp(59, UTC), after=0) is None


def test_blanks_are_left_out() -> None:
    assert matching_step(RFC_SECRET, " 287 082 ", datetime.fromtimestamp(59, UTC), after=0) == 59 // STEP_S


def test_a_secret_that_is_none() -> None:
    with pytest.raises(ValueError, match="not base32"):
        code_of("1!", 1)


def test_the_picture_runs_nothing_and_is_told_in_words() -> None:
    picture = svg_of(address_of(RFC_SECRET, "ann", "Wold"), title='A "code" <b>')
    assert picture.startswith("<svg")
    assert "<title>A &quot;code&quot; &lt;b&gt;</title>" in picture or '<title>A "code" &lt;b&gt;</title>' in picture
    for word in ("style", "script", "href", "http"):
        assert word not in picture
