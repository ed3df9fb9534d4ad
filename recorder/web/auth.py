"""Identifies who sent a request: by session cookie or bearer token."""

import asyncio
import hmac
import time
from dataclasses import dataclass, replace

from starlette.requests import Request

from recorder.access.reachability import AccountsAwayError
from recorder.access.sessions import SessionKind, SignInSession
from recorder.access.tokens import TokenRefused
from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.control.http_connections import IS_KNOWN
from recorder.permissions import Actor, Application, Person
from recorder.web.admission import Admission, access_of
from recorder.web.cookies import Cookies
from recorder.web.deps import ConsoleDeps
from recorder.web.rates import RateLimits, credentials_of, kind_of
from recorder.web.recent_checks import AWAY_SENTENCE, CHECK_S, RecentChecks, goes_on_unchecked
from recorder.web.refused_tokens import RefusedTokens
from storage.answer_time import answer_within

_CHECKED_AT_ONCE = 4
"""Passwords checked at the same time: hashing is slow, and pauses need the server's threads too."""
CSRF_HEADER = "X-CSRF-Token"
_CALLER = "console_caller"
"""Name in the state of a request; a refused caller's is there too."""
SIGN_OUT = "/sign-out"
SIGN_IN_SENTENCE = "Sign in at /sign-in, or send a token as Authorization: Bearer."


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleCaller:
    """Who sent a request; ``session`` is None for a token."""

    actor: Actor
    session: SignInSession | None

    @property
    def person(self) -> Person | None:
        """The person, or None for a token."""
        return self.actor if isinstance(self.actor, Person) else None

    @property
    def csrf(self) -> str:
        """The CSRF value of this session's forms."""
        return self.session.csrf if self.session else ""


class Gatekeeper:
    """Identifies callers; every method blocks.

    Attributes:
        cookies: The console's cookies.
        turns: Limits concurrent password checks; taken before a thread is used.
    """

    def __init__(self, deps: ConsoleDeps, audit_service: AuditService, limits: RateLimits) -> None:
        self._deps = deps
        self._audit_service = audit_service
        self._limits = limits
        self._refused_tokens = RefusedTokens(audit_service, time.monotonic)
        self._admission = Admission(audit_service, lambda: deps.hearing.approvers.deputies)
        self._recent: RecentChecks[ConsoleCaller] = RecentChecks(time.monotonic)
        self.cookies = Cookies(deps)
        self.turns = asyncio.Semaphore(_CHECKED_AT_ONCE)

    def close(self) -> None:
        """Log the refused tokens that were counted but not logged yet."""
        self._refused_tokens.look(is_last=True)

    def by_session(self, request: Request, *, is_activity: bool = True) -> ConsoleCaller | None:
        """Return who is signed in in this browser, or None.

        Raises:
            ProblemError: 429, too many requests; 403, their role does not permit the route; 503, accounts cannot be
                checked, and were not lately or the route takes more than that.
        """
        self._refused_tokens.look()
        secret = request.cookies.get(self.cookies.session, "")
        try:
            with answer_within(CHECK_S):
                caller = self._of_session(secret, is_activity=is_activity)
        except AccountsAwayError as error:
            caller = self._checked_lately(secret, request, error)
        if caller is None:
            self._limits.unknown(credentials_of(request, self.cookies.session))
            return None
        return self._admitted(request, caller)

    def ended(self, caller: ConsoleCaller) -> None:
        """Note that a caller's session was ended here: it is good for nothing while accounts cannot be checked."""
        key = None if caller.session is None else caller.session.key
        self._recent.forget_all(lambda who: who.session is not None and who.session.key == key)

    def all_ended(self, account: str) -> None:
        """Note the same of all sessions of an account; one that goes on is checked by its next request."""
        self._recent.forget_all(lambda who: who.session is not None and who.session.account == account)

    def _of_session(self, secret: str, *, is_activity: bool) -> ConsoleCaller | None:
        session = self._deps.sessions.find(secret, is_activity=is_activity) if secret else None
        person = self._deps.people.find(session.account) if session else None
        actor = self._deps.sign_in.as_signed_in(person, is_proven=session.is_proven) if session and person else None
        if session is None or actor is None:
            self._recent.forget(secret)
            return None
        caller = ConsoleCaller(actor=actor, session=session)
        self._recent.note(secret, caller, for_s=min(session.idle_left_s, session.left_s))
        return caller

    def _checked_lately(self, secret: str, request: Request, error: AccountsAwayError) -> ConsoleCaller:
        """Return who had a secret when it was last checked, if that is enough for the route.

        Raises:
            ProblemError: 503, it is not enough, or too long ago.
        """
        if request.scope["path"] == SIGN_OUT:
            self._recent.forget(secret)
        caller = self._recent.get(secret)
        if caller is None or not goes_on_unchecked(request.method, access_of(request)):
            raise ProblemError(503, AWAY_SENTENCE) from error
        return caller

    def shown_to(self, request: Request) -> ConsoleCaller | None:
        """Return who sees the page of an error, or None; keeps no session alive, and permits nothing."""
        caller = getattr(request.state, _CALLER, None)
        if isinstance(caller, ConsoleCaller):
            return caller
        secret = request.cookies.get(self.cookies.session, "")
        try:
            with answer_within(CHECK_S):
                return self._of_session(secret, is_activity=False)
        except AccountsAwayError:
            return self._recent.get(secret)

    def _admitted(self, request: Request, caller: ConsoleCaller) -> ConsoleCaller:
        setattr(request.state, IS_KNOWN, True)
        setattr(request.state, _CALLER, caller)
        kind = kind_of(request.method, request.scope["path"])
        self._limits.known(caller.actor.actor, _host(request), kind, credentials_of(request, self.cookies.session))
        self._admission.check(request, caller.actor)
        return caller

    def starting(self, request: Request) -> ConsoleCaller | None:
        """Return who has given a password in this browser and must give a second factor, or None."""
        secret = request.cookies.get(self.cookies.starting)
        session = self._deps.sessions.find(secret, kind=SessionKind.STARTING) if secret else None
        person = self._deps.people.find(session.account) if session else None
        return None if person is None else ConsoleCaller(actor=replace(person, is_proven=False), session=session)

    def by_any(self, request: Request, *, is_activity: bool = True) -> ConsoleCaller:
        """Return who calls the API.

        Raises:
            ProblemError: 401, unknown; 429, too many requests; 403, as for `by_session`.
        """
        header = request.headers.get("authorization")
        if header is not None:
            return self._by_token(header, request)
        caller = self.by_session(request, is_activity=is_activity)
        if caller is None:
            raise _unauthorized(SIGN_IN_SENTENCE)
        return caller

    def _by_token(self, header: str, request: Request) -> ConsoleCaller:
        scheme, _, secret = header.partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized(SIGN_IN_SENTENCE)
        known = self._of_token(secret.strip(), request)
        if isinstance(known, TokenRefused):
            sentence = "This token is not valid: it is unknown, revoked or expired, or was sent from another network."
            self._refused_tokens.enter(known, _host(request))
            self._limits.unknown(credentials_of(request, self.cookies.session))
            raise _unauthorized(sentence)
        return self._admitted(request, ConsoleCaller(actor=known, session=None))

    def _of_token(self, secret: str, request: Request) -> Application | TokenRefused:
        host = _host(request)
        sent = f"{secret} {host}"
        try:
            with answer_within(CHECK_S):
                known = self._deps.tokens.identify(secret, host)
        except AccountsAwayError as error:
            self._checked_lately(sent, request, error)
            known = self._deps.tokens.identify_from_memory(secret, host)
            if isinstance(known, TokenRefused) and not known.name:  # another token changed since it was read
                raise ProblemError(503, AWAY_SENTENCE) from error
            return known
        if isinstance(known, Application):
            self._recent.note(sent, ConsoleCaller(actor=known, session=None))
        else:
            self._recent.forget(sent)
        return known

    def check_csrf(self, caller: ConsoleCaller, sent: str | None) -> None:
        """Check that a change with a session cookie comes from the console's own page.

        Raises:
            ProblemError: 403.
        """
        if caller.session is None:
            return  # browsers never send a token by themselves
        if not sent or not hmac.compare_digest(sent.encode(), caller.csrf.encode()):
            raise self._audit_service.refusal(
                caller.actor.actor, "csrf", "", "This form is out of date. Go back, reload the page and try again."
            )


def _host(request: Request) -> str:
    return request.client.host if request.client else ""


def _unauthorized(sentence: str) -> ProblemError:
    return ProblemError(401, sentence, headers={"WWW-Authenticate": 'Bearer realm="recorder"'})
