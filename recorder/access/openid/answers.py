"""What is believed of a provider's answers: where it can be found, and who an ID token speaks of. Pure."""

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
"""Signatures that are taken: the provider's own only. Never ``none``, and none that our secret could make."""
LEEWAY_S = 60
"""How far the provider's clock may be from ours."""
MOST_SUBJECT_CHARACTERS = 255
"""OpenID Connect Core section 2."""


class SignInStoppedError(Exception):
    """Nobody is signed in; the message is for the log and holds nothing of what a provider sent."""


class ProviderDownError(SignInStoppedError):
    """The provider cannot be reached, or does not answer as one."""


class AnswerRefusedError(SignInStoppedError):
    """The provider's answer is not to be believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """Where a provider does what (OpenID Connect Discovery section 3).

    Attributes:
        authorization_endpoint: Where browsers go.
        token_endpoint: Where a code becomes tokens.
        jwks_uri: Where its public keys are.
        userinfo_endpoint: Where more claims are, or None.
        takes_secret_in_body: Whether the client's secret may stand in the body of a request.
        names_itself: Whether it names itself when it sends a browser back (RFC 9207).
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
        ProviderDownError: It is none.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProviderDownError("the answer is no JSON") from error
    if not isinstance(found, dict):
        raise ProviderDownError("the answer is no JSON object")
    return found


def read_discovered(document: Mapping[str, Any], issuer: str) -> Discovered:
    """Return where a provider does what.

    Args:
        document: From ``/.well-known/openid-configuration``.
        issuer: As it is configured; the document must name the same one, to the letter.

    Raises:
        ProviderDownError: It is of somebody else, or names places that others can read along.
    """
    if document.get("issuer") != issuer:
        raise ProviderDownError("it names another issuer than [openid] has; write it as the provider does")
    needed = {key: document.get(key) for key in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    userinfo = document.get("userinfo_endpoint")
    for key, address in {**needed, "userinfo_endpoint": userinfo or issuer}.items():
        # The authorization endpoint may have a query of its own (RFC 6749 section 3.1).
        is_good = isinstance(address, str) and is_private(address.partition("?")[0])
        if not is_good or (issuer.startswith("https:") and not str(address).startswith("https:")):
            raise ProviderDownError(f"its {key} is missing, or no https address")
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
    """What an ID token must say.

    Attributes:
        issuer: Who made it.
        client_id: For whom.
        nonce: In answer to what.
        access_token: What came with it.
        max_age_s: Seconds since its owner signed in at the provider, at most; None is any.
    """

    issuer: str
    client_id: str
    nonce: str
    access_token: str
    max_age_s: int | None


def verified_claims(id_token: str, keys: KeySet, expected: Expected, now: datetime) -> dict[str, Any]:
    """Return the claims of an ID token (OpenID Connect Core section 3.1.3.7).

    Raises:
        AnswerRefusedError: It is not to be believed; the message says why.
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
        raise AnswerRefusedError(f"the ID token is not good ({type(error).__name__})") from error
    _check_more(claims, expected, now_s)
    return dict(claims)


def _check_more(claims: Mapping[str, Any], expected: Expected, now_s: int) -> None:
    """Refuse what Authlib leaves to its users."""
    if claims["aud"] not in (expected.client_id, [expected.client_id]):
        raise AnswerRefusedError("the ID token is for others too")
    subject = claims["sub"]
    if len(subject) > MOST_SUBJECT_CHARACTERS or not subject.isascii() or not subject.isprintable():
        raise AnswerRefusedError("the ID token's subject is none")
    if expected.max_age_s is not None and not claims["auth_time"] >= now_s - expected.max_age_s - LEEWAY_S:
        raise AnswerRefusedError("they signed in at the provider longer ago than max_age_s")
