"""Problem documents (RFC 9457): how every error of our HTTP interfaces looks.

Used by the console and by the daemon's socket. Nothing of the inside (a traceback, a path, what was sent) goes out.
"""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from storage.errors import DatabaseError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MAX_COMPLAINTS = 5


class ProblemError(Exception):
    """An answer that is an error; raise it anywhere below a route.

    Args:
        status: HTTP status, in [400, 599].
        detail: One sentence for a person: what is wrong and what to do next.
        title: Short and the same for every occurrence; by default the status in words.
        headers: Extra headers, such as WWW-Authenticate or Retry-After.
        extra: Extension members of the document (RFC 9457 section 3.2).
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str | None = None,
        headers: dict[str, str] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.title = title or HTTPStatus(status).phrase
        self.headers = headers or {}
        self.extra = extra or {}

    def document(self) -> dict[str, Any]:
        """Return the JSON members (RFC 9457 section 3.1); ``type`` is about:blank, so it is left out."""
        return {**self.extra, "title": self.title, "status": self.status, "detail": self.detail}


def response(problem: ProblemError) -> JSONResponse:
    """Return the HTTP answer of a problem."""
    return JSONResponse(
        problem.document(), status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers or None
    )


def from_validation(error: RequestValidationError) -> ProblemError:
    """Turn what FastAPI found wrong into one sentence; values that were sent are not repeated."""
    complaints = [f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'}: {e['msg']}" for e in error.errors()]
    return ProblemError(422, "; ".join(complaints[:_MAX_COMPLAINTS]) + ".")


def from_http(error: HTTPException) -> ProblemError:
    """Turn a plain HTTP error (404, 405) into a problem."""
    return ProblemError(error.status_code, str(error.detail), headers=dict(error.headers or {}))


def bug(request: Request, error: Exception) -> ProblemError:
    """Log a bug once, without query string, and return what the caller may know of it."""
    logger.error("failed: %s %s", request.method, request.scope["path"], exc_info=error)
    return ProblemError(500, "The recorder failed to answer this; its log says why.")


def install(app: FastAPI, respond: Callable[[Request, ProblemError], Response] | None = None) -> None:
    """Make every error of an application a problem.

    Args:
        app: The application.
        respond: Turns a problem into an answer; by default its document.
    """

    def answer(request: Request, problem: ProblemError) -> Response:
        return response(problem) if respond is None else respond(request, problem)

    def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return answer(request, error)

    def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, from_validation(error))

    def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(request, from_http(error))

    def on_bug(request: Request, error: Exception) -> Response:
        return answer(request, bug(request, error))

    def on_database(request: Request, error: Exception) -> Response:
        logger.error("%s", error)
        return answer(request, ProblemError(503, "The database does not answer; try again in a minute."))

    app.add_exception_handler(ProblemError, on_problem)
    app.add_exception_handler(DatabaseError, on_database)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)
