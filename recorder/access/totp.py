"""Codes of authenticator apps: time-based one-time passwords (RFC 6238, HMAC-SHA-1, six digits, 30 s). Pure.

Existing libraries only say whether a code is right. To refuse a code that was used before, its time step must be known
too. The rest is a few lines of RFC 4226. Tests check it against the vectors of RFC 6238 and against pyotp.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
DRIFT_STEPS = 1
"""Steps that a phone's clock may be off, and that typing may take (RFC 6238 section 5.2)."""
_SECRET_BYTES = 20
"""RFC 4226 section 4 R6 recommends 160 bits."""


def new_secret() -> str:
    """Return a new secret for an app: 32 characters of base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def step_of(moment: datetime) -> int:
    """Return the time step of a moment (RFC 6238 section 4.2)."""
    return int(moment.timestamp()) // STEP_S


def code_of(secret: str, step: int) -> str:
    """Return the code of a step (RFC 4226 section 5.3).

    Args:
        secret: Base32.
        step: From `step_of`, not negative.

    Raises:
        ValueError: The secret is not base32.
    """
    try:
        key = base64.b32decode(secret)
    except binascii.Error as error:
        raise ValueError("the secret is not base32") from error
    digest = hmac.new(key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """Return the step of a code, or None if it is not valid.

    Args:
        secret: Base32.
        code: As typed; spaces are ignored.
        now: The time.
        after: The last step whose code was used. Codes up to it are not valid, so an observed code is useless (RFC 6238
            section 5.2).
    """
    typed = "".join(code.split()).encode("utf-8", "surrogatepass")
    found = None
    for step in range(step_of(now) - DRIFT_STEPS, step_of(now) + DRIFT_STEPS + 1):
        if step > after and hmac.compare_digest(code_of(secret, step).encode(), typed):
            found = step
    return found


def address_of(secret: str, account: str, site: str) -> str:
    """Return the text of the QR code for an app: ``otpauth://totp/...``."""
    label = f"{quote(site, safe='')}:{quote(account, safe='')}"
    about = {"secret": secret, "issuer": site, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{label}?{urlencode(about, quote_via=quote)}"


def spaced(secret: str) -> str:
    """Return a secret in groups of four, as people type it."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
