"""An application that is asked without a server: one request in, status, headers and body out."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; of a stream its beginning."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


async def ask(
    app: ASGIApp, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b""
) -> Answer:
    """Ask an application; a stream of events is left as soon as its first words are there."""
    path, _, query = path.partition("?")
    sent = {"host": "console", "content-length": str(len(body)), **(headers or {})}
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 4711), "server": ("console", 80), "state": {},
    }  # fmt: skip
    coming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    over = asyncio.Event()
    start: Message = {}
    chunks: list[bytes] = []

    async def receive() -> Message:
        if coming:
            return coming.pop()
        await over.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        chunks.append(message.get("body", b""))
        if not message.get("more_body") or b"event-stream" in dict(start["headers"]).get(b"content-type", b""):
            over.set()

    await app(scope, receive, send)
    fields = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], fields, b"".join(chunks))
