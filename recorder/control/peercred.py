"""Who is at the other end of a unix socket: the kernel's word, not the caller's."""

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
    """uvicorn's h11 protocol that puts ``("uid:1000", pid)`` into ``scope["client"]``.

    Pass it as ``uvicorn.Config(http=PeerCredProtocol, proxy_headers=False)``: proxy headers would let a caller replace
    what the kernel said. On a socket that is no unix socket, or whose peer is gone, ``client`` is None: nobody.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the peer's credentials once, when it connects."""
        super().connection_made(transport)
        self.client = _client_of(transport.get_extra_info("socket"))


def _client_of(connection: object) -> tuple[str, int] | None:
    # asyncio hands out a wrapper that has the socket's methods without being one.
    if connection is None or getattr(connection, "family", None) != socket.AF_UNIX:
        return None
    try:
        uid, pid = peer_of(connection)  # type: ignore[arg-type]
    except OSError:
        return None
    return f"uid:{uid}", pid


def user_name(client: tuple[str, int] | None) -> str | None:
    """Turn ``scope["client"]`` into the operating system's user name.

    Returns:
        The name; ``uid:N`` when the system has none for it; None when the client is nobody that the kernel knows.
    """
    match = _UID.match(client[0]) if client else None
    if match is None:
        return None
    return os_user(int(match[1]))
