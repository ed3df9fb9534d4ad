"""How the console is served."""

from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Certificate chain and private key, PEM."""

    certificate: Path
    key: Path


def server_config(app: FastAPI, *, host: str, port: int, tls: TlsFiles | None = None) -> uvicorn.Config:
    """Return uvicorn's settings.

    No access log: addresses of searches hold telephone numbers. No proxy headers: a token's source network is the
    connection's address, which a header must not replace. One worker: leave to listen is kept in the process.

    Args:
        app: From ``create_app``.
        host: Address to listen on.
        port: TCP port, 0 for any.
        tls: Files for HTTPS; None is plain HTTP, for loopback or behind a TLS proxy on the same machine.
    """
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http="h11",
        ws="none",
        lifespan="off",
        loop="asyncio",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
