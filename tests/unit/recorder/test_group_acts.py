"""The answer to an act on several calls."""

from concurrent.futures import Future

from recorder.calls.acts import PauseAnswer
from recorder.calls.group_acts import combined
from recorder.rules.pausing import PauseState
from storage.types import RecordingId


def answer(call: str) -> PauseAnswer:
    return PauseAnswer(call=RecordingId(call), state=PauseState.PAUSED, reasons=("agent",), position_s=1.0)


def test_what_could_not_be_stored_of_one_call_is_not_acknowledged_for_the_other() -> None:
    done: list[Future[PauseAnswer]] = [Future(), Future()]
    whole = combined(done)
    done[0].set_result(answer("a"))
    assert not whole.done(), "the second recording may still be open"
    done[1].set_exception(OSError("disk full"))
    assert isinstance(whole.exception(0), OSError)


def test_the_answer_is_the_first_ones_with_the_others_beside_it_whoever_ends_first() -> None:
    done: list[Future[PauseAnswer]] = [Future(), Future(), Future()]
    whole = combined(done)
    for one, call in ((2, "c"), (0, "a"), (1, "b")):
        assert not whole.done()
        done[one].set_result(answer(call))
    said = whole.result(0).as_json()
    assert (said["call"], [one["call"] for one in said["also"]]) == ("a", ["b", "c"])
