"""Spans of a call: put together, cut, and what is left of the call beside them."""

import random

from recorder.rules.spans import Spans, common, in_seconds, length_of, merged, rest_of, span_of

LENGTH = 40


def points(spans: Spans) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


def some(dice: random.Random) -> Spans:
    return merged(tuple(sorted((dice.randrange(LENGTH), dice.randrange(LENGTH)))) for _ in range(dice.randrange(5)))  # type: ignore[misc]


def test_spans_are_sets_of_moments() -> None:
    dice = random.Random(4)
    for _ in range(500):
        left, right = some(dice), some(dice)
        assert points(merged([*left, *right])) == points(left) | points(right)
        assert points(common(left, right)) == points(left) & points(right)
        assert points(rest_of(left, LENGTH)) == set(range(LENGTH)) - points(left)
        assert length_of(left) == len(points(left))
        for spans in (merged([*left, *right]), common(left, right), rest_of(left, LENGTH)):
            assert spans == merged(spans), "in order, apart, none of them empty"


def test_what_lies_beyond_the_end_is_no_rest() -> None:
    assert rest_of(((30, 90),), LENGTH) == ((0, 30),)
    assert rest_of(((50, 90),), LENGTH) == ((0, 40),)
    assert rest_of((), 0) == ()


def test_seconds() -> None:
    assert in_seconds((span_of(0.1, 2.0004),)) == [(0.1, 2.0004)]
