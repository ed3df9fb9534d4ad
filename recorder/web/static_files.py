"""The console's style sheets and scripts, read once, at addresses that change when one of them changes.

The version stands in the path, before the name of the file. A script that imports another by a relative address so gets
the one of its own version.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

MOUNT = "/static"
"""Path below which the files are."""
FOLDER = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    media_type: str
    etag: str


class StaticFiles:
    """ASGI application of static files, below `MOUNT`.

    A file is served at ``/static/VERSION/NAME``, which a browser may keep for good, and at ``/static/NAME``. At the
    address of another version, from a page of before an upgrade or of another machine, the file of now is served;
    only `is_of_now` tells which addresses may be kept.

    Args:
        contents: Content of each file by its name, ``vendor/x.js`` for one in a folder.
    """

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        together = "".join(f"{digests[name]} {name}\n" for name in sorted(contents))
        version = hashlib.sha256(together.encode()).hexdigest()[:16]
        self.base = f"{MOUNT}/{version}"
        self._files = {
            name: _File(content, _TYPES.get(Path(name).suffix, "text/plain"), f'"{digests[name][:32]}"')
            for name, content in contents.items()
        }

    def is_of_now(self, path: str) -> bool:
        """Tell whether a path has the version of now: what is there never changes."""
        return path.startswith(f"{self.base}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            HTTPException: 404 or 405.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405)
        path = str(scope["path"]).removeprefix(f"{MOUNT}/")
        first, _, rest = path.partition("/")
        file = self._files.get(rest if _is_version(first) else path)
        if file is None:
            raise HTTPException(404)
        headers = {"ETag": file.etag}
        if file.etag in _etags(Headers(scope=scope).get("if-none-match", "")):
            response = Response(status_code=304, headers=headers)
        else:
            response = Response(file.content, headers=headers, media_type=file.media_type)
        await response(scope, receive, send)


def _is_version(part: str) -> bool:
    return len(part) == 16 and set(part) <= set("0123456789abcdef")


def _etags(sent: str) -> set[str]:
    """Return the tags that a browser has; a proxy that compresses marks them as weak."""
    return {one.strip().removeprefix("W/") for one in sent.split(",")}


@lru_cache(maxsize=1)
def static_files() -> StaticFiles:
    """Return the files as they were when they were first asked for; an upgrade is served after a restart."""
    return StaticFiles(
        {str(path.relative_to(FOLDER)): path.read_bytes() for path in sorted(FOLDER.rglob("*")) if path.is_file()}
    )
