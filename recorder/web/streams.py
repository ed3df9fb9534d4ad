"""Streamed responses of audio."""

from collections.abc import Mapping

from anyio import CancelScope
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from recorder.web.deps import AudioFile
from recorder.web.sounds import Sound


class SoundResponse(StreamingResponse):
    """Audio that is made while it is sent. If the client disconnects, it stops at once and the end is logged."""

    def __init__(self, audio: AudioFile, *, headers: Mapping[str, str], status: int = 200) -> None:
        super().__init__(audio.chunks, status_code=status, media_type=audio.media_type, headers=headers)
        self._chunks = audio.chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; see Starlette."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                with CancelScope(shield=True):
                    await run_in_threadpool(close)


def played(sound: Sound) -> StreamingResponse:
    """Return the response to a player (RFC 9110 section 14)."""
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(sound.end - sound.first)}
    if sound.is_part:
        headers["Content-Range"] = f"bytes {sound.first}-{sound.end - 1}/{sound.size}"
    return SoundResponse(sound.audio, headers=headers, status=206 if sound.is_part else 200)


def download(audio: AudioFile, recording_id: str) -> StreamingResponse:
    """Return a copy as a download. The id comes from the index, so it is safe in a header."""
    name = f"{recording_id}.{audio.suffix}"
    return SoundResponse(audio, headers={"Content-Disposition": f'attachment; filename="{name}"'})
