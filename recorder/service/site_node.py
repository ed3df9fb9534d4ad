"""This daemon as a node of a site with several: its row in the database, and its control API over mutual TLS."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.node_options import NodeOptions
from recorder.control.node_server import NodeServer
from recorder.control.peer_tls import SiteTls
from recorder.service import certificates
from recorder.service.node_registration import NodeLoad, NodeRegistration
from recorder.site_keys.places import revocation_list
from sip.tls import TlsFilesError, days_left
from storage.database import Database
from storage.nodes import Nodes

_log = logging.getLogger(__name__)

CERTIFICATE_ENDS = "node_certificate_ends"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeParts:
    """What a node is made of.

    Attributes:
        home: The recorder's home.
        options: The section ``[node]``.
        fingerprint: Of the node's signing key.
        database: The index.
        app: The application of the daemon's socket.
        load: Returns the load; any thread.
        set_alarm: Sets or clears an alarm; any thread.
    """

    home: Home
    options: NodeOptions
    fingerprint: str
    database: Database
    app: FastAPI
    load: Callable[[], NodeLoad]
    set_alarm: Callable[[str, bool], None]


class NodeStartError(Exception):
    """The node's control API cannot be set up; the message is a sentence."""


def open_site_node(parts: NodeParts) -> "SiteNode | None":
    """Return this daemon as a node; None on a site with one recorder.

    Raises:
        NodeStartError: The certificate cannot be used.
    """
    if parts.options.name is None:
        return None
    try:
        return SiteNode(parts)
    except TlsFilesError as error:
        raise NodeStartError(f"certificate, key and ca in [node]: {error}") from error


class SiteNode:
    """Registration and control API of a node.

    Raises:
        TlsFilesError: The certificate cannot be used.
    """

    def __init__(self, parts: NodeParts) -> None:
        files, listen = parts.options.server_files, parts.options.listen
        assert files is not None and listen is not None, "the configuration was checked"
        self._set_alarm = parts.set_alarm
        self._tls = SiteTls(files, revocation_list(parts.home))
        self._is_stale = False
        self._server = NodeServer(parts.app, listen, self._tls, set_alarm=parts.set_alarm)
        self._registration = NodeRegistration(
            Nodes(parts.database),
            name=parts.options.name or "",
            fingerprint=parts.fingerprint,
            address=parts.options.address,
            load=parts.load,
            set_alarm=parts.set_alarm,
            also=self._look_at_certificate,
        )

    def start(self) -> None:
        """Register, and serve."""
        self._server.start()
        self._registration.start()

    def close(self) -> None:
        """Stop serving, and mark the row as stopped."""
        self._server.close()
        self._registration.close()

    def as_json(self) -> dict[str, Any]:
        """Return the state, for the health report."""
        return self._registration.as_json() | {"certificate_ends_at": self._tls.expires_at.isoformat()}

    def _look_at_certificate(self) -> None:
        """Take renewed files and a new list of revoked certificates into use; the old ones stay if they are bad."""
        was_stale, self._is_stale = self._is_stale, False
        try:
            if self._tls.refresh():
                self._server.close_connections()  # a certificate may have been revoked
        except TlsFilesError as error:
            self._is_stale = True
            if not was_stale:
                _log.error("The node's certificate cannot be read again; the old one stays in use: %s", error)
        is_ending = days_left(self._tls.expires_at, utc_now()) < certificates.SOON_DAYS
        self._set_alarm(CERTIFICATE_ENDS, self._is_stale or is_ending)
