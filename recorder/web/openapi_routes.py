"""What the API can do, under /api/openapi.json: for whoever is signed in, or has a good token."""

from typing import Any

from fastapi import APIRouter, Request

from recorder.web.api import PROBLEMS
from recorder.web.parts import ApiReader

router = APIRouter(prefix="/api", responses=PROBLEMS)


@router.get("/openapi.json", include_in_schema=False)
def openapi(_caller: ApiReader, request: Request) -> dict[str, Any]:
    """Return the description; it is nobody's business what a stranger could try here."""
    description: dict[str, Any] = request.app.openapi()
    return description
