"""What `recorder site-check` tries out in a home: whether private keys open, and whether SIP can be listened to."""

import errno
import os
import socket
from collections.abc import Iterator

from recorder.config.settings import Config
from recorder.service.site_check import Finding, Level, error, warning
from sip.options import Address, TransportKind
from storage.epochs import EpochKeys, read_public
from storage.errors import KeyProblemError

_LOST = "recordings are sealed to the public halves, and nobody could ever listen to them"


def check_private_keys(keys: EpochKeys) -> Iterator[Finding]:
    """Look whether the private keys that are here are those of the public ones; none here is no finding.

    One that takes a passphrase is opened if it is the newest and the passphrase is known: each costs a second.
    """
    names = keys.names()
    problems = [problem for name in names if (problem := _problem_with(keys, name)) is not None]
    for problem in problems:
        yield error("private keys open", problem, why=_LOST, do="restore the folder of private keys from its backup")
    if names and not problems:
        yield Finding(level=Level.OK, what="private keys open", says=f"{len(names)} belong to their public halves")


def _problem_with(keys: EpochKeys, name: str) -> str | None:
    try:
        is_known = (keys.public_folder / f"{name}.pub").exists()
        if is_known and read_public(keys.public_folder, name).public != keys.public_of(name).public:
            return f"{name}.key is not the private half of what recordings of {name} are sealed to"
        if not keys.is_sealed(name):
            keys.load_private(name)
        elif name == keys.names()[-1] and keys.has_passphrase:
            keys.check_passphrase()
    except (KeyProblemError, OSError, ValueError) as problem:
        return str(problem)
    return None


def check_listening(config: Config, *, is_running: bool) -> Iterator[Finding]:
    """Look whether SIP can be listened to where it is configured; a daemon that runs here has it already."""
    sip = config.sip
    streams = [(address, socket.SOCK_STREAM) for address in (sip.listen_tcp, sip.listen_tls)]
    for address, kind in [(sip.listen, socket.SOCK_DGRAM), *streams]:
        if address is not None:
            over = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
            yield _listening(address, kind, f"SIP at {address.bracketed}:{address.port}, {over}", is_running=is_running)


def _listening(address: Address, kind: socket.SocketKind, what: str, *, is_running: bool) -> Finding:
    if is_running:
        return Finding(level=Level.OK, what=what, says="the daemon runs here")
    problem = _bind_problem(address, kind)
    if problem is None:
        return Finding(level=Level.OK, what=what, says="free")
    if problem.errno == errno.EACCES:
        why, do = "it cannot be tried from this shell", "run site-check as the service's user, or as root"
        return warning(what, "this user may not listen there", why=why, do=do)
    says = "another program listens there" if problem.errno == errno.EADDRINUSE else os.strerror(problem.errno or 0)
    why = "the recorder does not start, and no call is taken"
    return error(what, says, why=why, do="end the other program (`ss -lnp`), or change listen in [sip]")


def _bind_problem(address: Address, kind: socket.SocketKind) -> OSError | None:
    try:
        family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=kind)[0]
        with socket.socket(family, kind) as trial:
            if kind == socket.SOCK_STREAM:  # what only waits for the end of a connection is in nobody's way
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
            if kind == socket.SOCK_STREAM:
                trial.listen()
    except OSError as problem:
        return problem
    return None


def check_next_hops(config: Config) -> Iterator[Finding]:
    """Look whether a route leads back to the recorder itself."""
    own = {
        (address.host, address.port, kind)
        for address, kind in (
            (config.sip.listen, TransportKind.UDP), (config.sip.listen_tcp, TransportKind.TCP),
            (config.sip.listen_tls, TransportKind.TLS),
        )
        if address is not None
    }  # fmt: skip
    for route in config.route:
        if any((target.host, target.port, target.transport) in own for target in route.targets):
            yield error(
                f"targets of route {route.name}", "one of them is the recorder itself",
                why="calls go round in a circle until they have no hops left, and reach no phone",
                do=f"targets in [[route]] {route.name}: the address of the PBX",
            )  # fmt: skip
