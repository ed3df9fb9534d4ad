"""The identity in the claims of a verified ID token. Pure."""

from collections.abc import Mapping
from typing import Any

from recorder.config.openid_options import OpenIdOptions
from recorder.rules.signing_in import OpenIdIdentity


def identity_of(claims: Mapping[str, Any], options: OpenIdOptions) -> OpenIdIdentity:
    """Return the identity of the person who signed in.

    Args:
        claims: Of a verified ID token; ``iss`` and ``sub`` are strings.
        options: How to interpret the others.
    """
    return OpenIdIdentity(
        issuer=claims["iss"],
        subject=claims["sub"],
        account=_account(claims, options),
        has_second_factor=_has_second_factor(claims, options),
    )


def _account(claims: Mapping[str, Any], options: OpenIdOptions) -> str | None:
    """Return the account that the claims name, or None.

    An e-mail address that is not verified may be anybody's. Only ASCII is converted to lower case: some letters of
    other alphabets become Latin ones.
    """
    value = claims.get(options.account_claim) if options.account_claim is not None else None
    if not isinstance(value, str) or not value.isascii():
        return None
    if options.account_claim == "email" and claims.get("email_verified") is not True:
        return None
    value = value.lower()
    if options.account_domain is None:
        return value
    name, at, domain = value.rpartition("@")
    return name if at and domain == options.account_domain.lower() else None


def _has_second_factor(claims: Mapping[str, Any], options: OpenIdOptions) -> bool:
    acr, amr = claims.get("acr"), claims.get("amr")
    methods = [method for method in amr if isinstance(method, str)] if isinstance(amr, list) else []
    return (isinstance(acr, str) and acr in options.acr_values) or bool(set(methods) & set(options.amr_values))
