"""One state for all calls at somebody's phone: never "paused" while any of them is recorded."""

import itertools
from datetime import datetime
from typing import Any

import pytest

from recorder.permissions import Act
from recorder.web.agent_view import PhoneState, phone_of


def call(state: str, *, name: str = "a", **changes: Any) -> dict[str, Any]:
    listed = {
        "call": name, "state": state, "phase": "joined", "is_recorded": True, "extension": "2001", "operator": "Ann",
        "extensions_now": ["2001"], "state_since": "2026-11-25T09:00:00Z", "paused_s": None, "pause_max_s": 600.0,
        "reasons": [], "may": ["recording.forgot"],
    }  # fmt: skip
    return {**listed, **changes}


PAUSED: dict[str, Any] = {"paused_s": 12.0, "reasons": ["agent"]}


@pytest.mark.parametrize(
    ("calls", "standing"),
    [
        ([], PhoneState.NO_CALL),
        ([call("recording")], PhoneState.RECORDING),
        ([call("paused", **PAUSED)], PhoneState.PAUSED),
        ([call("recording", phase="notice", is_recorded=False)], PhoneState.BEGINNING),
        ([call("not_begun", phase="notice", is_recorded=False)], PhoneState.BEGINNING),
        ([call("fax_suspected")], PhoneState.NOT_RECORDED),
        ([call("failed", is_recorded=False)], PhoneState.NOT_RECORDED),
        ([call("paused", phase="notice", is_recorded=False)], PhoneState.PAUSED),
        ([call("recording", is_recorded=False)], PhoneState.NOT_RECORDED),
        ([call("paused", is_recorded=False)], PhoneState.NOT_RECORDED),
        *[([call(state)], PhoneState.NOT_RECORDED) for state in ("opted_out", "discarded", "blocked", "new word", "")],
        ([call("recording", extensions_now=["2002"])], PhoneState.NO_CALL),
        ([call("recording", extensions_now=["2002", "2001"])], PhoneState.RECORDING),
        ([call("recording", extensions_now=[], extension="2001")], PhoneState.RECORDING),
    ],
)
def test_what_is_shown_of_one_call(calls: list[dict[str, Any]], standing: PhoneState) -> None:
    phone = phone_of(["2001"], calls)
    assert phone.standing is standing
    assert phone.act == ("resume" if standing is PhoneState.PAUSED else "pause")
    assert phone.can_act is (standing not in (PhoneState.NO_CALL, PhoneState.NOT_RECORDED))


def test_paused_is_said_only_where_no_call_is_recorded() -> None:
    states = ("recording", "paused", "opted_out", "blocked")
    for first, second in itertools.product(states, states):
        phone = phone_of(["2001"], [call(first, name="a"), call(second, name="b")])
        assert (phone.standing is PhoneState.RECORDING) is ("recording" in (first, second))
        if phone.standing is PhoneState.PAUSED:
            assert "recording" not in (first, second)


def test_the_longest_pause_counts_and_why_is_told() -> None:
    calls = [
        call("paused", name="a", **PAUSED),
        call("paused", name="b", paused_s=30.5, reasons=["hold", "payment_app:till"]),
    ]
    phone = phone_of(["2001"], calls)
    assert (phone.paused_s, phone.max_s) == (30.5, 600.0)
    assert phone.why == "by the payment system, by you or with a phone key, the call is on hold"
    held = phone_of(["2001"], [call("paused", reasons=["hold"])])
    assert held.paused_s is None
    assert held.may_forget


def test_time_until_the_alarm_is_of_the_pause_that_has_it_first() -> None:
    early = call("paused", name="a", paused_s=20.0, pause_max_s=60.0, reasons=["agent"])
    late = call("paused", name="b", paused_s=100.0, pause_max_s=600.0, reasons=["agent"])
    for calls in ([early, late], [late, early]):
        phone = phone_of(["2001"], calls)
        assert (phone.paused_s, phone.alarm_s, phone.max_s) == (100.0, 40.0, 60.0)
    over = phone_of(["2001"], [call("paused", name="c", paused_s=700.0, reasons=["agent"]), late])
    assert (over.paused_s, over.alarm_s, over.max_s) == (700.0, -100.0, 600.0)


def test_a_pause_without_a_limit_has_no_time_left() -> None:
    held = phone_of(["2001"], [call("paused", reasons=["hold"]), call("recording", name="b", extensions_now=["2002"])])
    assert (held.paused_s, held.alarm_s, held.max_s) == (None, None, None)
    unlimited = phone_of(["2001"], [call("paused", **PAUSED, pause_max_s=None)])
    assert (unlimited.paused_s, unlimited.alarm_s, unlimited.max_s) == (12.0, None, None)
    beside = phone_of(["2001"], [call("paused", reasons=["hold"], pause_max_s=9.0), call("paused", name="b", **PAUSED)])
    assert (beside.paused_s, beside.alarm_s, beside.max_s) == (12.0, 588.0, 600.0)


def test_nothing_can_be_forgotten_before_there_is_a_recording() -> None:
    assert not phone_of(["2001"], [call("recording", phase="notice", is_recorded=False)]).may_forget
    assert not phone_of(["2001"], [call("recording", may=[])]).may_forget


def test_what_a_pause_erases_is_told_as_the_daemon_lists_it_for_this_person() -> None:
    older = "2026-11-25T08:55:00Z"
    calls = [call("recording", pause_erases_s=3.0, started_at=older), call("recording", name="b", pause_erases_s=2.0)]
    phone = phone_of(["2001"], calls)
    assert (phone.erases_s, phone.discards) == (2.0, False)
    assert phone.running_since == datetime.fromisoformat(older)
    assert phone_of(["2001"], [call("recording")]).erases_s is None
    assert phone_of(["2001"], [call("paused", reasons=["hold"], pause_erases_s=3.0)]).erases_s is None
    discards: dict[str, Any] = {"pause_discards": True, "may": [Act.DISCARD, Act.PAUSE]}
    assert phone_of(["2001"], [call("recording", **discards)]).discards is True
    signed_on_from_elsewhere = {**discards, "may": [Act.PAUSE]}
    assert phone_of(["2001"], [call("recording", **signed_on_from_elsewhere)]).discards is False
