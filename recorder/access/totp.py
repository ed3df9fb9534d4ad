"""Codes of authenticator apps: time-based one-time passwords (RFC 6238, HMAC-SHA-1, six digits, 30 s). Pure.

Not a library's: what there is says yes or no, and to refuse a code that was used before we must know which step it was
of. The rest is one line of RFC 4226. Tests hold it to the vectors of RFC 6238 and to pyotp.
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
"""A phone's clock may be off by so many steps, and people type slowly (RFC 6238 section 5.2)."""
_SECRET_BYTES = 20
"""RFC 4226 section 4 R6 recommends 160 bits."""


def new_secret() -> str:
    """Return a secret as apps take it: 32 characters of base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def step_of(moment: datetime) -> int:
    """Return the number of the step that a moment lies in (RFC 6238 section 4.2)."""
    return int(moment.timestamp()) // STEP_S


def code_of(secret: str, step: int) -> str:
    """Return the code of a step (RFC 4226 section 5.3).

    Args:
        secret: Base32.
        step: From `step_of`, not negative.

    Raises:
        ValueError: The secret is no base32.
    """
    try:
        key = base64.b32decode(secret)
    except binascii.Error as error:
        raise ValueError("the secret is no base32") from error
    digest = hmac.new(key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: str, code: str, now: datetime, *, after: int) -> int | None:
    """Return the step that a code is of, None when it is of none that counts.

    Args:
        secret: Base32.
        code: As typed; blanks are left out.
        now: The time.
        after: The last step whose code was used: it and those before it count no more, so a code that somebody looked
            over a shoulder for is worth nothing (RFC 6238 section 5.2).
    """
    typed = "".join(code.split()).encode("utf-8", "surrogatepass")
    found = None
    for step in range(step_of(now) - DRIFT_STEPS, step_of(now) + DRIFT_STEPS + 1):
        if step > after and hmac.compare_digest(code_of(secret, step).encode(), typed):
            found = step
    return found


def address_of(secret: str, account: str, site: str) -> str:
    """Return what an app reads out of a QR code: ``otpauth://totp/...``."""
    label = f"{quote(site, safe='')}:{quote(account, safe='')}"
    about = {"secret": secret, "issuer": site, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{label}?{urlencode(about, quote_via=quote)}"


def spaced(secret: str) -> str:
    """Return a secret in fours, as people type it."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
