"""The daemon's events as somebody may see them."""

from collections.abc import Mapping
from typing import Any

import pytest

from recorder.web.seen_events import SeenEvents

CALL = {"event": "call", "call": "x", "state": "recording", "caller": "07700900123"}
REQUEST = {"event": "opt_out", "id": "0a0a0a0a", "call": "x", "state": "raised", "team": "Revenues"}
ENDED = {"event": "ended", "id": "x"}


def whole(call: Mapping[str, Any]) -> dict[str, Any] | None:
    return dict(call)


def masked(call: Mapping[str, Any]) -> dict[str, Any] | None:
    return {key: value for key, value in call.items() if key != "caller"}


@pytest.mark.parametrize(("see", "is_told"), [(whole, True), (masked, False), (lambda _: None, False)])
def test_whoever_does_not_see_who_calls_hears_of_no_request(see: Any, is_told: bool) -> None:
    listed = see(CALL)
    for known in ([] if listed is None else [listed], []):
        events = SeenEvents(see, known, is_told_all=True)
        if not known:
            assert events.shown(REQUEST) is None, "nothing is known of the call yet"
            assert (events.shown(CALL) is None) is (listed is None)
        assert (events.shown(REQUEST) is not None) is is_told
        assert (events.shown(ENDED) is not None) is (listed is not None)


def test_a_call_that_somebody_may_see_no_more_is_theirs_no_more() -> None:
    seen: list[Any] = [whole]

    def see(call: Mapping[str, Any]) -> Any:
        return seen[-1](call)

    events = SeenEvents(see, [], is_told_all=False)
    assert events.shown(CALL) is not None
    seen.append(masked)
    assert "caller" not in (events.shown(CALL) or {})
    assert events.shown(REQUEST) is None
    seen.append(lambda _: None)
    assert events.shown(CALL) is None
    assert events.shown(ENDED) is None
