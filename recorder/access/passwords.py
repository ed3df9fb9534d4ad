"""Rules for strong passwords. Pure (P9)."""

import re

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
"""Longer ones would only burden the machine."""

RULES = (
    f"have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters (3 random words are a good choice)",
    "not be easy to guess, such as Welcome2026!",
    "not contain a sequence such as abcdef, 123456 or qwerty, or repeat one piece of text",
    "not contain your account name",
)
"""The rules for a new password, in words; `weakness` enforces them."""

_COMMON = frozenset(
    """
    password passw0rd passphrase letmein welcome changeme default administrator admin root secret sunshine iloveyou
    princess football liverpool arsenal chelsea everton monkey dragon master superman batman charlie jordan michael
    spring summer autumn winter monday friday january december england scotland wales london birmingham manchester
    council borough county district townhall revenues benefits customer service recorder recording telephone callcentre
    computer internet trustno1 whatever access login logmein temporary starwars pokemon computer football1
    correcthorsebatterystaple qwertyuiop asdfghjkl zxcvbnm 1q2w3e4r 1qaz2wsx qazwsx abc123
    """.split()  # noqa: SIM905 - a block of words is easier to read and to add to
)
"""Common words; a password of only these, digits and punctuation is refused."""

_RUNS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
)
_LEET = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "!": "i"})
_RUN_LENGTH = 6
_MIN_DIFFERENT = 5
_NAME_LENGTH = 3
_MOST_LEFT_OVER = 3


def weakness(password: str, *, account: str) -> str | None:
    """Return what is wrong with a new password.

    Args:
        password: As it was typed.
        account: Name of its account.

    Returns:
        A sentence for the person, without the password; None if it is strong enough.
    """
    if len(password) < MIN_CHARACTERS:
        return f"The password must have at least {MIN_CHARACTERS} characters. 3 random words are a good choice."
    if len(password) > MAX_CHARACTERS:
        return f"The password must have {MAX_CHARACTERS} characters or fewer."
    folded = password.casefold()
    if len(account) >= _NAME_LENGTH and account.casefold() in folded:
        return "The password must not contain the account name."
    if len(set(folded)) < _MIN_DIFFERENT:
        return f"The password repeats a few characters: use at least {_MIN_DIFFERENT} different ones."
    if _is_repeated(folded):
        return "The password repeats one short piece of text."
    if _has_run(folded):
        return "The password contains a simple sequence such as abcdef, 123456 or qwerty."
    if _is_common(folded):
        return "The password is too easy to guess."
    return None


def _is_repeated(folded: str) -> bool:
    return any(folded == (folded[:size] * len(folded))[: len(folded)] for size in range(1, len(folded) // 2 + 1))


def _has_run(folded: str) -> bool:
    for run in _RUNS:
        for line in (run, run[::-1]):
            pieces = (line[at : at + _RUN_LENGTH] for at in range(len(line) - _RUN_LENGTH + 1))
            if any(piece in folded for piece in pieces):
                return True
    return False


def _is_common(folded: str) -> bool:
    return any(_left_over(text) <= _MOST_LEFT_OVER for text in (folded, folded.translate(_LEET)))


def _left_over(text: str) -> int:
    """Return how many letters are left without common words, digits and punctuation."""
    for word in sorted(_COMMON, key=len, reverse=True):
        text = text.replace(word, " ")
    return len(re.sub(r"[\W\d_]", "", text))
