"""Addresses of `recorder phone`: whom to call, and where to listen."""

import contextlib
import re
import socket

from recorder.demo.phones.messages import PhoneError

WAITING_PORT = 5070
"""Where the phone waits for calls, if nothing else is said: 5060 is the recorder's."""
_URI = re.compile(r"(?:sip:)?(?P<user>[^@\s;<>]+)@(?P<host>[^@:\s;<>]+)(?::(?P<port>\d{1,5}))?$")
_SIP_PORT = 5060


def target_of(uri: str) -> tuple[str, tuple[str, int]]:
    """Return the URI to call, and the address it leads to.

    Raises:
        PhoneError: It is none, or its host is unknown.
    """
    found = _URI.match(uri)
    port = int(found["port"] or _SIP_PORT) if found else 0
    if found is None or not 0 < port < 1 << 16:
        raise PhoneError(f"{uri} is not an address that can be called: give NUMBER@HOST or NUMBER@HOST:PORT")
    try:
        ip = socket.getaddrinfo(found["host"], port, socket.AF_INET, socket.SOCK_DGRAM)[0][4][0]
    except OSError as error:
        raise PhoneError(f"the host {found['host']} is unknown: {error.strerror}") from error
    return f"sip:{found['user']}@{found['host']}:{port}", (str(ip), port)


def listen_address(listen: str, target: tuple[str, tuple[str, int]] | None) -> tuple[str, int]:
    """Return where the phone listens; port 0 is a free one.

    Raises:
        PhoneError: No address of this machine leads to the target.
    """
    host, _, port = listen.partition(":")
    if port and not (port.isdigit() and int(port) < 1 << 16):
        raise PhoneError(f"{listen} is not an address to listen at: give IP or IP:PORT")
    if not host and target is not None:
        with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
            try:
                probe.connect(target[1])
            except OSError as error:
                raise PhoneError(f"no network leads to {target[1][0]}: {error.strerror}") from error
            host = str(probe.getsockname()[0])
    return host or "127.0.0.1", int(port or (0 if target else WAITING_PORT))
