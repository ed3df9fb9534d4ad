"""Answers that are made while they are sent: audio."""

from collections.abc import Mapping

from anyio import CancelScope
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from recorder.web.deps import AudioFile
from recorder.web.recording_service import Sound


class SoundResponse(StreamingResponse):
    """Sound that is made while it is sent: when the receiver goes away its making ends and is written down at once."""

    def __init__(self, audio: AudioFile, *, headers: Mapping[str, str], status: int = 200) -> None:
        super().__init__(audio.chunks, status_code=status, media_type=audio.media_type, headers=headers)
        self._chunks = audio.chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; see Starlette."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            close = getattr(self._chunks, "close", None)
            if close is not None:
                with CancelScope(shield=True):
                    await run_in_threadpool(close)


def played(sound: Sound) -> StreamingResponse:
    """Return what a player asked for, as RFC 9110 section 14 has it."""
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(sound.end - sound.first)}
    if sound.is_part:
        headers["Content-Range"] = f"bytes {sound.first}-{sound.end - 1}/{sound.size}"
    return SoundResponse(sound.audio, headers=headers, status=206 if sound.is_part else 200)


def download(audio: AudioFile, recording_id: str) -> StreamingResponse:
    """Return a copy as a file to save. The id was found in the index, so it is safe in a header."""
    name = f"{recording_id}.{audio.suffix}"
    return SoundResponse(audio, headers={"Content-Disposition": f'attachment; filename="{name}"'})
