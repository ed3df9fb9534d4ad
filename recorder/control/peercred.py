"""Identifies the process at the other end of a unix socket by its kernel credentials."""

import asyncio
import re
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

from recorder.common.system_user import os_user

_UCRED = struct.Struct("=iII")
_UID = re.compile(r"uid:(\d{1,10})\Z")


def peer_of(unix_socket: socket.socket) -> tuple[int, int]:
    """Return (uid, pid) of the process that connected (SO_PEERCRED, unix(7)).

    Raises:
        OSError: It is not a connected unix socket.
    """
    raw = unix_socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _gid = _UCRED.unpack(raw)
    return uid, pid


class PeerCredProtocol(H11Protocol):
    """uvicorn's h11 protocol with ``("uid:1000", pid)`` in ``scope["client"]``.

    Pass it as ``uvicorn.Config(http=PeerCredProtocol, proxy_headers=False)``, because proxy headers would let a caller
    replace the kernel's value. ``client`` is None if the socket is not a unix socket or the peer is gone.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the peer's credentials once, on connection."""
        super().connection_made(transport)
        self.client = _client_of(transport.get_extra_info("socket"))


def _client_of(connection: object) -> tuple[str, int] | None:
    # asyncio gives a wrapper with the socket's methods, which is no socket instance.
    if connection is None or getattr(connection, "family", None) != socket.AF_UNIX:
        return None
    try:
        uid, pid = peer_of(connection)  # type: ignore[arg-type]
    except OSError:
        return None
    return f"uid:{uid}", pid


def user_name(client: tuple[str, int] | None) -> str | None:
    """Return the operating system's user name for ``scope["client"]``.

    Returns:
        The name; ``uid:N`` if the system has none for it; None if the kernel does not know the client.
    """
    match = _UID.match(client[0]) if client else None
    if match is None:
        return None
    return os_user(int(match[1]))
