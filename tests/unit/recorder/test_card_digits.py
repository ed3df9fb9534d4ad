"""Whether keyed digits look like a card number."""

import pytest

from recorder.rules.card_digits import CardRule


def test_a_press_that_comes_by_two_carriers_counts_once() -> None:
    ms = 1_000_000
    rule = CardRule(digits=4, within_s=10)
    for start in (0, 200, 400):  # each in band after 40 ms, and as an event at its end
        assert not rule.count((start + 40) * ms, "inband")
        assert not rule.count((start + 150) * ms, "rfc4733")
    assert rule.count(640 * ms, "inband"), "the fourth press, by whichever carrier comes first"


def test_a_held_key_counts_once_and_a_late_carrier_is_a_press_of_its_own() -> None:
    ms = 1_000_000
    rule = CardRule(digits=2, within_s=10)
    assert not rule.count(40 * ms, "inband")
    assert not rule.count(1040 * ms, "info")
    assert rule.count(2041 * ms, "rfc4733")


def test_presses_by_one_carrier_all_count_however_fast() -> None:
    rule = CardRule(digits=4, within_s=10)
    assert [rule.count(moment, "rfc4733") for moment in range(4)] == [False, False, False, True]


def test_one_key_that_is_only_heard_is_a_voice_and_not_a_card() -> None:
    ms = 1_000_000
    rule = CardRule(digits=4, within_s=10)
    assert not any(rule.count(at * ms, "inband", heard="1") for at in range(0, 8000, 400))
    assert rule.count(8000 * ms, "inband", heard="4"), "another key among the last four"


def test_one_key_by_a_carrier_that_is_sure_counts() -> None:
    ms = 1_000_000
    rule = CardRule(digits=4, within_s=10)
    presses = [rule.count(at * ms, "inband", heard="1") for at in (0, 1500, 3000, 4500)]
    assert presses == [False] * 4
    assert rule.count(4600 * ms, "rfc4733"), "the last press was no voice"
    one = CardRule(digits=1, within_s=10)
    assert one.count(0, "inband", heard="1"), "a rule of one digit takes any"


def test_the_card_rule_counts_times_only() -> None:
    second = 1_000_000_000
    rule = CardRule(digits=4, within_s=10)
    assert [rule.count(at * second) for at in (0, 4, 8, 10)] == [False, False, False, True]
    assert rule.count(10 * second + 1)
    assert [rule.count(at * second) for at in (30, 34, 38, 41)] == [False] * 4, "eleven seconds"
    rule.forget()
    assert not rule.count(42 * second)
    with pytest.raises(ValueError, match="at least one digit"):
        CardRule(digits=0)
