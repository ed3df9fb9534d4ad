"""JSON documents with an Ed25519 signature over their exact text. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from recorder.site_keys.places import SiteKeysError
from storage import crypto

VERSION = 1
MAX_BYTES = 4 << 20
"""Largest file that is read."""


def compact(document: Mapping[str, Any]) -> str:
    """Return a document as one line of JSON with sorted keys."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def message(kind: str, text: str) -> bytes:
    """Return the bytes that are signed: the kind of the document, then its text."""
    return f"council-call-recorder {kind} 1\0".encode() + text.encode()


def sign(kind: str, text: str, secret: bytes) -> str:
    """Return the signature of a document of a kind in hex."""
    return crypto.sign(message(kind, text), secret).hex()


def is_signed(kind: str, text: str, signature: str, public: bytes) -> bool:
    """Tell whether a key signed a document of a kind."""
    try:
        return crypto.is_signed(message(kind, text), bytes.fromhex(signature), public)
    except ValueError:
        return False


def pack(kind: str, document: Mapping[str, Any], secret: bytes) -> bytes:
    """Return the file of a signed document."""
    text = compact(document)
    whole = {"kind": kind, "version": VERSION, "document": text, "signature": sign(kind, text, secret)}
    return json.dumps(whole, indent=1).encode() + b"\n"


def unpack(kind: str, content: bytes, *, command: str) -> tuple[dict[str, Any], str, str]:
    """Return a document with its text and signature, which is not checked here.

    Args:
        kind: Its kind.
        content: The file.
        command: The command that makes such a file, for the message.

    Raises:
        SiteKeysError: It is no such file, or of a newer program.
    """
    wrong = SiteKeysError(f"this is no file of `{command}`, or it was changed on its way: copy it again")
    if len(content) > MAX_BYTES:
        raise wrong
    try:
        whole = json.loads(content)
        if whole["kind"] != kind:
            raise wrong
        if whole["version"] != VERSION:
            raise SiteKeysError(
                f"the file has version {whole['version']}, this program reads {VERSION}: install the same version of "
                "the recorder on both machines"
            )
        text, signature = whole["document"], whole["signature"]
        document = json.loads(text)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise wrong from error
    if not isinstance(document, dict) or not isinstance(text, str) or not isinstance(signature, str):
        raise wrong
    return document, text, signature


def fingerprint(text: str) -> str:
    """Return what people compare: 128 bits of the SHA-256 of a document in groups of four."""
    digits = hashlib.sha256(text.encode()).hexdigest()[:32]
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def is_same_fingerprint(one: str, other: str) -> bool:
    """Compare two fingerprints as people write them: blanks, dashes and capitals do not count."""
    return _digits(one) == _digits(other)


def _digits(text: str) -> str:
    return "".join(text.split()).replace("-", "").replace(":", "").lower()
