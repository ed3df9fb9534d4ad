"""Which numbers a transfer may dial: however a number is written, it is the same number."""

import pytest

from recorder.rules.routing import Route
from recorder.rules.transfer_targets import TransferRules, is_pattern

RULES = TransferRules()
ROUTE = Route(name="out", targets=())


@pytest.mark.parametrize(
    "number",
    [
        "09061234567", "+449061234567", "00449061234567", "+44(0)9061234567", "0906-123 4567", "909061234567",
        "9+449061234567", "90044 9061234567", "14109061234567", "9147009061234567", "%30906123456", "%2530906123456",
        "09061234567;phone-context=+44", "118500", "9118500", "141118500", "0012025550123", "+12025550123",
        "900353161234567", "*21*09061234567#", "*72909061234567", "07012345678", "0871 234 5678", "+448712345678",
        "\u0660\u0669061234567", "09061234567,,1", "0906123456\u200b7", "",
        "1800109061234567", "9180010906123456", "18002 118500",
        "449061234567", "4409061234567", "9449061234567", "*21*449061234567#", "448712345678",
    ],
)  # fmt: skip
def test_what_is_denied_is_denied_however_it_is_written(number: str) -> None:
    assert not RULES.may_dial(number, ROUTE)


@pytest.mark.parametrize(
    "number",
    [
        "2002", "4000", "909", "9001", "118", "1180", "01632960001", "+441632960001", "00441632960001", "901632960001",
        "07700900123", "01189601234", "+441189601234", "01419001234", "08001111", "0300 123 4567", "03001234567", "101",
        "111", "116123", "ann", "ann.smith", "*8", "*2002", "#70", "1", "0",
        "1800101632960001", "4490", "449061", "441632960001", "9441632960001",
    ],
)  # fmt: skip
def test_everyday_numbers_are_not(number: str) -> None:
    assert RULES.may_dial(number, ROUTE)


def test_what_a_route_puts_before_a_number_counts() -> None:
    stripping = Route(name="eight", targets=(), number="8", strip=1, prefix="0")
    assert not RULES.may_dial("89061234567", stripping), "8 and 9061234567 is dialled as 09061234567"
    assert RULES.may_dial("81632960001", stripping)


def test_a_route_may_allow_a_number_or_take_no_transfer_at_all() -> None:
    interpreter = Route(name="out", targets=(), transfer_allow=("0871234567", "00353xxxxxxxxx"))
    assert RULES.may_dial("08712345678", interpreter)
    assert RULES.may_dial("9+353161234567".removeprefix("9"), interpreter)
    assert not RULES.may_dial("+35316123456789", interpreter), "that is another number"
    assert not RULES.may_dial("08722345678", interpreter)
    assert not RULES.may_dial("2002", Route(name="never", targets=(), transfers=False))


def test_an_empty_list_denies_no_number() -> None:
    assert TransferRules(deny=()).may_dial("09061234567", ROUTE)


def test_patterns() -> None:
    assert all(map(is_pattern, ("09", "118xxx", "*21", "x")))
    assert not any(map(is_pattern, ("", "+44", "09*a", "118 500", "0?")))
