"""Lists that the console takes from the daemon for notifications; empty while the daemon does not answer."""

from pathlib import Path
from typing import Any

from recorder.access.signing import Signer
from recorder.control.client import SERVICE, DaemonUnavailableError, LiveClient

DAEMON_S = 1.8
"""Longest wait for an answer, in seconds."""


def opt_outs_of(socket: Path, signer: Signer) -> list[dict[str, Any]]:
    """Return the daemon's requests to opt out; none while it does not answer: it has no calls then either."""
    try:
        with LiveClient(socket, signer=signer, timeout_s=DAEMON_S) as live:
            return live.opt_outs(actor=SERVICE)
    except DaemonUnavailableError:
        return []


def takeovers_of(socket: Path, signer: Signer) -> list[dict[str, Any]]:
    """Return who took a phone over lately, as the daemon says; none while it does not answer: they are told later."""
    try:
        with LiveClient(socket, signer=signer, timeout_s=DAEMON_S) as live:
            return live.takeovers()
    except DaemonUnavailableError:
        return []
