"""Accounts at peers and registrars: which password answers which challenge."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recorder.common.ranges import AtLeastOne
from recorder.rules.routing import Peer
from sip.digest import Credentials
from sip.options import Address, Registrar
from storage.errors import KeyProblemError
from storage.key_files import read_secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOptions:
    """A ``[[register]]``: an address of record at a PBX or trunk to which the recorder binds itself.

    Attributes:
        name: For logs and health; unique.
        registrar: Where REGISTER is sent.
        user: User of the address of record.
        domain: Its domain; None for the registrar's host.
        auth_user: User for challenges; None for ``user``.
        password_file: Its password, first line of a file with mode 0600; None to answer no challenge.
        expires_s: Requested lifetime of the registration, seconds.
    """

    name: str
    registrar: Address
    user: str
    domain: str | None = None
    auth_user: str | None = None
    password_file: str | None = None
    expires_s: AtLeastOne = 600


class AccountError(Exception):
    """A password cannot be read; the message says what to do."""


def accounts(peers: tuple[Peer, ...]) -> Callable[[str], Credentials | None]:
    """Return a function for the account at an address: that of the first peer with the address in its networks.

    Raises:
        AccountError: A password file cannot be used.
    """
    known = [(peer, _credentials(peer.auth_user, peer.auth_password_file)) for peer in peers if peer.auth_user]

    def account_of(host: str) -> Credentials | None:
        try:
            return next((account for peer, account in known if peer.has(host)), None)
        except ValueError:
            return None  # a host name

    return account_of


def registrars(options: tuple[RegisterOptions, ...]) -> list[Registrar]:
    """Return the registrations to make.

    Raises:
        AccountError: A password file cannot be used.
    """
    return [
        Registrar(
            name=option.name,
            address=option.registrar,
            user=option.user,
            domain=option.domain or option.registrar.host,
            account=_credentials(option.auth_user or option.user, option.password_file),
            expires_s=option.expires_s,
        )
        for option in options
    ]


def _credentials(user: str | None, password_file: str | None) -> Credentials | None:
    if user is None or password_file is None:
        return None
    try:
        lines = read_secret(Path(password_file)).decode(errors="replace").splitlines()
    except KeyProblemError as error:
        raise AccountError(str(error)) from error
    if not lines or not lines[0]:
        raise AccountError(f"{password_file} is empty: its first line is the password")
    return Credentials(user=user, password=lines[0])
