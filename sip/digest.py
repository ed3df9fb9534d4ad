"""Digest authentication, client side (RFC 7616, RFC 2617; in SIP RFC 3261 section 22, RFC 8760). Pure.

Not sippy's: that takes one challenge in a message, and neither ``-sess`` nor ``stale``.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_STRENGTH = ("SHA-512-256", "SHA-512-256-SESS", "SHA-256", "SHA-256-SESS", "MD5", "MD5-SESS")
"""Algorithms, the preferred first."""

_MAX_CHALLENGE = 2048
"""Characters; real challenges have 300. Searching parameters in garbage takes time quadratic in its length."""

_PARAMETER = re.compile(r'(?<![A-Za-z0-9_-])([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)\s*')


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account at a peer; ``repr`` does not show the password."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge of a 401 or 407.

    Attributes:
        realm: The realm of the account.
        nonce: The server's.
        opaque: To be returned unchanged, or None.
        algorithm: In capitals; ``MD5`` if not given.
        has_qop: It offers quality of protection ``auth``; otherwise it is answered as in RFC 2069.
        is_stale: The answer was right, but the nonce too old.
        is_proxy: It came in a 407.
    """

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str
    has_qop: bool
    is_stale: bool
    is_proxy: bool

    @property
    def header(self) -> str:
        """Name of the header with the answer."""
        return "Proxy-Authorization" if self.is_proxy else "Authorization"


def challenge_of(value: str, *, is_proxy: bool) -> Challenge | None:
    """Parse the value of WWW-Authenticate or Proxy-Authenticate; None if it cannot be answered."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest" or len(rest) > _MAX_CHALLENGE:
        return None
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(rest):
        quoted = match.group(2)
        found.setdefault(match.group(1).lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3])
    algorithm = found.get("algorithm", "MD5").upper()
    qops = [qop.strip().lower() for qop in found["qop"].split(",")] if "qop" in found else []
    is_answerable = algorithm in _STRENGTH and (not qops or "auth" in qops)
    if "realm" not in found or "nonce" not in found or not is_answerable or not _is_there(algorithm):
        return None
    return Challenge(
        realm=found["realm"],
        nonce=found["nonce"],
        opaque=found.get("opaque"),
        algorithm=algorithm,
        has_qop=bool(qops),
        is_stale=found.get("stale", "").lower() == "true",
        is_proxy=is_proxy,
    )


def strongest(challenges: Iterable[Challenge]) -> list[Challenge]:
    """Return the strongest challenge of each realm (RFC 8760 section 2.4)."""
    best: dict[tuple[str, bool], Challenge] = {}
    for challenge in challenges:
        key = (challenge.realm, challenge.is_proxy)
        if key not in best or _STRENGTH.index(challenge.algorithm) < _STRENGTH.index(best[key].algorithm):
            best[key] = challenge
    return list(best.values())


def answer(challenge: Challenge, account: Credentials, *, method: str, uri: str, count: int, cnonce: str) -> str:
    """Return the value of the header that answers a challenge.

    Args:
        challenge: The challenge.
        account: Our account.
        method: Of the request.
        uri: Of the request, as in its first line.
        count: How often this nonce has been used, this time included; from 1.
        cnonce: A random hexadecimal string; the same for all uses of a ``-sess`` nonce.
    """
    hashed = f"{account.user}:{challenge.realm}:{account.password}"
    first = _hash(challenge.algorithm, hashed)
    if challenge.algorithm.endswith("-SESS"):
        first = _hash(challenge.algorithm, f"{first}:{challenge.nonce}:{cnonce}")
    second = _hash(challenge.algorithm, f"{method}:{uri}")
    parts = [
        ("username", _quoted(account.user)),
        ("realm", _quoted(challenge.realm)),
        ("nonce", _quoted(challenge.nonce)),
        ("uri", _quoted(uri)),
    ]
    if challenge.has_qop:
        proof = _hash(challenge.algorithm, f"{first}:{challenge.nonce}:{count:08x}:{cnonce}:auth:{second}")
        parts += [("response", _quoted(proof)), ("qop", "auth"), ("nc", f"{count:08x}"), ("cnonce", _quoted(cnonce))]
    else:
        parts.append(("response", _quoted(_hash(challenge.algorithm, f"{first}:{challenge.nonce}:{second}"))))
    parts.append(("algorithm", _spelled(challenge.algorithm)))
    if challenge.opaque is not None:
        parts.append(("opaque", _quoted(challenge.opaque)))
    return "Digest " + ", ".join(f"{name}={value}" for name, value in parts)


def _is_there(algorithm: str) -> bool:
    return _HASHES[algorithm.removesuffix("-SESS")] in hashlib.algorithms_available


def _hash(algorithm: str, text: str) -> str:
    name = _HASHES[algorithm.removesuffix("-SESS")]
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _spelled(algorithm: str) -> str:
    return algorithm.replace("-SESS", "-sess")


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
