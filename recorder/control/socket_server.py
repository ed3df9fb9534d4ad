"""Serves an HTTP application on a unix socket that only its user may open, on a thread with its own loop."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from recorder.control.peercred import PeerCredProtocol
from storage.group_modes import file_mode

_LONGEST = 107
"""Bytes of a unix socket's path (unix(7), ``sun_path``)."""
KEEP_S = 75
"""How long an idle connection is kept, seconds; longer than the client keeps it."""


class PathTooLongError(Exception):
    """A unix socket cannot have this path; the message is a sentence."""


class StoppableServer(uvicorn.Server):
    """A server of the daemon. Waits for an event to stop; uvicorn's own loop polls ten times a second.

    Args:
        app: What it serves.
        http: The class of its connections, or a function that makes one.
        more: Further settings of uvicorn.
    """

    def __init__(self, app: ASGIApp, http: Callable[..., asyncio.Protocol], **more: Any) -> None:  # noqa: ANN401
        config = uvicorn.Config(
            app,
            http=http,  # type: ignore[arg-type]  # a factory is accepted too
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            date_header=False,
            timeout_keep_alive=KEEP_S,
            timeout_graceful_shutdown=1,
            **more,
        )
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended = asyncio.Event()

    async def main_loop(self) -> None:
        """Wait for the end."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ended.wait()

    def end(self) -> None:
        """Stop serving; from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended, with its loop
                self._loop.call_soon_threadsafe(self._ended.set)


class SocketServer:
    """Serves an application on a unix socket, mode 0600, on a thread of its own.

    Raises:
        PathTooLongError: The path is too long.
        OSError: The socket cannot be made.
    """

    def __init__(self, app: FastAPI, path: Path) -> None:
        self._path = path
        self._socket = _bind(path)
        self._server = StoppableServer(app, PeerCredProtocol)
        self._thread = threading.Thread(target=self._run, name="socket", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving and remove the socket."""
        self._server.end()
        self._thread.join(5)
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _run(self) -> None:
        # uvicorn installs signal handlers on the main thread only, which this is not.
        asyncio.run(self._server.serve(sockets=[self._socket]))


def _bind(path: Path) -> socket.socket:
    """Bind the socket so that its permissions are never wider than those of files in its folder."""
    beside = path.with_name(f".{path.name}.new")
    too_many = len(bytes(beside)) - _LONGEST
    if too_many > 0:
        raise PathTooLongError(
            f"the path of {path.parent} is {too_many} bytes too long for the socket in it: move it to a shorter path"
        )
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    listening.bind(str(beside))
    beside.chmod(file_mode(path.parent))
    beside.rename(path)
    listening.listen(64)
    return listening
