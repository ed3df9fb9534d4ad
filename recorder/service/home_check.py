"""Checks of `recorder site-check` on a home: rights, whether keys open, whether SIP can listen."""

import errno
import os
import socket
import stat
from collections.abc import Iterator, Sequence

from recorder.common.home import Home
from recorder.common.system_user import group_name, members_of, os_user
from recorder.config.settings import Config
from recorder.recordings.home_rights import WrongRights, wrong_rights
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
    """Check who may read and write what in a home; fsck does so for the files of recordings and their keys."""
    wrong = sorted(wrong_rights(home), key=lambda one: one.path.as_posix())
    yield from _open_to_others(wrong, is_two=is_shared(home.root))
    if lacking := [_named(one) for one in wrong if one.less]:
        yield error(
            "rights of the daemon", f"the daemon's user cannot use {_listed(lacking)}",
            why="the daemon does not start, or does not see what the console writes", do=_share_again(home),
        )  # fmt: skip
    away = [one.path.as_posix() for one in wrong if one.is_given_away]
    if away:
        yield warning(
            "group", f"{_listed(away)}: in the group that daemon and console share",
            why="only the file modes keep the daemon's user from accounts and keys, and a mode is easily changed",
            do=f"{_share_again(home)}, or chgrp -R to the primary group of the accounts' user",
        )  # fmt: skip
    if strange := [f"{_named(one)} of {os_user(one.found.st_uid)}" for one in wrong if one.is_strangers]:
        yield error(
            "owner", f"{_listed(strange)}: only {os_user(home.root.stat().st_uid)} may own these",
            why="an owner can read and change a file whatever its mode: keys, accounts, or what is recorded",
            do=_share_again(home),
        )  # fmt: skip
    owners = {path.stat().st_uid for path in (home.root, home.config, home.recordings, home.audit) if path.exists()}
    if len(owners) > 1 and not is_shared(home.root):
        yield warning(
            "owner", f"files of the home belong to {len(owners)} users",
            why="the daemon cannot write files of another user; commands run as root leave such files",
            do=f"chown -R to the service's user: {home.root}",
        )  # fmt: skip
    if is_shared(home.root):
        yield from _check_members(home)
    above = home.root.parent.stat().st_mode
    if above & 0o002 and not above & stat.S_ISVTX:
        yield warning(
            "permissions above", f"anybody may rename the home: {home.root.parent} is writable by all",
            why="anybody who replaces the folder decides what is recorded and where",
            do=f"chmod o-w {home.root.parent}",
        )  # fmt: skip


_USERS = 2
"""Daemon and console."""
_SHOWN = 12
"""Most files that a finding lists."""


def _open_to_others(wrong: Sequence[WrongRights], *, is_two: bool) -> Iterator[SiteFinding]:
    found = [f"{_named(one)} to {_whom(one)}" for one in wrong if one.more]
    if not found:
        says = "each user has its own rights and no others" if is_two else "only the owner may read the home"
        yield ok("permissions", says)
        return
    yield warning(
        "permissions", f"open to users who should not have them: {_listed(found)}",
        why="the index and the audit log hold numbers and names unencrypted; only the owner may read keys and accounts",
        do="chmod 0700 for folders, 0600 for files" if not is_two else "stop both and run `recorder share GROUP` again",
    )  # fmt: skip


def _check_members(home: Home) -> Iterator[SiteFinding]:
    """Check that only the two users are in the group of a shared home."""
    group = home.root.stat().st_gid
    members = members_of(group)
    if len(members) > _USERS:
        yield warning(
            "group", f"{group_name(group)} has {len(members)} members: {', '.join(members)}",
            why="each of them reads the index and the audit log, and can delete recordings",
            do=f"leave only the users of daemon and console in it: gpasswd -d USER {group_name(group)}",
        )  # fmt: skip


def _share_again(home: Home) -> str:
    group = group_name(home.root.stat().st_gid)
    return f"stop daemon and console, then run as root: recorder share {group} -C {home.root}"


def _whom(one: WrongRights) -> str:
    """Return who has the rights that a file should not give."""
    if one.more & 0o007:
        return "everybody"
    group = one.found.st_gid
    return f"group {group_name(group)} ({', '.join(members_of(group)) or 'no members'})"


def _named(one: WrongRights) -> str:
    return f"{one.path.as_posix()} ({stat.S_IMODE(one.found.st_mode):04o})"


def _listed(found: Sequence[str]) -> str:
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
