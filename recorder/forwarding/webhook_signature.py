"""Signs webhooks as the Standard Webhooks specification says (version 1, symmetric). Pure."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
_LEAST, _MOST = 24, 64
"""Length of a secret, bytes: of the specification."""


class SecretError(ValueError):
    """A text is no secret; the message is a sentence that does not hold the text."""


def secret_of(text: str) -> bytes:
    """Return the secret that a text stands for: ``whsec_`` and base64.

    Raises:
        SecretError: It is none.
    """
    line = text.strip()
    try:
        secret = base64.b64decode(line.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not line.startswith(PREFIX) or not _LEAST <= len(secret) <= _MOST:
        raise SecretError(f"each line must be {PREFIX} and base64 of {_LEAST} to {_MOST} bytes")
    return secret


def headers_of(secrets: Sequence[bytes], *, event: str, at_s: int, body: bytes) -> Mapping[str, str]:
    """Return the headers of a delivery.

    Args:
        secrets: From `secret_of`: one, or two while a secret is changed. Each gives a signature.
        event: Id of the event.
        at_s: When it is sent, seconds since 1970; a receiver refuses a delivery that is minutes old.
        body: What is sent.
    """
    signed = b"%s.%d.%s" % (event.encode("ascii"), at_s, body)
    digests = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode("ascii") for secret in secrets]
    signature = " ".join(f"v1,{digest}" for digest in digests)
    return {"webhook-id": event, "webhook-timestamp": str(at_s), "webhook-signature": signature}
