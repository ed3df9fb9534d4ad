"""How much a test tries: few examples for `make test`, all of them for `make test-all`.

`make test-all` sets ``RECORDER_TESTS=all``. Whatever the extent, a test asserts the same.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

IS_FULL = os.environ.get("RECORDER_TESTS") == "all"
"""Whether everything is tried."""


def examples(*, quick: int, full: int) -> int:
    """Return how many examples a property test tries."""
    return full if IS_FULL else quick


def chosen(*, quick: Sequence[T], full: Sequence[T]) -> Sequence[T]:
    """Return the values that a test tries."""
    return full if IS_FULL else quick


CHARACTERS = st.characters(exclude_categories=["Cs"])
"""All that UTF-8 can encode, as by default; there a new clone first asks the codec about a million: a second of CPU."""
