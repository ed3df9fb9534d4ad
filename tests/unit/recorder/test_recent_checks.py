"""What goes on while accounts on a server cannot be checked, and for how long. Pure, and so is the server's state."""

import pytest

from recorder.access.reachability import AGAIN_S, AccountsAwayError, Reachability
from recorder.permissions import Act
from recorder.rules.requirement import AccessLevel
from recorder.web.recent_checks import GOOD_FOR_S, RecentChecks, goes_on_unchecked
from recorder.web.route_access import ROUTES

PAUSES = {
    "POST /live/{call}/{act=pause}", "POST /agent/{act=pause}", "POST /api/calls/{call}/pause",
    "POST /api/extensions/{number}/pause",
}  # fmt: skip


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


def test_of_all_changes_only_a_pause_goes_on() -> None:
    going_on = {name for name, needed in ROUTES.items() if goes_on_unchecked(name.split()[0], needed)}
    assert {name for name in going_on if not name.startswith("GET ")} == PAUSES


def test_pages_go_on_but_for_audio_and_what_is_open_to_everybody_is_no_question() -> None:
    stopped = {name for name in ROUTES if name.startswith("GET ")} - {
        name for name, needed in ROUTES.items() if goes_on_unchecked("GET", needed)
    }
    asked = {name for name in stopped if ROUTES[name].level is not AccessLevel.OPEN}
    assert asked == {
        "GET /recordings/{recording_id}/audio/{secret}", "GET /recordings/{recording_id}/break-glass",
        "GET /erasures", "GET /erasures/{order_id}", "GET /erasures/{order_id}/{decision=confirm}",
        "GET /erasures/{order_id}/{decision=decline}", "GET /api/erasures",
    }  # fmt: skip
    assert not goes_on_unchecked("GET", None)
    assert ROUTES["POST /recordings/{recording_id}/play"].acts == (Act.PLAY,)


def test_a_check_is_good_for_a_quarter_of_an_hour_and_no_longer_than_what_was_checked() -> None:
    clock = Clock()
    checks: RecentChecks[str] = RecentChecks(clock)
    checks.note("one", "ann")
    checks.note("two", "bob", for_s=60.0)
    clock.s += 59.0
    assert (checks.get("one"), checks.get("two"), checks.get("three")) == ("ann", "bob", None)
    clock.s += 1.0
    assert (checks.get("one"), checks.get("two")) == ("ann", None)
    clock.s += GOOD_FOR_S - 60.5
    assert checks.get("one") == "ann"
    clock.s += 0.5
    assert checks.get("one") is None


def test_a_session_that_ended_is_forgotten() -> None:
    checks: RecentChecks[str] = RecentChecks(Clock())
    checks.note("one", "ann")
    checks.forget("one")
    checks.forget("one")
    assert checks.get("one") is None


def test_after_a_failure_one_tries_again_while_the_others_are_refused() -> None:
    clock = Clock()
    state = Reachability(clock)
    state.enter()
    state.failed("it is not reached")
    for _ in range(2):
        with pytest.raises(AccountsAwayError, match="cannot be checked: it is not reached"):
            state.enter()
    clock.s += AGAIN_S
    state.enter()
    with pytest.raises(AccountsAwayError):
        state.enter()
    state.answered()
    state.enter()
    state.enter()
