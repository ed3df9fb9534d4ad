"""Which passwords are refused, and why."""

import pytest

from recorder.access.passwords import weakness


@pytest.mark.parametrize("password", ["violet otter lantern", "Kp7#vv2!qLmZ", "håndværk på bakken", "x9J-b2Q-m4T-w8"])
def test_good(password: str) -> None:
    assert weakness(password, account="ann") is None


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("short", "12 characters"),
        ("elevenchars", "12 characters"),
        ("v" * 257, "256 characters or fewer"),
        ("my-ANNA-otter-lantern", "account"),
        ("aaaaaaaaaaaaaaaa", "repeats"),
        ("abababababababab", "repeats"),
        ("otter1otter1otter1", "one short piece"),
        ("otter-abcdef-lantern", "sequence"),
        ("violet 654321 lantern", "sequence"),
        ("Qwerty lantern otter", "sequence"),
        ("Password2026!", "too easy to guess"),
        ("P@ssw0rd-2026!", "too easy to guess"),
        ("Councilsummer26", "too easy to guess"),
        ("correcthorsebatterystaple", "too easy to guess"),
    ],
)
def test_refused(password: str, word: str) -> None:
    sentence = weakness(password, account="anna")
    assert sentence is not None
    assert word in sentence
    assert password not in sentence


def test_a_very_short_account_name_does_not_count() -> None:
    assert weakness("violet otter lantern", account="vi") is None
