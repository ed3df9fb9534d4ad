"""Streams of events of the console: how many somebody may have open, and what ends one."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from recorder.common.problems import ProblemError
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.web import watchers
from recorder.web.watchers import MOST_STREAMS, Watchers


async def events(*words: bytes, error: Exception | None = None) -> AsyncGenerator[bytes]:
    for word in words:
        yield word
    if error is not None:
        raise error


async def endless(ended: list[str]) -> AsyncGenerator[bytes]:
    try:
        yield b"first"
        await asyncio.Event().wait()
    finally:
        ended.append("source")


async def read(
    open_streams: Watchers, source: AsyncGenerator[bytes], *, ask: Callable[[], object] | None = None
) -> bytes:
    """Return the body of a stream, sent to its end."""
    body = b""

    async def asked() -> None:
        if ask is not None:
            ask()

    async def receive() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: object) -> None:
        nonlocal body
        assert isinstance(message, dict)
        body += message.get("body", b"")

    answer = await open_streams.stream("ann", source, ask=None if ask is None else asked)
    await answer({"type": "http"}, receive, send)
    return body


@pytest.mark.parametrize("error", [None, DaemonUnavailableError("away"), DaemonRefusedError(500, {})])
def test_a_stream_is_passed_on_until_the_daemon_ends_it_however_it_does(error: Exception | None) -> None:
    assert asyncio.run(read(Watchers(), events(b"one ", b"two", error=error))) == b"one two"


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (DaemonUnavailableError("The daemon is away."), 504, "The daemon is away."),
        (DaemonRefusedError(403, {"detail": "It may not."}), 502, "It may not."),
    ],
)
def test_a_daemon_that_does_not_begin_is_an_error_and_no_stream(error: Exception, status: int, says: str) -> None:
    with pytest.raises(ProblemError, match=says) as problem:
        asyncio.run(Watchers().stream("ann", events(error=error)))
    assert problem.value.status == status


def test_one_stream_more_than_may_be_is_refused_until_one_of_them_is_over() -> None:
    async def steps() -> None:
        open_streams = Watchers()
        for _ in range(MOST_STREAMS):
            with pytest.raises(RuntimeError):
                await open_streams.stream("ann", events(error=RuntimeError()))
        answers = [await open_streams.stream("ann", events(b"x")) for _ in range(MOST_STREAMS)]
        with pytest.raises(ProblemError, match="streams of events open") as problem:
            await open_streams.stream("ann", events(b"x"))
        assert problem.value.status == 429
        await open_streams.stream("bob", events(b"x"))

        async def silent(*_: object) -> None:
            await asyncio.sleep(0)

        async def gone() -> dict[str, str]:
            return {"type": "http.disconnect"}

        await answers[0]({"type": "http"}, gone, silent)
        await open_streams.stream("ann", events(b"x"))

    asyncio.run(steps())


def test_a_stream_ends_when_whoever_reads_may_watch_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchers, "LOOK_EVERY_S", 0.0)
    ended: list[str] = []
    looks = iter([None, None])

    def ask() -> None:
        if next(looks, "no more") is not None:
            raise ProblemError(401, "signed out")

    async def steps() -> bytes:
        return await asyncio.wait_for(read(Watchers(), endless(ended), ask=ask), 5)

    assert asyncio.run(steps()) == b"first"
    assert ended == ["source"]


def test_a_stream_that_is_looked_at_ends_with_its_source() -> None:
    assert asyncio.run(read(Watchers(), events(b"one ", b"two"), ask=lambda: None)) == b"one two"
