"""Builds the console's application."""

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from recorder.access.account_key import AccountKeyError
from recorder.access.accounts import People, usable_people
from recorder.access.openid.starts import Starts
from recorder.access.reachability import AccountsAwayError
from recorder.audit.audit_service import AuditService
from recorder.common import problem_answers
from recorder.common.problems import ProblemError
from recorder.common.web import application, patterns_of
from recorder.control.client import SERVICE
from recorder.permissions import Role
from recorder.web import (
    absence_pages,
    account_pages,
    agent_forgot_pages,
    agent_pages,
    api,
    assurance_pages,
    audit_pages,
    brand_routes,
    case_adding_pages,
    case_letter_pages,
    case_opening_pages,
    case_pages,
    case_recording_pages,
    case_routes,
    case_task_pages,
    case_transcript_pages,
    erasure_list_pages,
    erasure_pages,
    erasure_routes,
    health_routes,
    hold_list_pages,
    hold_pages,
    hold_routes,
    letter_pages,
    live_pages,
    live_routes,
    notice_pages,
    notification_pages,
    openapi_routes,
    openid_pages,
    opt_out_pages,
    opt_out_routes,
    overview_pages,
    pages,
    proposal_pages,
    recording_pages,
    report_pages,
    request_pages,
    request_routes,
    right_pages,
    session_routes,
    sign_in_pages,
    system_pages,
    user_pages,
)
from recorder.web.auth import Gatekeeper
from recorder.web.board import Board
from recorder.web.daemon_access import DaemonAccess
from recorder.web.deps import ConsoleDeps
from recorder.web.last_calls import LastCalls
from recorder.web.live_call_service import LiveCallService
from recorder.web.middleware import Guard, security_headers
from recorder.web.opt_out_service import OptOutService
from recorder.web.parts import ConsoleParts, SignInNeededError, page_to_return_to
from recorder.web.pulse import Pulse
from recorder.web.rates import RateLimits
from recorder.web.recent_checks import AWAY_SENTENCE
from recorder.web.recording_service import RecordingService
from recorder.web.render import Renderer
from recorder.web.route_access import check_routes
from recorder.web.sign_on_service import SignOnService
from recorder.web.static_files import MOUNT, static_files
from recorder.web.watchers import Watchers

_log = logging.getLogger(__name__)
_TITLES = {
    403: "You do not have permission to do that",
    404: "Page not found",
    409: "That cannot be done",
    429: "Too many requests at once",
    503: "Not possible at the moment",
}
_NO_CODES = (
    "The key that seals authenticators is missing or has changed, so codes cannot be checked. Ask ICT to look at the "
    "console's log, which says what to do."
)

_ROUTERS = (
    live_routes.router,
    opt_out_routes.router,
    api.router,
    erasure_routes.router,
    health_routes.router,
    hold_routes.router,
    request_routes.router,
    session_routes.router,
    openapi_routes.router,
    sign_in_pages.router,
    account_pages.router,
    openid_pages.router,
    user_pages.router,
    proposal_pages.router,
    opt_out_pages.router,  # before the acts on a call by name
    live_pages.router,
    agent_forgot_pages.router,
    agent_pages.router,
    pages.router,
    erasure_list_pages.router,
    recording_pages.router,
    erasure_pages.router,
    hold_list_pages.router,
    hold_pages.router,
    request_pages.router,
    absence_pages.router,
    case_adding_pages.router,
    case_opening_pages.router,  # before the case pages: "new" is no case
    case_pages.router,
    case_task_pages.router,
    case_recording_pages.router,
    case_letter_pages.router,
    case_transcript_pages.router,
    case_routes.router,
    notification_pages.router,
    right_pages.router,
    letter_pages.router,
    report_pages.router,
    assurance_pages.router,
    audit_pages.router,
    system_pages.router,
    notice_pages.router,
    overview_pages.router,
    brand_routes.router,
)


def create_app(deps: ConsoleDeps) -> FastAPI:
    """Return the console as an ASGI application: pages at /, the API and its OpenAPI at /api/.

    Args:
        deps: Dependencies; the caller closes them after the application.

    Raises:
        UnlistedError: A route is missing in `recorder.web.route_access`.
    """
    limits = RateLimits(deps.rates)
    renderer = Renderer(deps)
    app = application(
        title="Council call recorder",
        description="Live calls and recordings. Errors are problem documents (RFC 9457).",
        version="1",
        openapi_url=None,
        # Not include_router, which copies every route: a quarter of a second of CPU.
        routes=[route for router in _ROUTERS for route in router.routes],
    )
    app.state.parts = _parts(deps, limits, renderer)
    app.mount(MOUNT, static_files(), name="static")
    check_routes(patterns_of(app.routes))
    app.add_middleware(
        Guard, is_tls=deps.is_tls, limits=limits, connections=deps.connection_limits, tallies=deps.tallies
    )
    _answer_problems(app, renderer, app.state.parts, security_headers(is_tls=deps.is_tls))
    return app


def _parts(deps: ConsoleDeps, limits: RateLimits, renderer: Renderer) -> ConsoleParts:
    shared, pulse = deps.hearing.audit_service, Pulse(deps.beats)
    audit_service = AuditService(audit=shared.audit, late=shared.late)
    daemon = DaemonAccess(deps.live, audit_service)
    live = LiveCallService(daemon, managed=deps.managed, now=deps.now)
    return ConsoleParts(
        deps=deps,
        audit_service=audit_service,
        live=live,
        last_calls=LastCalls(deps, audit_service),
        opt_outs=OptOutService(daemon, live),
        sign_ons=SignOnService(daemon),
        recording_service=RecordingService(deps, audit_service),
        gate=Gatekeeper(deps, audit_service, limits),
        renderer=renderer,
        pulse=pulse,
        board=Board(pulse, partial(deps.live.calls, actor=SERVICE)),
        starts=Starts(time.monotonic),
        watchers=Watchers(),
        proving=asyncio.Semaphore(1),
        printing=asyncio.Semaphore(1),
    )


def _address_of(request: Request) -> str:
    """Return path and query of a request as they came; not from request.url, for the reason below."""
    path, query = (bytes(request.scope[name] or b"").decode("latin-1") for name in ("raw_path", "query_string"))
    return f"{path}?{query}" if query else path


def _administrators(people: People) -> list[str]:
    """Return the names of those who give roles; empty while the accounts are away."""
    try:
        return sorted(one.display_name for one in usable_people(people) if Role.ADMIN in one.roles)
    except AccountsAwayError:
        return []


def _answer_problems(app: FastAPI, renderer: Renderer, parts: ConsoleParts, headers: Mapping[str, str]) -> None:
    """Answer every error: by a problem document below /api, by a page elsewhere.

    The page has the navigation of who is signed in; an error of ours or of the database asks nobody who that is.
    """
    gate = parts.gate

    def respond(request: Request, problem: ProblemError) -> Response:
        answer: Response
        # Not request.url: Python caches parsed URLs, with the numbers in their queries.
        if request.scope["path"].startswith("/api"):
            answer = problem_answers.response(problem)
        else:
            title = _TITLES.get(problem.status, problem.title)
            caller = None if problem.status >= 500 else gate.shown_to(request)
            askable = _administrators(parts.deps.people) if problem.lacks_role and caller is not None else []
            answer = renderer.page(
                "error.html", caller, status=problem.status, title=title, detail=problem.detail, askable=askable
            )
            answer.headers.update(problem.headers)
        answer.headers.update(headers)  # the answer to an internal error does not pass the guard
        return answer

    def on_sign_in_needed(request: Request, _error: Exception) -> Response:
        answer = RedirectResponse("/sign-in", 303)
        if request.method == "GET" and (wanted := page_to_return_to(app, _address_of(request))):
            gate.cookies.set_wanted(answer, wanted)
        return answer

    def on_account_key(request: Request, error: Exception) -> Response:
        _log.error("%s", error)
        return respond(request, ProblemError(503, _NO_CODES))

    def on_away(request: Request, error: Exception) -> Response:
        _log.error("%s", error)
        return respond(request, ProblemError(503, AWAY_SENTENCE))

    problem_answers.install(app, respond)
    app.add_exception_handler(AccountsAwayError, on_away)
    app.add_exception_handler(SignInNeededError, on_sign_in_needed)
    app.add_exception_handler(AccountKeyError, on_account_key)
