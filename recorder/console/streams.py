"""Answers that are made while they are sent: events and audio."""

from collections.abc import AsyncIterator

from fastapi.responses import StreamingResponse

from recorder.console.deps import AudioFile
from recorder.live_client import DaemonRefusedError, DaemonUnavailableError
from recorder.problems import ProblemError


def download(audio: AudioFile, recording_id: str) -> StreamingResponse:
    """Return a copy as a file to save. The id was found in the index, so it is safe in a header."""
    name = f"{recording_id}.{audio.suffix}"
    return StreamingResponse(
        audio.chunks,
        media_type=audio.media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def event_stream(source: AsyncIterator[bytes]) -> StreamingResponse:
    """Return server-sent events once the first has come, so that a daemon that is away is an error and no stream.

    Raises:
        ProblemError: 504: the daemon does not answer; 502: it refused.
    """
    try:
        first = await anext(source, b"")
    except DaemonUnavailableError as error:
        raise ProblemError(504, str(error), title="Not confirmed", extra={"state": "not_confirmed"}) from error
    except DaemonRefusedError as error:
        raise ProblemError(502, str(error)) from error

    async def rest() -> AsyncIterator[bytes]:
        yield first
        try:
            async for chunk in source:
                yield chunk
        except (DaemonUnavailableError, DaemonRefusedError):
            return  # the browser connects again, and is told then

    return StreamingResponse(rest(), media_type="text/event-stream")


async def changes(source: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Say that something changed, not what: the page then asks for the rows that this person may see."""
    yield b"data: changed\n\n"
    async for chunk in source:
        yield b"data: changed\n\n" if b"data:" in chunk else b": still here\n\n"
