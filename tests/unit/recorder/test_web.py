"""Nothing of a request is sent away: the framework's own telemetry is off, whatever the environment says."""

import asyncio
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx2
import opentelemetry.trace
import pytest
from fastapi import FastAPI
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider

from recorder.common.web import application

RECORDER = Path(__file__).parents[3] / "recorder"
PATH = "/api/recordings?number=01632960001"


class Listening(TracerProvider):
    """What somebody's agent puts into a process to be told of every request."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_tracer(self, instrumenting_module_name: str, *_: Any, **__: Any) -> Tracer:
        self.asked.append(instrumenting_module_name)
        return NoOpTracer()


def told(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have an application answer a request, and return who asked to trace it."""
    provider = Listening()
    monkeypatch.setattr(opentelemetry.trace, "get_tracer_provider", lambda: provider)

    @app.get("/api/recordings")
    def recordings(number: str) -> str:
        return number

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://recorder") as client:
            return await client.get(PATH)

    assert asyncio.run(ask()).json() == "01632960001"
    return provider.asked


def started(app: FastAPI) -> list[str]:
    """Start and stop an application as a server does; return what it answers."""
    steps = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    answers: list[str] = []

    async def receive() -> MutableMapping[str, Any]:
        return next(steps)

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message["type"])

    asyncio.run(app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send))
    return answers


def test_nobody_is_told_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(application(), monkeypatch) == []


def test_the_framework_left_alone_would_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(FastAPI(), monkeypatch) == ["fastapi"]


def test_the_environment_turns_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://192.0.2.1:4318")
    assert started(application()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_no_application_is_made_elsewhere() -> None:
    makers = [path.name for path in sorted(RECORDER.rglob("*.py")) if re.search(r"\bFastAPI\(", path.read_text())]
    assert makers == ["web.py"]
