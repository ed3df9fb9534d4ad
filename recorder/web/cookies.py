"""The console's cookies: their names, and how they are set."""

from datetime import timedelta
from typing import Literal
from urllib.parse import quote

from starlette.responses import Response

from recorder.access.openid.starts import WAIT_S
from recorder.access.sessions import STARTING_FOR
from recorder.web.deps import ConsoleDeps
from recorder.web.rates import session_cookie

_LONGEST_CALL = timedelta(hours=12)


class Cookies:
    """Names, sets and deletes cookies.

    Attributes:
        session: Name of the session cookie.
        sign_in: Name of the cookie that ties the sign-in form to a browser.
        starting: Name of the cookie of a browser that has given a password only.
        openid: Name of the cookie of a browser that is sent to the OpenID provider.
        wanted: Name of the cookie with the page that a person wanted when they were asked to sign in.
    """

    def __init__(self, deps: ConsoleDeps) -> None:
        self._deps = deps
        self.session = session_cookie(is_tls=deps.is_tls)
        self.sign_in, self.starting = f"{self.session}-sign-in", f"{self.session}-starting"
        self.openid, self.wanted = f"{self.session}-openid", f"{self.session}-wanted"

    def set_session(self, response: Response, secret: str) -> None:
        """Set the session cookie. The server decides when the session ends: a call may extend it."""
        longest = self._deps.sign_in.limits.longest + _LONGEST_CALL
        self._set(response, self.session, secret, int(longest.total_seconds()))

    def set_starting(self, response: Response, secret: str) -> None:
        """Set the cookie of the session for the second factor."""
        self._set(response, self.starting, secret, int(STARTING_FOR.total_seconds()))

    def set_sign_in(self, response: Response, secret: str) -> None:
        """Set the cookie that ties the sign-in form to this browser."""
        self._set(response, self.sign_in, secret, 3600)

    def set_openid(self, response: Response, secret: str) -> None:
        """Set the cookie that ties the OpenID provider's answer to this browser.

        Lax: the provider's page leads back here, and browsers send no Strict cookies after a page of another site.
        """
        self._set(response, self.openid, secret, WAIT_S, samesite="lax")

    def set_wanted(self, response: Response, page: str) -> None:
        """Set the cookie with the page that a person wanted, for as long as signing in may take."""
        self._set(response, self.wanted, quote(page, safe=""), WAIT_S)

    def clear(self, response: Response, name: str) -> None:
        """Delete a cookie."""
        response.delete_cookie(name, path="/", secure=self._deps.is_tls, httponly=True, samesite="strict")

    def _set(
        self, response: Response, name: str, value: str, max_age_s: int, *,
        samesite: Literal["strict", "lax"] = "strict",
    ) -> None:  # fmt: skip
        response.set_cookie(
            name, value, max_age=max_age_s, path="/", secure=self._deps.is_tls, httponly=True, samesite=samesite
        )
