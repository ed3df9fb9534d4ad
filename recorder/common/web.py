"""Shared parts of the daemon's socket and the console as web applications."""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute, Mount, Route

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""Search URLs contain phone numbers and bodies contain reasons, so no environment variable may export them."""


def application(**options: Any) -> FastAPI:  # noqa: ANN401 - FastAPI's own options
    """Return an application without telemetry, and without pages that load scripts from elsewhere."""
    return FastAPI(docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY, **options)


def patterns_of(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Yield method and path pattern of every route; for a mount, its path."""
    for route in routes:
        if isinstance(route, Mount):
            yield f"GET {route.path}"
        elif isinstance(route, Route):
            yield from (f"{method} {route.path}" for method in sorted(route.methods or ()) if method != "HEAD")
        else:
            yield repr(route)
