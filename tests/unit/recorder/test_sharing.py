"""What many pages ask for at once is fetched once, and nobody gets what was known before they asked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from recorder.web.sharing import Shared
from tests.helpers.recorder_home import eventually


def test_whoever_asks_while_another_is_answered_gets_a_newer_answer_once_for_all() -> None:
    go_on, has_begun = threading.Semaphore(0), threading.Semaphore(0)
    fetched: list[int] = []

    def fetch() -> int:
        fetched.append(len(fetched))
        has_begun.release()
        assert go_on.acquire(timeout=10)
        return fetched[-1]

    shared = Shared(fetch)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(shared.get)
        assert has_begun.acquire(timeout=10)
        later = [pool.submit(shared.get) for _ in range(5)]
        eventually(lambda: shared._next is not None, "somebody waits for the next answer")
        go_on.release()
        assert first.result(10) == 0
        go_on.release(6)
        assert min(one.result(10) for one in later) >= 1, "none is older than the question"
    assert len(fetched) <= 3, "five who ask at once cost one answer, or two if one of them was slow to ask"


def test_what_goes_wrong_is_told_to_all_and_the_next_is_asked_anew() -> None:
    answers: Iterator[ValueError | int] = iter([ValueError("not there"), 7])

    def fetch() -> int:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    shared = Shared(fetch)
    with pytest.raises(ValueError, match="not there"):
        shared.get()
    assert shared.get() == 7
