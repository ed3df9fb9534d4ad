"""Checks that the systems around the recorder answer: the targets of routes, and the registrars."""

import contextlib
import secrets
import socket
import time
from collections.abc import Sequence
from typing import Any

from recorder.demo.phones.sip_messages import WireError, build_request, parse
from recorder.selftest.report import Report

_ANSWER_S = 2.0
_AGAIN_S = 0.5


def check_targets(
    report: Report, targets: Sequence[dict[str, Any]], registrations: Sequence[dict[str, Any]], host: str
) -> None:
    """Check every target, and every registration.

    Args:
        report: Takes the checks.
        targets: Route, name and resolved addresses of each.
        registrations: State of each.
        host: Our own address, from which targets know us.
    """
    dead = sorted({f"{one['target']} (route {one['route']})" for one in targets if not _answers(one["at"], host)})
    report.check(
        "trunk",
        not dead,
        "every target of the routes answers",
        f"no answer from {', '.join(dead)}: calls on these routes fail; look at the trunk, the PBX and the firewall",
    )
    lost = sorted(one["name"] for one in registrations if not one["is_registered"])
    if registrations:
        report.check(
            "registration",
            not lost,
            "every registration stands",
            f"not registered at {', '.join(lost)}: calls from there do not arrive",
        )


def _answers(addresses: Sequence[Sequence[Any]], host: str) -> bool:
    """Tell whether a target answers at one of its addresses."""
    return any(
        _answers_options(target, port, host) if transport == "udp" else _connects(target, port)
        for target, port, transport in addresses
    )


def _connects(target: str, port: int) -> bool:
    try:
        with socket.create_connection((target, port), timeout=_ANSWER_S):
            return True
    except OSError:
        return False


def _answers_options(target: str, port: int, host: str) -> bool:
    """Send OPTIONS until something SIP comes back (RFC 3261 section 11)."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        with contextlib.suppress(OSError):
            opened.bind((host, 0))
        own = f"{host}:{opened.getsockname()[1]}"
        uri = f"sip:{target}:{port}"
        request = bytes(
            build_request(
                own, "OPTIONS", uri, local=f"<sip:selftest@{own}>;tag={secrets.token_hex(6)}", remote=f"<{uri}>",
                call_id=secrets.token_hex(12), cseq=1,
            )
        )  # fmt: skip
        until = time.monotonic() + _ANSWER_S
        opened.settimeout(_AGAIN_S)
        while time.monotonic() < until:
            with contextlib.suppress(OSError, WireError):
                opened.sendto(request, (target, port))
                if parse(opened.recv(65_535)).status:
                    return True
    return False
