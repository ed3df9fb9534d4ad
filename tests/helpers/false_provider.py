"""An OpenID provider that lies, breaks and dawdles as a test says; its keys and tokens are real."""

import base64
import functools
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import Response
from joserfc import jwt
from joserfc.jwk import RSAKey

from benchmarks.ports import free_port
from tests.helpers.console_site import serving

CLIENT = "recorder"
ACCESS_TOKEN = "an access token"
Token = Callable[["FalseProvider"], str]


def half_hash(text: str) -> str:
    """Return what a token with RS256 says of another one that came with it."""
    return _base64(hashlib.sha256(text.encode()).digest()[:16])


@functools.cache
def rsa_key(name: str) -> RSAKey:
    """Return the key of a name, which is made once a process: that takes 0.2 s."""
    return RSAKey.generate_key(2048, {"kid": name})


class FalseProvider:
    """Answers as its attributes say.

    Attributes:
        key: Signs; its public half is published.
        claims: What the next ID token says.
        make: Makes it.
        document: What discovery says.
        spoilt: Answers in the place of the true ones, by path.
        heard: Paths that were asked for.
        release: Ends answers that wait.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.release = threading.Event()
        self.reset()
        self.app = FastAPI()
        for method, path, answer in (
            ("GET", "/.well-known/openid-configuration", lambda: self.document),
            ("GET", "/jwks", lambda: {"keys": [self.key.as_dict(private=False)]}),
            ("GET", "/userinfo", lambda: self.userinfo),
            ("POST", "/token", self._tokens),
        ):
            self.app.add_api_route(path, self._answering(path, answer), methods=[method])

    def reset(self) -> None:
        self.key = rsa_key("first")
        now = int(time.time())
        self.claims: dict[str, Any] = {
            "iss": self.issuer, "aud": CLIENT, "sub": "subject of the officer", "iat": now, "exp": now + 300,
            "preferred_username": "officer", "at_hash": half_hash(ACCESS_TOKEN), "auth_time": now,
        }  # fmt: skip
        self.userinfo: dict[str, Any] = {}
        self.make: Token = lambda it: it.signed()
        self.document = {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }  # fmt: skip
        self.spoilt: dict[str, Callable[[], Response]] = {}
        self.heard: list[str] = []

    def signed(self, *, key: RSAKey | None = None, **header: Any) -> str:
        """Return a token with the claims, signed."""
        return jwt.encode({"alg": "RS256", "kid": "first", **header}, self.claims, key or self.key)

    def _answering(self, path: str, answer: Callable[[], Any]) -> Callable[[], Any]:
        def answered() -> Any:
            self.heard.append(path)
            return self.spoilt[path]() if path in self.spoilt else answer()

        return answered

    def _tokens(self) -> dict[str, Any]:
        return {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": self.make(self)}


def unsigned(claims: dict[str, Any], **header: Any) -> str:
    """Return a token that nobody signed."""
    return f"{_coded({'alg': 'none', **header})}.{_coded(claims)}."


def hmac_signed(claims: dict[str, Any], secret: bytes, **header: Any) -> str:
    """Return a token that whoever knows the secret can have made."""
    text = f"{_coded({'alg': 'HS256', **header})}.{_coded(claims)}"
    return f"{text}.{_base64(hmac.digest(secret, text.encode(), 'sha256'))}"


def _coded(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@contextmanager
def false_provider() -> Iterator[FalseProvider]:
    """Start one; ends it whatever happens."""
    port = free_port()
    made = FalseProvider(f"http://127.0.0.1:{port}")
    config = uvicorn.Config(
        made.app, host="127.0.0.1", port=port, lifespan="off", log_config=None, ws="none", timeout_graceful_shutdown=1
    )
    with serving(config, made.release):
        yield made
