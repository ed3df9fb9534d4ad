"""Opens the way to live calls: this machine's daemon, or all nodes of a site that has several."""

import logging
import ssl
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from recorder.access.signing import Signer
from recorder.common.home import Home
from recorder.config.node_options import NodeOptions, PeerFiles
from recorder.config.sip_transports import parse_address
from recorder.control.client import SERVICE, LiveClient
from recorder.control.connections import NobodyThereError
from recorder.control.errors import DaemonUnavailableError
from recorder.control.event_stream import events
from recorder.control.links import SocketLink, StreamLink
from recorder.control.node_directory import NodeDirectory
from recorder.control.node_link import NodeLink
from recorder.control.peer_tls import SiteTls
from recorder.control.site_calls import SiteCalls
from recorder.control.site_events import SiteEvents, StreamTimes
from recorder.control.site_members import SiteMembers
from recorder.site_keys.places import SiteKeysError, revocation_list
from recorder.site_keys.publishing import stored_list
from sip.options import Address
from sip.tls import TlsFilesError
from storage.database import Database
from storage.nodes import REMOVED, NodeRow, Nodes

_log = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""State of a node whose row says wrongly that it was removed."""
ANSWER_S = 1.8
"""How long a daemon may take to answer, seconds: pages promise an answer within 2 s."""
Events = Callable[[str, StreamTimes], AsyncGenerator[bytes]]
"""Opens a stream of events for an actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSite:
    """The way to live calls.

    Attributes:
        live: Lists and acts.
        events: Opens a stream of events.
    """

    live: LiveClient | SiteCalls
    events: Events

    def opt_outs(self) -> list[dict[str, Any]]:
        """Return the opt-out requests; empty if no daemon answers, because there are no calls then."""
        try:
            return self.live.opt_outs(actor=SERVICE)
        except DaemonUnavailableError:
            return []

    def takeovers(self) -> list[dict[str, Any]]:
        """Return the recent takeovers of phones; empty if no daemon answers, and reported later."""
        try:
            return self.live.takeovers()
        except DaemonUnavailableError:
            return []


@contextmanager
def open_site(home: Home, options: NodeOptions, database: Database, signer: Signer) -> Iterator[OpenSite]:
    """Open the way to live calls for the console, and keep connections to other nodes open until the end.

    Args:
        home: The recorder's home.
        options: The section ``[node]``.
        database: The index, which has the list of nodes.
        signer: Signs who acts.
    """
    members = site_members(home, options, database, signer)
    if members is None:
        link = SocketLink(home.socket, signer, timeout_s=ANSWER_S)
        with LiveClient(link) as live:
            yield OpenSite(live=live, events=partial(_events_of, link))
        return
    stopping = threading.Event()
    keeping = threading.Thread(target=members.keep, args=(stopping,), name="nodes", daemon=True)
    keeping.start()
    try:
        yield OpenSite(live=SiteCalls(members), events=partial(_events_of_all, members))
    finally:
        stopping.set()
        keeping.join(ANSWER_S)
        members.close()


def site_members(
    home: Home, options: NodeOptions, database: Database, signer: Signer, *, timeout_s: float = ANSWER_S
) -> SiteMembers | None:
    """Return the nodes of a site with several; None if this machine reaches its own daemon only."""
    files = options.console_files
    if files is None:
        return None
    tls = _ClientTls(home, files)

    def connect(name: str, address: str) -> NodeLink:
        try:
            where = parse_address(address, 0)
        except ValueError:  # every node can write its row; the others must be reached all the same
            where = Address(host=address, port=0)
        return NodeLink(name, where, tls.context, signer, timeout_s=timeout_s)

    local = None if options.name is None else (options.name, SocketLink(home.socket, signer, timeout_s=timeout_s))
    directory = NodeDirectory(partial(_nodes_of_site, home, Nodes(database)), home.state / "nodes.json")
    return SiteMembers(directory, local, connect)


def _nodes_of_site(home: Home, nodes: Nodes) -> tuple[list[NodeRow], int]:
    """Return the nodes in the table, and the database's clock.

    The key list says which nodes were added and removed, since only the key holder can write that. Whoever can write
    the table, such as a removed node whose database password still works, could have every act wait for machines that
    do not exist, or could hide nodes from it: a node does not renew a row that says that it was removed.
    """
    rows, now_us = nodes.all()
    try:
        listed = stored_list(home)
    except SiteKeysError as error:
        _log.warning("All nodes in the database are taken for the site's: %s", error)
        return rows, now_us
    if listed is None:
        return rows, now_us
    active = listed.content.active_nodes
    return [replace(row, state=UNKNOWN) if row.state == REMOVED else row for row in rows if row.name in active], now_us


class _ClientTls:
    """Our certificate, read when it is first needed: without it this machine's own daemon can still be reached."""

    def __init__(self, home: Home, files: PeerFiles) -> None:
        self._home = home
        self._files = files
        self._lock = threading.Lock()
        self._tls: SiteTls | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context; NobodyThereError if the files cannot be used."""
        with self._lock:
            try:
                if self._tls is None:
                    self._tls = SiteTls(self._files, revocation_list(self._home))
                self._tls.refresh()
            except TlsFilesError as error:
                if self._tls is None:
                    raise NobodyThereError(f"the certificate in [node] cannot be used: {error}") from error
            return self._tls.client


def _events_of(link: StreamLink, actor: str, times: StreamTimes) -> AsyncGenerator[bytes]:
    return events(link, actor=actor, connect_s=times.connect_s, silence_s=times.silence_s, beat_s=times.beat_s)


def _events_of_all(members: SiteMembers, actor: str, times: StreamTimes) -> AsyncGenerator[bytes]:
    return SiteEvents(lambda: [(one.name, one.link) for one in members.all()], actor=actor, times=times).stream()
