"""Lists that the console reads from the daemon for notifications; empty while the daemon does not answer."""

from pathlib import Path
from typing import Any

from recorder.access.signing import Signer
from recorder.control.client import SERVICE, DaemonUnavailableError, LiveClient

DAEMON_S = 1.8
"""Longest wait for an answer, seconds."""


def opt_outs_of(socket: Path, signer: Signer) -> list[dict[str, Any]]:
    """Return the daemon's opt-out requests; empty if it does not answer, because it has no calls then."""
    try:
        with LiveClient(socket, signer=signer, timeout_s=DAEMON_S) as live:
            return live.opt_outs(actor=SERVICE)
    except DaemonUnavailableError:
        return []


def takeovers_of(socket: Path, signer: Signer) -> list[dict[str, Any]]:
    """Return the recent takeovers of phones; empty if the daemon does not answer, and reported later."""
    try:
        with LiveClient(socket, signer=signer, timeout_s=DAEMON_S) as live:
            return live.takeovers()
    except DaemonUnavailableError:
        return []
