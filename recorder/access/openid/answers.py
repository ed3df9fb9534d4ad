"""Checks of a provider's responses: its endpoints, its keys, and the claims of an ID token. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from recorder.common.web_addresses import is_private

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Accepted signatures: the provider's own only. Never ``none``, nor one made with the client's secret."""
LEEWAY_S = 60
"""How far the provider's clock may differ, seconds."""
MOST_SUBJECT_CHARACTERS = 255
"""OpenID Connect Core section 2."""


class SignInStoppedError(Exception):
    """Nobody is signed in; the message is for the log and contains nothing that a provider sent."""


class ProviderDownError(SignInStoppedError):
    """The provider cannot be reached, or its response is not valid."""


class AnswerRefusedError(SignInStoppedError):
    """The provider's response cannot be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """A provider's endpoints and abilities (OpenID Connect Discovery section 3).

    Attributes:
        authorization_endpoint: For browsers.
        token_endpoint: Exchanges a code for tokens.
        jwks_uri: Its public keys.
        userinfo_endpoint: More claims, or None.
        takes_secret_in_body: Whether the client's secret may be in the body of a request.
        names_itself: Whether it sends its issuer back with the browser (RFC 9207).
    """

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    takes_secret_in_body: bool
    names_itself: bool


def read_json(content: bytes) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ProviderDownError: It is not one.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProviderDownError("the response is not JSON") from error
    if not isinstance(found, dict):
        raise ProviderDownError("the response is not a JSON object")
    return found


def read_discovered(document: Mapping[str, Any], issuer: str) -> Discovered:
    """Return a provider's endpoints.

    Args:
        document: From ``/.well-known/openid-configuration``.
        issuer: As configured; the document must have exactly the same.

    Raises:
        ProviderDownError: It has another issuer, or endpoints that are not confidential.
    """
    if document.get("issuer") != issuer:
        raise ProviderDownError("its issuer differs from the one in [openid]; write it exactly as the provider does")
    needed = {key: document.get(key) for key in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    userinfo = document.get("userinfo_endpoint")
    for key, address in {**needed, "userinfo_endpoint": userinfo or issuer}.items():
        # The authorization endpoint may have a query of its own (RFC 6749 section 3.1).
        is_good = isinstance(address, str) and is_private(address.partition("?")[0])
        if not is_good or (issuer.startswith("https:") and not str(address).startswith("https:")):
            raise ProviderDownError(f"its {key} is missing, or is not an https address")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Discovered(
        **{key: str(address) for key, address in needed.items()},
        userinfo_endpoint=userinfo,
        takes_secret_in_body=isinstance(methods, list) and "client_secret_post" in methods,
        names_itself=document.get("authorization_response_iss_parameter_supported") is True,
    )


def read_keys(document: Mapping[str, Any]) -> KeySet:
    """Return a provider's public keys.

    Raises:
        ProviderDownError: They cannot be read.
    """
    try:
        return KeySet.import_key_set({"keys": document["keys"]})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProviderDownError("its keys cannot be read") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The expected contents of an ID token.

    Attributes:
        issuer: Who issued it.
        client_id: Its audience.
        nonce: The nonce of the request.
        access_token: The access token that came with it.
        max_age_s: Longest time since the person signed in at the provider, seconds; None for any.
    """

    issuer: str
    client_id: str
    nonce: str
    access_token: str
    max_age_s: int | None


def verified_claims(id_token: str, keys: KeySet, expected: Expected, now: datetime) -> dict[str, Any]:
    """Return the claims of an ID token (OpenID Connect Core section 3.1.3.7).

    Raises:
        AnswerRefusedError: It cannot be trusted; the message says why.
    """
    now_s = int(now.timestamp())
    try:
        token = jwt.decode(id_token, keys, algorithms=ALGORITHMS)
        claims = CodeIDToken(
            token.claims,
            token.header,
            options={
                "iss": {"essential": True, "value": expected.issuer},
                "aud": {"essential": True, "value": expected.client_id},
                "sub": {"essential": True},
            },
            params={
                "nonce": expected.nonce,
                "client_id": expected.client_id,
                "access_token": expected.access_token,
                "max_age": expected.max_age_s,
            },
        )
        claims.validate(now=now_s, leeway=LEEWAY_S)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise AnswerRefusedError(f"the ID token is not valid ({type(error).__name__})") from error
    _check_more(claims, expected, now_s)
    return dict(claims)


def _check_more(claims: Mapping[str, Any], expected: Expected, now_s: int) -> None:
    """Check what Authlib leaves to its users."""
    if claims["aud"] not in (expected.client_id, [expected.client_id]):
        raise AnswerRefusedError("the ID token has other audiences too")
    subject = claims["sub"]
    if len(subject) > MOST_SUBJECT_CHARACTERS or not subject.isascii() or not subject.isprintable():
        raise AnswerRefusedError("the ID token's subject is not valid")
    if expected.max_age_s is not None and not claims["auth_time"] >= now_s - expected.max_age_s - LEEWAY_S:
        raise AnswerRefusedError("they signed in at the provider longer ago than max_age_s")
