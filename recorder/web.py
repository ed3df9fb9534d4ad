"""What the daemon's socket and the console have in common as web applications."""

from typing import Any

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""Addresses of searches hold numbers, bodies of acts reasons: no variable of the environment has them sent away."""


def application(**options: Any) -> FastAPI:  # noqa: ANN401 - FastAPI's own options
    """Return an application that tells nobody of its requests, and has no page that loads scripts from elsewhere."""
    return FastAPI(docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY, **options)
