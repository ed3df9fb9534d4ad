"""Checks of web addresses. Pure."""

from urllib.parse import SplitResult, urlsplit

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def plain_address(text: str) -> SplitResult | None:
    """Return the parts of an absolute HTTP address without user, query and fragment; None for other texts."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(" <>\"'\\")
    is_bare = not (parts.query or parts.fragment or parts.username)
    is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    return parts if is_plain and is_bare and is_web else None


def is_private(text: str) -> bool:
    """Tell whether requests to an address are confidential: HTTPS, or on this machine."""
    parts = plain_address(text)
    return parts is not None and (parts.scheme == "https" or parts.hostname in _LOOPBACK)
