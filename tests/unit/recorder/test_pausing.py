"""What holds a pause and who may end it."""

from collections.abc import Callable

import pytest

from recorder.rules.pausing import (
    AGENT,
    CARD_DIGITS,
    CARD_TRIGGERS,
    HOLD,
    MANAGER,
    MAY_CLEAR,
    Authority,
    Final,
    PauseKind,
    PauseReasons,
    PauseState,
    RefusedError,
    kind_of,
    may_clear,
    payment_app,
)

SHOP = payment_app("shop")
REASONS = (AGENT, CARD_DIGITS, MANAGER, HOLD, SHOP)
EXPECTED = {
    # reason: who may take it away, of officer, manager, its own token, another token, no token's name, rule
    AGENT:       "y y - - - -",
    CARD_DIGITS: "y y - - - -",
    SHOP:        "- y y - - -",
    MANAGER:     "- y - - - -",
    HOLD:        "- y - - - y",
}  # fmt: skip
WHO: tuple[tuple[Authority, str | None], ...] = (
    (Authority.OFFICER, None),
    (Authority.MANAGER, None),
    (Authority.TOKEN, "shop"),
    (Authority.TOKEN, "other"),
    (Authority.TOKEN, None),
    (Authority.RULE, None),
)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("column", range(len(WHO)))
def test_who_may_clear_what(column: int, reason: str) -> None:
    authority, token = WHO[column]
    assert may_clear(authority, reason, token=token) == (EXPECTED[reason].split()[column] == "y")


def test_every_kind_of_reason_and_every_authority_is_decided() -> None:
    assert set(MAY_CLEAR) == {(kind, authority) for kind in PauseKind for authority in Authority}
    assert {kind_of(reason) for reason in EXPECTED} == set(PauseKind)


@pytest.mark.parametrize("reason", [AGENT, CARD_DIGITS, MANAGER, SHOP])
def test_a_rule_resumes_nothing_but_its_hold(reason: str) -> None:
    book = PauseReasons({reason, HOLD})
    assert not book.resume(Authority.RULE), "nothing resumes by time or by SIP"
    assert book.reasons == {reason}
    with pytest.raises(RefusedError, match="which rule may not clear"):
        book.resume(Authority.RULE)


def test_a_reason_of_no_kind_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="mood"):
        may_clear(Authority.MANAGER, "mood")


@pytest.mark.parametrize(
    ("reason", "is_card"), [(AGENT, True), (CARD_DIGITS, True), (SHOP, True), (MANAGER, False), (HOLD, False)]
)
def test_what_means_a_card_payment(reason: str, is_card: bool) -> None:
    assert (kind_of(reason) in CARD_TRIGGERS) == is_card


def test_only_the_first_reason_shuts_the_gate() -> None:
    book = PauseReasons()
    assert book.pause(AGENT)
    assert not book.pause(AGENT)
    assert not book.pause(CARD_DIGITS)
    assert book.state is PauseState.PAUSED


def test_recording_goes_on_when_the_last_reason_is_gone() -> None:
    book = PauseReasons({AGENT, SHOP})
    assert not book.resume(Authority.OFFICER)
    assert book.reasons == {SHOP}
    assert book.resume(Authority.TOKEN, token="shop")
    assert book.state is PauseState.RECORDING


def test_a_resume_by_acts_leaves_what_other_acts_gave() -> None:
    book = PauseReasons()
    for reason, act in ((AGENT, "one"), (CARD_DIGITS, "two")):
        book.credit(reason, (act,))
        book.pause(reason)
    assert book.acts_of(Authority.OFFICER) == {"one", "two"}
    assert book.acts_of(Authority.TOKEN, token="shop") == frozenset()
    assert not book.resume(Authority.OFFICER, acts=frozenset({"one"}))
    assert book.reasons == {CARD_DIGITS}
    assert not book.is_closed_by(frozenset({"one"}))
    assert book.resume(Authority.OFFICER, acts=frozenset({"two"}))


def test_a_reason_that_two_acts_gave_needs_both_to_be_taken_back() -> None:
    book = PauseReasons()
    book.credit(AGENT, ("one", "two"))
    book.pause(AGENT)
    one, two = frozenset({"one"}), frozenset({"two"})
    assert not book.is_closed_by(one)
    with pytest.raises(RefusedError):
        book.resume(Authority.OFFICER, acts=one)
    book.withdraw(one)
    assert book.is_closed_by(two)
    assert book.resume(Authority.OFFICER, acts=two)


def test_a_reason_of_no_known_act_is_cleared_by_a_person_only() -> None:
    book = PauseReasons({AGENT})
    assert not book.is_closed_by(frozenset({"one"}))
    with pytest.raises(RefusedError):
        book.resume(Authority.OFFICER, acts=frozenset({"one"}))
    assert book.resume(Authority.OFFICER)


def test_a_manager_clears_all() -> None:
    book = PauseReasons(set(REASONS))
    assert book.resume(Authority.MANAGER)
    assert book.reasons == set()


def test_a_refusal_names_what_holds_and_changes_nothing() -> None:
    book = PauseReasons({SHOP, MANAGER})
    with pytest.raises(RefusedError, match="held by manager, payment_app:shop, which officer may not clear"):
        book.resume(Authority.OFFICER)
    assert book.reasons == {SHOP, MANAGER}


def test_a_call_begins_recording() -> None:
    assert PauseReasons().state is PauseState.RECORDING


def test_resuming_what_is_not_paused_is_refused() -> None:
    with pytest.raises(RefusedError, match="not paused"):
        PauseReasons().resume(Authority.MANAGER)


def test_a_call_that_is_away_keeps_its_pause_and_may_come_back() -> None:
    book = PauseReasons({AGENT})
    assert book.leave_scope()
    assert not book.leave_scope(), "once"
    assert (book.state, book.reasons) == (PauseState.OUT_OF_SCOPE, {AGENT})
    for act in (lambda: book.pause(AGENT), lambda: book.resume(Authority.MANAGER), book.check_open):
        with pytest.raises(RefusedError, match="transferred to an extension whose calls are not recorded"):
            act()
    assert book.enter_scope()
    assert not book.enter_scope(), "once"
    assert book.state is PauseState.PAUSED, "only people resume"


@pytest.mark.parametrize("final", [Final.OPTED_OUT, Final.DISCARDED])
def test_an_end_that_people_decided_survives_a_transfer(final: Final) -> None:
    book = PauseReasons()
    book.end(final)
    assert not book.leave_scope()
    assert not book.enter_scope()
    away = PauseReasons()
    away.leave_scope()
    away.end(final)
    assert not away.enter_scope()
    assert book.final is away.final is final


@pytest.mark.parametrize("final", [Final.OPTED_OUT, Final.DISCARDED])
def test_an_end_is_final(final: Final) -> None:
    book = PauseReasons({AGENT})
    book.end(final)
    assert book.state.value == final.value
    sentence = f"ended for good: {final.value.replace('_', ' ')}"
    with pytest.raises(RefusedError, match=sentence):
        book.pause(AGENT)
    with pytest.raises(RefusedError, match=sentence):
        book.resume(Authority.MANAGER)
    with pytest.raises(RefusedError, match=sentence):
        book.end(Final.OPTED_OUT)
    assert book.final is final


def test_a_suspicion_of_a_fax_stops_recording_until_it_is_cleared() -> None:
    book = PauseReasons()
    assert book.suspect_fax()
    assert not book.suspect_fax(), "it has stopped already"
    assert book.state.value == "fax_suspected"
    assert book.clear_suspicion()
    assert not book.clear_suspicion()
    assert book.state.value == "recording"


def paused_book() -> PauseReasons:
    return PauseReasons({AGENT})


def ended_book() -> PauseReasons:
    return PauseReasons(final=Final.OPTED_OUT)


@pytest.mark.parametrize("made", [paused_book, ended_book])
def test_a_suspicion_never_touches_what_somebody_closed(made: Callable[[], PauseReasons]) -> None:
    book, before = made(), made()
    assert not book.suspect_fax()
    assert book == before
    assert not book.clear_suspicion()
    assert book == before


@pytest.mark.parametrize(
    "close", [lambda b: b.pause(AGENT), lambda b: b.end(Final.OPTED_OUT), PauseReasons.leave_scope]
)
def test_what_closes_a_suspected_call_is_not_reopened_by_a_voice(close: Callable[[PauseReasons], object]) -> None:
    book = PauseReasons()
    book.suspect_fax()
    close(book)
    state = book.state
    assert state is not PauseState.FAX_SUSPECTED
    assert not book.clear_suspicion()
    assert book.state is state


def test_people_who_hear_that_it_is_no_fax_may_resume() -> None:
    for authority, may in [(Authority.OFFICER, True), (Authority.MANAGER, True), (Authority.TOKEN, False)]:
        book = PauseReasons()
        book.suspect_fax()
        if may:
            assert book.resume(authority)
            assert book.state is PauseState.RECORDING
        else:
            with pytest.raises(RefusedError):
                book.resume(authority, token="till")
            assert book.state is PauseState.FAX_SUSPECTED
