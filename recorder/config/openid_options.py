"""The section ``[openid]``: signing in to the console by an OpenID provider. Pure."""

from dataclasses import dataclass

from recorder.common.web_addresses import is_private, plain_address

CALLBACK_PATH = "/sign-in/openid/callback"
"""Where the provider sends browsers back to, below the console's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdOptions:
    """How people sign in by an OpenID provider.

    Attributes:
        issuer: The provider, as it names itself in its tokens; None: people sign in with passwords only.
        client_id: Name under which the provider knows this console.
        client_secret_file: Its secret there, first line of a file with mode 0600; None where PKCE alone is enough.
        console_url: Where browsers find the console; with CALLBACK_PATH it is what is registered at the provider.
        button: Words on the button of the sign-in page.
        scopes: What is asked for.
        account_claim: The claim that leads an account to its provider at the first sign-in; None: none does.
        account_domain: What follows the ``@`` in that claim, and is taken off; None: nothing is taken off.
        acr_values: Values of the claim ``acr`` that stand for a second factor.
        amr_values: Values in the claim ``amr``, one of which stands for a second factor.
        max_age_s: Seconds since somebody last signed in at the provider, at most; None is as the provider says.
        passwords_too: Whether whoever is connected may sign in with their password too.
        ca: A file with the certificates that the provider's must come from; None is the system's.
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
    max_age_s: int | None = None
    passwords_too: bool = True
    ca: str | None = None

    @property
    def callback(self) -> str:
        """Return the address that the provider sends browsers back to."""
        return f"{(self.console_url or '').rstrip('/')}{CALLBACK_PATH}"

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return what cannot work - a key and a sentence - or None."""
        if self.issuer is None:
            return self._problem_without_issuer()
        if not is_private(self.issuer):
            return "issuer", f"{self.issuer!r} is no issuer: write https://HOST/PATH, as the provider names itself"
        if not self.client_id:
            return "issuer", "issuer needs client_id: the name under which the provider knows this console"
        if self.console_url is None:
            return "issuer", "issuer needs console_url: where browsers find the console, https://HOST"
        address = plain_address(self.console_url)
        if address is None or not is_private(self.console_url) or address.path not in ("", "/"):
            return "console_url", f"{self.console_url!r} is no address of a console: write https://HOST"
        return self._problem_with_claims()

    def _problem_without_issuer(self) -> tuple[str, str] | None:
        if self.client_id is not None:
            return "client_id", "client_id needs issuer: the provider's address"
        if not self.passwords_too:
            return "passwords_too", "passwords_too is false, and there is no issuer: nobody could sign in"
        return None

    def _problem_with_claims(self) -> tuple[str, str] | None:
        if "openid" not in self.scopes:
            return "scopes", 'scopes must have "openid": without it the provider does not say who signs in'
        if any(not scope.isascii() or not scope.isprintable() or set(scope) & set(' "\\') for scope in self.scopes):
            return "scopes", "a scope is a word without blanks and quotes"
        if self.account_claim == "email" and "email" not in self.scopes:
            return "account_claim", 'account_claim "email" needs "email" in scopes'
        if self.account_domain is not None and (not self.account_domain or "@" in self.account_domain):
            return "account_domain", "account_domain is what follows the @: write council.example"
        if not 0 < len(self.button.strip()) <= 60:
            return "button", "button must have 1 to 60 characters"
        if self.max_age_s is not None and self.max_age_s <= 0:
            return "max_age_s", f'max_age_s is {self.max_age_s}: it must be over 0, or "off"'
        return None
