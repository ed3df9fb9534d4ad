"""The section ``[openid]``: sign-in to the console through an OpenID provider. Pure."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt

from recorder.common.web_addresses import is_private, plain_address

CALLBACK_PATH = "/sign-in/openid/callback"
"""Path below the console's address to which the provider sends browsers back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdOptions:
    """Settings of sign-in through an OpenID provider.

    Attributes:
        issuer: The provider, as it names itself in its tokens; None for passwords only.
        client_id: Name under which the provider knows this console.
        client_secret_file: Its secret there, first line of a file with mode 0600; None if PKCE is enough.
        console_url: Address of the console for browsers; with CALLBACK_PATH it is registered at the provider.
        button: Label of the button on the sign-in page.
        scopes: The scopes to request.
        account_claim: The claim that names the account at the first sign-in; None for no claim.
        account_domain: The part after the ``@`` in that claim, which is removed; None to remove nothing.
        acr_values: Values of the claim ``acr`` that mean a second factor.
        amr_values: Values in the claim ``amr``, any of which means a second factor.
        max_age_s: Longest time since the person signed in at the provider, seconds; None for the provider's own.
        passwords_too: Whether people with connected accounts may sign in with their password too.
        ca: File of CA certificates for the provider; None for the system's.
    """

    issuer: str | None = None
    client_id: str | None = None
    client_secret_file: str | None = None
    console_url: str | None = None
    button: str = "Sign in with your work account"
    scopes: tuple[str, ...] = ("openid", "profile")
    account_claim: str | None = "preferred_username"
    account_domain: str | None = None
    acr_values: tuple[str, ...] = ()
    amr_values: tuple[str, ...] = ()
    max_age_s: Annotated[int, Gt(0)] | None = None
    passwords_too: bool = True
    ca: str | None = None

    @property
    def callback(self) -> str:
        """Return the address to which the provider sends browsers back."""
        return f"{(self.console_url or '').rstrip('/')}{CALLBACK_PATH}"

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        if self.issuer is None:
            return self._problem_without_issuer()
        if not is_private(self.issuer):
            return "issuer", f"{self.issuer!r} is not an issuer: write https://HOST/PATH, as the provider names itself"
        if not self.client_id:
            return "issuer", "issuer needs client_id: the name under which the provider knows this console"
        if self.console_url is None:
            return "issuer", "issuer needs console_url: the address of the console, https://HOST"
        address = plain_address(self.console_url)
        if address is None or not is_private(self.console_url) or address.path not in ("", "/"):
            return "console_url", f"{self.console_url!r} is not the address of a console: write https://HOST"
        return self._problem_with_claims()

    def _problem_without_issuer(self) -> tuple[str, str] | None:
        if self.client_id is not None:
            return "client_id", "client_id needs issuer: the provider's address"
        if not self.passwords_too:
            return "passwords_too", "passwords_too is false, but there is no issuer, so nobody could sign in"
        return None

    def _problem_with_claims(self) -> tuple[str, str] | None:
        if "openid" not in self.scopes:
            return "scopes", 'scopes must have "openid": without it the provider does not say who signs in'
        if any(not scope.isascii() or not scope.isprintable() or set(scope) & set(' "\\') for scope in self.scopes):
            return "scopes", "a scope is a word without spaces and quotes"
        if self.account_claim == "email" and "email" not in self.scopes:
            return "account_claim", 'account_claim "email" needs "email" in scopes'
        if self.account_domain is not None and (not self.account_domain or "@" in self.account_domain):
            return "account_domain", "account_domain is what follows the @: write council.example"
        if not 0 < len(self.button.strip()) <= 60:
            return "button", "button must have 1 to 60 characters"
        return None
