"""Routes of the daemon's socket whose functions are methods of objects of a daemon.

They are made when their module is loaded, and find the object when they are called. FastAPI reads signatures and builds
validators for each route, so to make them for each daemon took a third of its start.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.routing import BaseRoute

Method = Callable[..., Awaitable[Any]]


def routes_of(part: type, table: Iterable[tuple[str, str, Method]]) -> list[BaseRoute]:
    """Return routes of the methods of a class.

    Args:
        part: The class.
        table: HTTP method, path and method of the class for each route, in the order in which they are tried.
    """
    router = APIRouter()
    for http_method, path, method in table:
        router.add_api_route(path, _endpoint(part, method), methods=[http_method])
    return router.routes


def serve(app: FastAPI, parts: Iterable[object]) -> None:
    """Let the routes of an application find their objects, one of each class."""
    app.state.parts = {type(part): part for part in parts}


def _endpoint(part: type, method: Method) -> Method:
    """Return a function for FastAPI with the method's parameters; the request takes the place of ``self``."""

    @wraps(method)
    async def endpoint(_request: Request, **given: Any) -> Any:  # noqa: ANN401 - what the method takes and returns
        return await method(_request.app.state.parts[part], **given)

    signature = inspect.signature(method)
    _self, *others = signature.parameters.values()
    request = inspect.Parameter("_request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)
    endpoint.__signature__ = signature.replace(parameters=[request, *others])  # type: ignore[attr-defined]
    return endpoint
