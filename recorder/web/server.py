"""uvicorn's settings for the console."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from recorder.control.http_connections import ConsoleConnections, ConsoleProtocol, TlsEntrance
from recorder.rules.limits import ConnectionLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Certificate chain and private key, PEM."""

    certificate: Path
    key: Path


def server_config(
    app: FastAPI,
    *,
    host: str,
    port: int,
    tls: TlsFiles | None = None,
    connections: ConsoleConnections | None = None,
) -> uvicorn.Config:
    """Return uvicorn's settings.

    No access log: addresses of searches have numbers. No proxy headers: a token's source network is the address of the
    connection, which a header must not replace. One worker: listens are kept in the process. TLS is not uvicorn's:
    see `TlsEntrance`.

    Args:
        app: From ``create_app``.
        host: Address to listen on.
        port: TCP port, 0 for any.
        tls: Files for HTTPS; None is plain HTTP, for loopback or behind a TLS proxy on the same machine.
        connections: Counts the connections, with their limits and timeouts; None for the usual limits.
    """
    connections = connections or ConsoleConnections(ConnectionLimits())
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=_protocols(connections, tls),  # type: ignore[arg-type]  # a factory is accepted too
        ws="none",
        lifespan="off",
        loop="asyncio",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )


def _protocols(connections: ConsoleConnections, tls: TlsFiles | None) -> Callable[..., asyncio.Protocol]:
    if tls is None:
        return partial(ConsoleProtocol, connections=connections)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate, tls.key)

    def make(**more: Any) -> asyncio.Protocol:  # noqa: ANN401 - uvicorn's own
        inner = partial(ConsoleProtocol, connections=connections, **more)
        return TlsEntrance(context, connections, inner, asyncio.get_running_loop())

    return make
