"""The council's colour, as a stylesheet: the Content Security Policy admits no style in a page."""

from fastapi import APIRouter
from starlette.responses import Response

from recorder.web.parts import Console

router = APIRouter(include_in_schema=False)


@router.get("/brand.css")
async def brand(console: Console) -> Response:
    """Return the stylesheet with the council's colour."""
    return Response(f":root{{--council-colour:{console.deps.colour}}}\n", media_type="text/css")
