"""Checks of `recorder site-check` on a home: permissions, whether keys open, whether SIP can listen."""

import errno
import os
import socket
import stat
from collections.abc import Iterator

from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.home_rights import forbidden_in, given_away
from recorder.service.findings import SiteFinding, error, ok, warning
from sip.options import Address, TransportKind
from storage.epochs import EpochKeys, read_public
from storage.errors import KeyProblemError
from storage.group_modes import is_shared

_LOST = "recordings are sealed to the public keys, and nobody could ever listen to them"


def check_private_keys(keys: EpochKeys) -> Iterator[SiteFinding]:
    """Check that the private keys here match their public keys; no finding if there are none.

    A key with a passphrase is opened only if it is the newest and the passphrase is known, as each takes a second.
    """
    names = keys.names()
    problems = [problem for name in names if (problem := _problem_with(keys, name)) is not None]
    for problem in problems:
        yield error("private keys open", problem, why=_LOST, do="restore the folder of private keys from its backup")
    if names and not problems:
        yield ok("private keys open", f"{len(names)} match their public keys")


def _problem_with(keys: EpochKeys, name: str) -> str | None:
    try:
        is_known = (keys.public_folder / f"{name}.pub").exists()
        if is_known and read_public(keys.public_folder, name).public != keys.public_of(name).public:
            return f"{name}.key does not match the public key that recordings of {name} are sealed to"
        if not keys.is_sealed(name):
            keys.load_private(name)
        elif name == keys.names()[-1] and keys.has_passphrase:
            keys.check_passphrase()
    except (KeyProblemError, OSError, ValueError) as problem:
        return str(problem)
    return None


def check_listening(config: Config, *, is_running: bool) -> Iterator[SiteFinding]:
    """Check that SIP can listen on the configured addresses, unless the daemon is running there."""
    sip = config.sip
    streams = [(address, socket.SOCK_STREAM) for address in (sip.listen_tcp, sip.listen_tls)]
    for address, kind in [(sip.listen, socket.SOCK_DGRAM), *streams]:
        if address is not None:
            over = "UDP" if kind == socket.SOCK_DGRAM else "TCP"
            yield _listening(address, kind, f"SIP at {address.bracketed}:{address.port}, {over}", is_running=is_running)


def _listening(address: Address, kind: socket.SocketKind, what: str, *, is_running: bool) -> SiteFinding:
    if is_running:
        return ok(what, "the daemon runs here")
    problem = _bind_problem(address, kind)
    if problem is None:
        return ok(what, "free")
    if problem.errno == errno.EACCES:
        why, do = "this shell cannot try it", "run site-check as the service's user, or as root"
        return warning(what, "this user may not listen there", why=why, do=do)
    says = "another program listens there" if problem.errno == errno.EADDRINUSE else os.strerror(problem.errno or 0)
    why = "the recorder does not start, and takes no calls"
    return error(what, says, why=why, do="end the other program (`ss -lnp`), or change listen in [sip]")


def _bind_problem(address: Address, kind: socket.SocketKind) -> OSError | None:
    try:
        family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=kind)[0]
        with socket.socket(family, kind) as trial:
            if kind == socket.SOCK_STREAM:  # sockets in TIME_WAIT do not matter
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(place)
            if kind == socket.SOCK_STREAM:
                trial.listen()
    except OSError as problem:
        return problem
    return None


def check_next_hops(config: Config) -> Iterator[SiteFinding]:
    """Check that no route leads back to the recorder itself."""
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
                why="calls go in a circle until Max-Forwards is 0, and reach no phone",
                do=f"set targets in [[route]] {route.name} to the address of the PBX",
            )  # fmt: skip


def check_folders(home: Home) -> Iterator[SiteFinding]:
    """Check permissions in a home; files that hold only messages to callers may be readable by anybody."""
    open_to_others = sorted(
        f"{path.relative_to(home.root).as_posix() or '.'} ({stat.S_IMODE(path.stat().st_mode):04o})"
        for path in (home.root, home.config, home.people, home.index, home.audit, home.state, home.recordings,
                     home.private_keys, home.root / "keys")
        if path.exists() and path.stat().st_mode & forbidden_in(home, path)
    )  # fmt: skip
    if open_to_others:
        yield warning(
            "permissions", f"users other than the owner have rights on {', '.join(open_to_others)}",
            why="the index and the audit log hold numbers and names unencrypted; only the owner may read keys",
            do="chmod 0700 for folders, 0600 for files",
        )  # fmt: skip
    else:
        yield ok("permissions", "only the owner may read the home")
    away = [path.relative_to(home.root).as_posix() for path in given_away(home)]
    if away:
        yield warning(
            "group", f"{', '.join(away)}: in the group that daemon and console share",
            why="only the file modes keep the daemon's user from accounts and keys, and a mode is easily changed",
            do="chgrp -R to the primary group of the accounts' user (docs/operations.md, Two users)",
        )  # fmt: skip
    owners = {path.stat().st_uid for path in (home.root, home.config, home.recordings, home.audit) if path.exists()}
    if len(owners) > 1 and not is_shared(home.root):
        yield warning(
            "owner", f"files of the home belong to {len(owners)} users",
            why="the daemon cannot write files of another user; commands run as root leave such files",
            do=f"chown -R to the service's user: {home.root}",
        )  # fmt: skip
    above = home.root.parent.stat().st_mode
    if above & 0o002 and not above & stat.S_ISVTX:
        yield warning(
            "permissions above", f"anybody may rename the home: {home.root.parent} is writable by all",
            why="anybody who replaces the folder decides what is recorded and where",
            do=f"chmod o-w {home.root.parent}",
        )  # fmt: skip
