"""Serves the metrics of a process to Prometheus, on a port and threads of its own.

Only ``GET /metrics`` is answered, over plain HTTP, one request a connection. A slow or hostile client cannot hold up
the process: connections are taken one after another with a pause between them, few are open at a time, each has a
deadline, and a scrape within a second of another gets the same answer.
"""

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

_log = logging.getLogger(__name__)

PATH = "/metrics"
MOST_CONNECTIONS = 8
"""Connections at a time; more wait in the kernel. One Prometheus opens one."""
REQUEST_S, ANSWER_S = 5.0, 10.0
"""How long a client may take to send its request, and to take the answer with the time to collect it, seconds."""
RETRY_S = 60.0
"""Delay after an address that could not be bound, seconds."""
_CLOSE_S = 1.0
"""How long a client may take to read the end of the answer, seconds, before the rest is dropped."""
_PAUSE_S = 0.02
"""Pause between two connections, seconds, so that a flood of them costs the process little."""
_MOST_HEADER = 8192
_SAME_S = 1.0
"""How long an answer is given again, seconds."""
_SAY_EVERY_S = 60.0
_COLLECT_S = 8.0
"""How long collecting may take, seconds, before the scrape is answered 503."""

ALARM = "metrics_unavailable"


class MetricsListener:
    """One listener.

    Args:
        registry: What is served.
        host: IP address to listen on.
        port: TCP port; 0 takes a free one.
        networks: CIDR networks that may scrape; connections from elsewhere are closed without an answer.
        section: Section of the configuration, for the log.
        alarm: Called with `ALARM` when the address cannot be bound.

    Attributes:
        bound_port: The port; 0 while it is not bound.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        host: str,
        port: int,
        *,
        networks: Sequence[str],
        section: str,
        alarm: Callable[[str], None],
    ) -> None:
        self._registry, self._section, self._alarm = registry, section, alarm
        self._host, self._port = host, port
        self._networks = [ip_network(one) for one in networks]
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)
        self._collecting = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scrape")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._answers: set[asyncio.Task[None]] = set()
        self._page: asyncio.Future[bytes] | None = None
        self._page_s = float("-inf")
        self._said_s = float("-inf")
        self._is_closed = False
        self.bound_port = 0

    def start(self) -> None:
        """Begin to listen, on a thread; an address that cannot be bound is logged and tried again."""
        self._thread.start()

    def close(self) -> None:
        """Stop; connections are closed. May be called again."""
        self._is_closed = True
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread.ident is not None:
            self._thread.join(ANSWER_S)
        self._collecting.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        while not self._is_closed:
            try:
                listening = _bound(self._host, self._port)
            except OSError as error:
                self._say_unbound(error)
                await asyncio.sleep(RETRY_S)
                continue
            with listening:
                self.bound_port = listening.getsockname()[1]
                _log.info("metrics are served at http://%s%s", _shown(self._host, self.bound_port), PATH)
                await self._accept(listening)

    def _say_unbound(self, error: OSError) -> None:
        if not self._is_said():
            return
        _log.error(
            "metrics cannot be served at %s: %s; everything else goes on, without them. Correct `listen` in [%s], or "
            "stop the program that uses the address; trying again each minute",
            _shown(self._host, self._port), error.strerror or error, self._section,
        )  # fmt: skip
        self._alarm(ALARM)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while len(self._answers) >= MOST_CONNECTIONS:
                await asyncio.wait(self._answers, return_when=asyncio.FIRST_COMPLETED)
            try:
                connection, address = await loop.sock_accept(listening)
            except OSError:  # no descriptor is left, or the client is gone already
                await asyncio.sleep(_PAUSE_S)
                continue
            if self._may_scrape(address[0]):
                task = asyncio.create_task(self._answer(connection))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)
            else:
                connection.close()
                self._say_refused(address[0])
            await asyncio.sleep(_PAUSE_S)

    def _may_scrape(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        return any(address in network for network in self._networks)

    def _say_refused(self, host: str) -> None:
        if self._is_said():
            _log.warning("metrics were refused to %s: it is not in `networks` of [%s]", host, self._section)

    def _is_said(self) -> bool:
        """Tell whether a log line is due now: one a minute."""
        now_s = time.monotonic()
        is_due = now_s - self._said_s >= _SAY_EVERY_S
        if is_due:
            self._said_s = now_s
        return is_due

    async def _answer(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            reader, writer = await asyncio.open_connection(sock=connection, limit=_MOST_HEADER)
        except OSError:  # the client is gone
            connection.close()
            return
        try:
            async with asyncio.timeout(REQUEST_S):
                status = status_of(await reader.readuntil(b"\r\n\r\n"))
            async with asyncio.timeout(ANSWER_S):
                writer.write(await self._response(status))
                await writer.drain()
                writer.write_eof()
        except asyncio.LimitOverrunError:
            writer.write(_head(431, b""))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            await _close(writer)

    async def _response(self, status: int) -> bytes:
        if status != 200:
            return _head(status, b"")
        try:
            async with asyncio.timeout(_COLLECT_S):
                page = await asyncio.shield(self._collected())
        except TimeoutError:
            self._say_uncollected(f"not within {_COLLECT_S:g} s; a disk may hang")
            return _head(503, b"")
        except Exception as error:  # noqa: BLE001 - a scrape that fails is the scraper's loss, not the process's
            self._say_uncollected(type(error).__name__)
            return _head(503, b"")
        return _head(200, page)

    def _say_uncollected(self, why: str) -> None:
        if self._is_said():
            _log.error("metrics could not be collected: %s", why)

    def _collected(self) -> "asyncio.Future[bytes]":
        """Return the page; one that is collected now, or was less than a second ago, serves again."""
        now_s = time.monotonic()
        page = self._page
        if page is None or (page.done() and (now_s - self._page_s >= _SAME_S or page.exception() is not None)):
            page = self._page = asyncio.get_running_loop().run_in_executor(
                self._collecting, generate_latest, self._registry
            )
            self._page_s = now_s
        return page


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection when the client has the answer; drop the rest if that takes too long."""
    writer.close()
    try:
        async with asyncio.timeout(_CLOSE_S):
            await writer.wait_closed()
    except TimeoutError:  # a short answer is in the buffer still, and would keep the descriptor as long as the client
        writer.transport.abort()
    except OSError:
        pass


_REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}  # fmt: skip


def status_of(request: bytes) -> int:
    """Return the status of the answer to a request, by its first line (RFC 9112 section 3)."""
    words = request.partition(b"\r\n")[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return 400
    if words[1].partition(b"?")[0] != PATH.encode():
        return 404
    return 200 if words[0] == b"GET" else 405


def _head(status: int, body: bytes) -> bytes:
    """Return a whole response."""
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"Content-Length: {len(body)}", "Connection: close"]
    if status == 200:
        lines.append(f"Content-Type: {CONTENT_TYPE_PLAIN_0_0_4}")
    if status == 405:
        lines.append("Allow: GET")
    return "\r\n".join([*lines, "", ""]).encode() + body


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(MOST_CONNECTIONS)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
