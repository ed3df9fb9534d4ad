"""Whether two calls are one conversation."""

from dataclasses import replace

import pytest

from recorder.calls.rules.conversation import ConversationFacts, Match, match

OUTER = ConversationFacts(
    began_s=10.0, identity_changed_s=30.0, outside="01632960123", officer="2002", officers=frozenset({"2001", "2002"})
)
INNER = ConversationFacts(
    began_s=20.0, identity_changed_s=None, outside="01632960123", officer="2002", officers=frozenset({"2002"})
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Match.SAME),
        ({"outside": "+441632960123"}, Match.SAME),
        ({"outside": "2001"}, Match.SAME),  # a consultation that still names the officer who asked
        ({"outside": "2001", "is_claimed": True}, Match.NONE),  # a caller from outside, who says so
        ({"outside": "01632960124"}, Match.NONE),
        ({"outside": "anonymous"}, Match.POSSIBLE),
        ({"outside": ""}, Match.POSSIBLE),
        ({"officer": "2003"}, Match.NONE),
        ({"began_s": 31.0}, Match.NONE),  # the first call was hers before this one came
    ],
)
def test_the_second_passage(change: dict[str, object], expected: Match) -> None:
    inner = replace(INNER, **change)  # type: ignore[arg-type]
    assert match(OUTER, inner) is expected
    assert match(inner, OUTER) is expected


def test_two_calls_of_one_caller_to_one_officer_are_two_conversations() -> None:
    assert match(replace(OUTER, identity_changed_s=None), INNER) is Match.NONE
