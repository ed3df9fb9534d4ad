"""What holds a pause and who may end it."""

import pytest

from recorder.domain.pausing import (
    AGENT,
    CARD_DIGITS,
    HOLD,
    MANAGER,
    Authority,
    Final,
    PauseBook,
    PauseState,
    RefusedError,
    may_clear,
    payment_app,
)

SHOP = payment_app("shop")
REASONS = (AGENT, CARD_DIGITS, MANAGER, HOLD, SHOP)
CLEARS = {
    Authority.OFFICER: {AGENT, CARD_DIGITS},
    Authority.MANAGER: set(REASONS),
    Authority.TOKEN: {SHOP},
    Authority.RULE: {HOLD},
}


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("authority", Authority)
def test_who_may_clear_what(authority: Authority, reason: str) -> None:
    assert may_clear(authority, reason, token="shop") == (reason in CLEARS[authority])


def test_a_token_clears_only_its_own() -> None:
    assert not may_clear(Authority.TOKEN, SHOP, token="other")
    assert not may_clear(Authority.TOKEN, SHOP)


def test_only_the_first_reason_shuts_the_gate() -> None:
    book = PauseBook()
    assert book.pause(AGENT)
    assert not book.pause(AGENT)
    assert not book.pause(CARD_DIGITS)
    assert book.state is PauseState.PAUSED


def test_recording_goes_on_when_the_last_reason_is_gone() -> None:
    book = PauseBook({AGENT, SHOP})
    assert not book.resume(Authority.OFFICER)
    assert book.reasons == {SHOP}
    assert book.resume(Authority.TOKEN, token="shop")
    assert book.state is PauseState.RECORDING


def test_a_manager_clears_all() -> None:
    book = PauseBook(set(REASONS))
    assert book.resume(Authority.MANAGER)
    assert book.reasons == set()


def test_a_refusal_names_what_holds_and_changes_nothing() -> None:
    book = PauseBook({SHOP, MANAGER})
    with pytest.raises(RefusedError, match="held by manager, payment_app:shop, which officer may not clear"):
        book.resume(Authority.OFFICER)
    assert book.reasons == {SHOP, MANAGER}


def test_a_call_begins_recording() -> None:
    assert PauseBook().state is PauseState.RECORDING


def test_resuming_what_is_not_paused_is_refused() -> None:
    with pytest.raises(RefusedError, match="not paused"):
        PauseBook().resume(Authority.MANAGER)


@pytest.mark.parametrize("final", Final)
def test_an_end_is_final(final: Final) -> None:
    book = PauseBook({AGENT})
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
