"""The OpenAPI description, at /api/openapi.json, for sessions and tokens."""

from typing import Any

from fastapi import APIRouter, Request

from recorder.web.api import PROBLEMS
from recorder.web.parts import ApiReader

router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.get("/openapi.json", include_in_schema=False)
def openapi(_caller: ApiReader, request: Request) -> dict[str, Any]:
    """Return the description. It is not public, because it shows what could be attacked."""
    description: dict[str, Any] = request.app.openapi()
    return description
