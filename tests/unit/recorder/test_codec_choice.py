"""Codecs of two legs that can be bridged: every set of offers, every choice."""

import itertools

import pytest

from audio.types import Codec
from recorder.calls.rules.codec_choice import (
    answer_to_first,
    answers_to_reoffer,
    can_bridge,
    offer_to_second,
    still_bridged,
)

PCMA, PCMU, G722 = Codec.PCMA, Codec.PCMU, Codec.G722
OFFERS = [offer for size in range(4) for offer in itertools.permutations((PCMA, PCMU, G722), size)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((PCMU,), (PCMA, PCMU)),
        ((PCMA, G722), (PCMA, PCMU, G722)),
        ((G722,), (G722,)),
        ((G722, PCMU), (PCMA, PCMU, G722)),
        ((), ()),
    ],
)
def test_what_is_offered_on(first: tuple[Codec, ...], second: tuple[Codec, ...]) -> None:
    assert offer_to_second(first) == second


@pytest.mark.parametrize("offered", OFFERS, ids=lambda offer: "-".join(c.name for c in offer) or "none")
def test_whatever_the_second_side_chooses_can_be_bridged(offered: tuple[Codec, ...]) -> None:
    for chosen in offer_to_second(offered):
        answer = answer_to_first(offered, (chosen,))
        assert answer is not None
        assert answer in offered
        assert can_bridge(answer, chosen)


def test_the_same_codec_is_kept_where_it_can_be() -> None:
    assert answer_to_first((PCMU, PCMA), (PCMU,)) is PCMU
    assert answer_to_first((G722, PCMA), (G722,)) is G722


def test_the_laws_of_g711_stand_in_for_one_another() -> None:
    assert answer_to_first((PCMU,), (PCMA,)) is PCMU
    assert can_bridge(PCMA, PCMU)


def test_g722_is_never_converted() -> None:
    assert answer_to_first((PCMA, PCMU), (G722,)) is None
    assert answer_to_first((G722,), (PCMA,)) is None
    assert not can_bridge(PCMA, G722)


@pytest.mark.parametrize(
    ("current", "other", "answers"),
    [
        ((PCMU,), (PCMA,), (PCMU, PCMA)),
        ((PCMA,), (G722, PCMA), (G722, PCMA, PCMU)),
        ((PCMA, G722), (PCMA, G722), (PCMA, PCMU, G722)),
        ((G722,), (), (G722, PCMA, PCMU)),
        ((), (), (PCMA, PCMU, G722)),
    ],
)
def test_a_re_offer_is_answered_with_what_the_other_side_has(
    current: tuple[Codec, ...], other: tuple[Codec, ...], answers: tuple[Codec, ...]
) -> None:
    assert answers_to_reoffer(current, other) == answers


@pytest.mark.parametrize(
    ("codecs", "other", "kept"),
    [
        ((G722, PCMA), (G722, PCMA), (G722, PCMA)),
        ((G722, PCMA), (PCMU,), (PCMA,)),  # what comes in G.722 would be heard by nobody
        ((PCMA, G722), (PCMA,), (PCMA,)),
        ((G722,), (PCMA,), (G722,)),
        ((), (PCMA,), ()),
        ((G722,), (), (G722,)),
    ],
)
def test_a_leg_keeps_what_the_other_can_take(
    codecs: tuple[Codec, ...], other: tuple[Codec, ...], kept: tuple[Codec, ...]
) -> None:
    assert still_bridged(codecs, other) == kept
