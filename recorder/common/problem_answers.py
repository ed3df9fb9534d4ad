"""Turns errors into HTTP responses with problem documents (RFC 9457).

Used by the console and the daemon's socket. Nothing internal is sent: no traceback, no path, no input.
"""

import logging
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from recorder.common.known_values import fault_of
from recorder.common.problems import ProblemError
from storage.errors import DatabaseError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_MAX_COMPLAINTS = 5


def response(problem: ProblemError) -> JSONResponse:
    """Return the HTTP response of a problem."""
    return JSONResponse(
        problem.document(), status_code=problem.status, media_type=MEDIA_TYPE, headers=problem.headers or None
    )


def from_validation(error: RequestValidationError) -> ProblemError:
    """Turn FastAPI's findings into one sentence, without the values that were sent."""
    complaints = [f"{'.'.join(str(part) for part in e['loc'][1:]) or 'body'} {fault_of(e)}" for e in error.errors()]
    return ProblemError(422, "; ".join(complaints[:_MAX_COMPLAINTS]) + ".")


def from_http(error: HTTPException) -> ProblemError:
    """Turn a plain HTTP error (404, 405) into a problem."""
    return ProblemError(error.status_code, str(error.detail), headers=dict(error.headers or {}))


def bug(request: Request, error: Exception) -> ProblemError:
    """Log an internal error once, without query string, and return what the client may know."""
    logger.error("Internal error: %s %s", request.method, request.scope["path"], exc_info=error)
    return ProblemError(500, "The recorder failed with an internal error; see its log.")


def install(app: FastAPI, respond: Callable[[Request, ProblemError], Response] | None = None) -> None:
    """Turn every error of an application into a problem.

    Args:
        app: The application.
        respond: Turns a problem into a response; by default its document.
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
