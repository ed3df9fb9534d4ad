"""HTTP over a unix socket that may have nobody behind it: a daemon that is killed, or not up yet."""

import socket
import traceback
from pathlib import Path

import httpx2


class UnixTransport(httpx2.HTTPTransport):
    """httpx2's own, and nothing of a connection that was refused stays open.

    What httpx2 is built on (httpcore2 2.16, ``connect_unix_socket``) forgets the socket that it could not connect: it
    is closed when somebody lets go of the error, and Python warns of it in whatever test comes next.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(uds=str(path), verify=False)  # no TLS here: certificates take 8 ms to read

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; see httpx2."""
        try:
            return super().handle_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            _close_sockets_of(error)
            raise


def _close_sockets_of(error: BaseException | None) -> None:
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            for value in list(frame.f_locals.values()):
                if isinstance(value, socket.socket):
                    value.close()
        error = error.__cause__ or error.__context__
