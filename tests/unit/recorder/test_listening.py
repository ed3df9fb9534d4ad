"""Which bytes a player asks for, and what the audit log is told of a listen."""

import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from recorder.common.problems import ProblemError
from recorder.web.listening import SERVED, Listen, Listens, Preview, together
from recorder.web.ranges import wanted_bytes
from storage.encoding import WAVE_HEAD_BYTES
from storage.export import Copy
from storage.types import Channels, RecordingId, Redaction

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SIZE = WAVE_HEAD_BYTES + 4 * 8000 * 100


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-", (0, 1000)),
        ("bytes=0-0", (0, 1)),
        ("bytes=100-199", (100, 200)),
        ("bytes=900-5000", (900, 1000)),
        ("bytes=-1", (999, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("bytes=-", None),
        ("bytes=200-100", None),
        ("bytes=0-1,5-6", None),
        ("bytes=a-b", None),
        ("items=0-5", None),
        ("bytes=0-" + "9" * 40, None),
        ("bytes=\u0661-", None),
    ],
)
def test_a_range_is_read_as_rfc_9110_has_it(header: str | None, wanted: tuple[int, int] | None) -> None:
    assert wanted_bytes(header, 1000) == wanted


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=5000-6000", "bytes=-0"])
def test_what_lies_outside_is_not_satisfiable(header: str) -> None:
    with pytest.raises(ProblemError) as refused:
        wanted_bytes(header, 1000)
    assert (refused.value.status, refused.value.headers) == (416, {"Content-Range": "bytes */1000"})


def test_spans_that_touch_are_one() -> None:
    assert together([(5, 9), (0, 2), (2, 3), (2.5, 4), (7, 8), (20, 20)]) == [(0, 4), (5, 9)]


class Sound:
    size_bytes = SIZE
    duration_s = 100.0


class Book:
    """What the audit log is told; ``listens`` tells it."""

    def __init__(self, settle_s: float) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.has_told = threading.Event()
        self.now = NOW
        self.listens = Listens(self._note, lambda: self.now, settle_s=settle_s)
        self.listen = Listen(
            account="ann", recording=RecordingId("r1"), reason="why", until=NOW + timedelta(minutes=30), request="q1",
            file=("digest", cast("Copy", Sound())),
        )  # fmt: skip
        self.secret = self.listens.keep(self.listen)

    def _note(self, act: str, actor: str, subject: str, details: dict[str, Any]) -> None:
        self.told.append((actor, act, subject, details))
        self.has_told.set()

    def send(self, from_s: int, to_s: int) -> Generator[bytes]:
        self.listens.begin(self.listen, lambda: None)
        seconds = (b"\0" * 32000 for _ in range(from_s, to_s))
        return self.listens.sent(self.listen, seconds, WAVE_HEAD_BYTES + from_s * 32000)


def spans(*pairs: tuple[float, float]) -> tuple[str, str, str, dict[str, Any]]:
    heard = [{"from_s": start, "to_s": end} for start, end in pairs]
    return "ann", SERVED, "r1", {"spans": heard, "request": "q1"}


def test_a_listen_is_written_down_once_whatever_the_player_asks_for() -> None:
    book = Book(settle_s=0.05)
    first = book.send(0, 50)
    for _ in range(10):
        next(first)
    second = book.send(60, 70)
    next(second)
    first.close()
    assert not book.has_told.wait(0.2), "the second is on its way"
    list(second)
    assert book.has_told.wait(5)
    assert book.told == [spans((0.0, 10.0), (60.0, 70.0))]
    book.listens.close()
    assert len(book.told) == 1, "what is written is not written again"


def test_signing_out_ends_what_somebody_may_hear_and_writes_it_down() -> None:
    book = Book(settle_s=60)
    sending = book.send(0, 50)
    next(sending)
    book.listens.close("bob")
    assert book.listens.find("ann", "r1", book.secret) is book.listen
    book.listens.close("ann")
    assert book.listens.find("ann", "r1", book.secret) is None
    assert book.told == [], "it goes on still"
    next(sending)
    sending.close()
    assert book.told == [spans((0.0, 2.0))]


def test_leave_is_for_one_person_one_recording_and_a_while() -> None:
    book = Book(settle_s=60)
    assert book.listens.find("bob", "r1", book.secret) is None
    assert book.listens.find("ann", "r2", book.secret) is None
    assert book.listens.find("ann", "r1", "guess") is None
    list(book.send(0, 1))
    book.now = book.listen.until
    assert book.listens.find("ann", "r1", book.secret) is None
    book.listens.check_room()
    assert book.told == [spans((0.0, 1.0))]


def test_nothing_is_sent_before_it_is_written_down() -> None:
    book = Book(settle_s=60)

    def fail() -> None:
        raise ProblemError(503, "The audit log cannot be written.")

    with pytest.raises(ProblemError):
        book.listens.begin(book.listen, fail)
    assert not book.listen.is_begun
    book.listens.close()
    assert book.told == []


def test_of_a_preview_the_log_is_told_what_was_silent_and_where_in_the_recording_it_was() -> None:
    both, left = (
        Redaction(start_s=start, end_s=start + 1, channels=channels)
        for start, channels in ((12.0, Channels.BOTH), (14.0, Channels.LEFT))
    )
    listen = Listen(
        account="ann", recording=RecordingId("r1"), reason="why", until=NOW, request="q1", span_s=(10.0, 20.0),
        heard=((11_000_000, 20_000_000),), preview=Preview(redactions=(both, left)),
    )  # fmt: skip
    assert listen.audible(((0, 6_000_000),)) == ((11_000_000, 12_000_000), (13_000_000, 16_000_000))
    assert listen.marks == {
        "request": "q1", "part": [[11.0, 20.0]], "preview": True, "start_s": 10.0, "end_s": 20.0,
        "redactions": [
            {"start_s": 12.0, "end_s": 13.0, "channels": "both"}, {"start_s": 14.0, "end_s": 15.0, "channels": "left"},
        ],
    }  # fmt: skip
