"""The console's components, and FastAPI dependencies that identify the caller of pages and API."""

import asyncio
import re
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import unquote

from fastapi import Depends, Form, Header, Request
from fastapi.routing import APIRoute
from starlette.applications import Starlette
from starlette.routing import Match

from recorder.access.openid.starts import Starts
from recorder.audit.audit_service import AuditService
from recorder.web.auth import CSRF_HEADER, ConsoleCaller, Gatekeeper
from recorder.web.board import Board
from recorder.web.deps import ConsoleDeps
from recorder.web.last_calls import LastCalls
from recorder.web.live_call_service import LiveCallService
from recorder.web.opt_out_service import OptOutService
from recorder.web.pulse import Pulse
from recorder.web.recording_service import RecordingService
from recorder.web.render import Renderer
from recorder.web.sign_on_service import SignOnService
from recorder.web.watchers import Watchers

Text = Annotated[str, Form(max_length=1000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleParts:
    """The components of one console, stored as ``app.state.parts``.

    Attributes:
        proving: Lets one chain of custody be verified at a time; taken before a thread is used.
        printing: Lets one letter be typeset at a time, likewise.
    """

    deps: ConsoleDeps
    audit_service: AuditService
    live: LiveCallService
    last_calls: LastCalls
    opt_outs: OptOutService
    sign_ons: SignOnService
    recording_service: RecordingService
    gate: Gatekeeper
    renderer: Renderer
    pulse: Pulse
    board: Board
    starts: Starts
    watchers: Watchers
    proving: asyncio.Semaphore
    printing: asyncio.Semaphore


class SignInNeededError(Exception):
    """Nobody is signed in in this browser; the response is the sign-in page."""


async def parts_of(request: Request) -> ConsoleParts:
    """Return the console of a request. Async, because FastAPI runs other dependencies on a thread."""
    parts = request.app.state.parts
    assert isinstance(parts, ConsoleParts)
    return parts


Console = Annotated[ConsoleParts, Depends(parts_of)]


def signed_in(request: Request, parts: ConsoleParts, *, is_activity: bool) -> ConsoleCaller:
    """Return who is signed in in this browser.

    Raises:
        SignInNeededError: Nobody is.
    """
    caller = parts.gate.by_session(request, is_activity=is_activity)
    if caller is None:
        raise SignInNeededError
    return caller


_LONGEST_ADDRESS = 1000
"""Characters of an address that is kept for after the sign-in; percent-encoded it fits into a cookie."""
_STRANGE = re.compile(r"[^!-~]|\\")
"""What a browser could read otherwise than we do: control characters, blanks, backslashes, other alphabets."""


def page_to_return_to(app: Starlette, address: str) -> str:
    """Return the address of a page of this console, to which a person may be led after signing in; else "".

    Only a path with its query, so never another site: no address with a scheme or a host, no backslash, no empty folder
    and none of dots. Only pages that are shown with GET to who is signed in: nothing of the API, no audio, nothing that
    scripts ask for.

    Args:
        app: The console.
        address: From a browser; anything.
    """
    path = address.partition("?")[0]
    folders = path.split("/")[1:]
    is_path = address.startswith("/") and len(address) <= _LONGEST_ADDRESS and not _STRANGE.search(address)
    if not is_path or {"", ".", ".."} & {unquote(one) for one in folders}:
        return ""
    scope = {"type": "http", "method": "GET", "path": unquote(path), "root_path": "", "headers": []}
    found = next((route for route in app.routes if route.matches(scope)[0] is Match.FULL), None)
    return address if isinstance(found, APIRoute) and _is_page(found) else ""


def _is_page(route: APIRoute) -> bool:
    needs = {one.call for one in route.dependant.dependencies}
    return _page_reader in needs and not route.path.startswith("/api") and "{secret}" not in route.path


def _api_reader(request: Request, parts: Console) -> ConsoleCaller:
    return parts.gate.by_any(request)


def _page_reader(request: Request, parts: Console) -> ConsoleCaller:
    return signed_in(request, parts, is_activity=True)


def _page_watcher(request: Request, parts: Console) -> ConsoleCaller:
    return signed_in(request, parts, is_activity=False)


def _page_changer(request: Request, parts: Console, csrf: Text = "") -> ConsoleCaller:
    caller = signed_in(request, parts, is_activity=True)
    parts.gate.check_csrf(caller, csrf)
    return caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Knock:
    """An act requested through the API, whose caller is identified on the thread that does the act.

    Each FastAPI dependency on a thread costs two thread switches, too much for a pause.
    """

    request: Request
    parts: ConsoleParts
    csrf: str | None

    def caller(self) -> ConsoleCaller:
        """Return the caller; blocks.

        Raises:
            ProblemError: 401, unknown; 403, not from the console's own page.
        """
        caller = self.parts.gate.by_any(self.request)
        self.parts.gate.check_csrf(caller, self.csrf)
        return caller


async def _knock(
    request: Request, parts: Console, token: Annotated[str | None, Header(alias=CSRF_HEADER)] = None
) -> Knock:
    return Knock(request=request, parts=parts, csrf=token)


def _api_changer(knock: Annotated[Knock, Depends(_knock)]) -> ConsoleCaller:
    return knock.caller()


ApiReader = Annotated[ConsoleCaller, Depends(_api_reader)]
"""Session or token."""
ApiChanger = Annotated[ConsoleCaller, Depends(_api_changer)]
"""Session with the CSRF header, or token."""
ApiKnock = Annotated[Knock, Depends(_knock)]
"""Session with the CSRF header, or token, not identified yet."""
PageReader = Annotated[ConsoleCaller, Depends(_page_reader)]
"""Session, which this request keeps alive."""
PageWatcher = Annotated[ConsoleCaller, Depends(_page_watcher)]
"""Session of an automatic request, which does not keep it alive."""
PageChanger = Annotated[ConsoleCaller, Depends(_page_changer)]
"""Session with the form's CSRF field."""
