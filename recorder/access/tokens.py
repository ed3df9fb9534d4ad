"""Tokens of other systems: random, shown once, stored as a hash, limited in scope, source and time."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, delete, insert, select, update

from recorder.access.changes import changes_of_tokens
from recorder.access.database import AuditNote, from_s
from recorder.access.granting import STANDS_FOR
from recorder.access.tables import tokens
from recorder.permissions import Application, Scope

_PREFIX = "ccr_"
"""Lets a secret scanner find a token that was committed by mistake."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,39}")
_EXTENSION = re.compile(r"[0-9A-Za-z+*#._-]{1,40}")
_NO_HASH = "0" * 64


class TokenError(Exception):
    """A change to a token was refused; the message is a sentence. Nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A new token; ``secret`` cannot be shown again, ``row`` is what is stored."""

    secret: str
    note: AuditNote
    row: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """A refused token; ``why`` is for the audit log, ``name`` is empty if there is no such token."""

    name: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLine:
    """A line of `recorder tokens list`."""

    application: Application
    networks: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    is_revoked: bool
    is_waiting: bool = False
    """A second person must confirm it first."""


class Tokens:
    """The tokens in the file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
        self._version = changes_of_tokens(engine)
        self._known: tuple[object, dict[str, RowMapping]] = (None, {})
        """Rows by hash, and their version of the file: a pause must not wait for a database."""

    def prepare(
        self,
        name: str,
        *,
        scopes: Iterable[Scope],
        extensions: Iterable[str] = (),
        networks: Iterable[str] = (),
        expires_at: datetime | None = None,
    ) -> NewToken:
        """Make a token without storing it: `Proposals.token` stores it, for a second person to confirm.

        Args:
            name: 2 to 40 of a-z, 0-9, dot, dash, underscore.
            scopes: At least one.
            extensions: The only extensions it may act on; empty for all.
            networks: The only networks it may come from, such as ``10.1.0.0/16``; empty for anywhere.
            expires_at: Aware; None for never.

        Raises:
            TokenError: A value is not valid.
        """
        numbers = list(extensions)
        if not all(_EXTENSION.fullmatch(number) for number in numbers):
            raise TokenError("An extension is 1 to 40 letters, digits, + * # . _ or -.")
        row = {
            "name": name,
            "scopes": ",".join(sorted(set(scopes))),
            "extensions": ",".join(numbers),
            "networks": ",".join(str(network) for network in _networks(networks)),
            "created_s": self._now().timestamp(),
            "expires_s": None if expires_at is None else expires_at.timestamp(),
        }
        self._check(row)
        secret = _PREFIX + secrets.token_urlsafe(32)
        details = {key: row[key] for key in ("scopes", "extensions", "networks", "expires_s")}
        note = AuditNote(act="tokens.add", subject=name, details=details)
        return NewToken(secret=secret, note=note, row={**row, "secret_hash": _hash(secret)})

    def _check(self, row: dict[str, Any]) -> None:
        if not _NAME.fullmatch(row["name"]):
            raise TokenError(
                "A token name is 2 to 40 of a-z, 0-9, dot, dash and underscore, and begins with a letter or digit."
            )
        if not row["scopes"]:
            raise TokenError(f"A token needs a scope: {', '.join(Scope)}.")
        if row["expires_s"] is not None and row["expires_s"] <= row["created_s"]:
            raise TokenError("The token's expiry is in the past.")

    def revoke(self, name: str) -> AuditNote:
        """Revoke a token permanently.

        Raises:
            TokenError: There is no such token, or it is revoked already.
        """
        live = (tokens.c.name == name) & tokens.c.revoked_s.is_(None)
        with self._engine.begin() as connection:
            done = connection.execute(update(tokens).where(live).values(revoked_s=self._now().timestamp()))
        if done.rowcount != 1:
            raise TokenError(f"There is no token {name!r} in use: see `recorder tokens list`.")
        return AuditNote(act="tokens.revoke", subject=name)

    def list(self) -> list[TokenLine]:
        """Return every token by name, without its secret."""
        with self._engine.begin() as connection:
            end_unconfirmed(connection, self._now())
            rows = connection.execute(select(tokens).order_by(tokens.c.name)).mappings().all()
        return [_line(row) for row in rows]

    def identify(self, secret: str, source_ip: str) -> Application | TokenRefused:
        """Return the application of a token, if it may be used now and from this source.

        Args:
            secret: As it was sent.
            source_ip: Address of the connection, never of a header.
        """
        given = _hash(secret)
        return self._judged(given, self._row(given), source_ip)

    def identify_from_memory(self, secret: str, source_ip: str) -> Application | TokenRefused:
        """Return what `identify` does, by what was last read of the accounts; for while they are away."""
        given = _hash(secret)
        return self._judged(given, self._known[1].get(given), source_ip)

    def _judged(self, given: str, row: RowMapping | None, source_ip: str) -> Application | TokenRefused:
        # Hashes of 256 random bits are compared, so the timing of the look-up reveals nothing of the secret.
        if not hmac.compare_digest(given, row["secret_hash"] if row else _NO_HASH) or row is None:
            return TokenRefused("", "unknown")
        line = _line(row)
        if line.is_revoked:
            return TokenRefused(line.application.name, "revoked")
        if line.is_waiting:
            return TokenRefused(line.application.name, "not confirmed")
        if line.expires_at is not None and line.expires_at <= self._now():
            return TokenRefused(line.application.name, "expired")
        if line.networks and not _is_inside(source_ip, line.networks):
            return TokenRefused(line.application.name, "source")
        return line.application

    def _row(self, secret_hash: str) -> RowMapping | None:
        version = self._version()  # first: a row newer than its version is only read once more
        of_version, rows = self._known
        known = rows if of_version == version else {}
        row = known.get(secret_hash)
        if row is None:
            with self._engine.begin() as connection:
                query = select(tokens).where(tokens.c.secret_hash == secret_hash)
                row = connection.execute(query).mappings().first()
            if row is not None:
                self._known = version, {**known, secret_hash: row}
        return row

    def verify(self, secret: str, source_ip: str, scope: Scope, extension: str | None) -> Application | TokenRefused:
        """Identify a token and check one scope and, if given, one extension."""
        known = self.identify(secret, source_ip)
        if isinstance(known, TokenRefused):
            return known
        if scope not in known.scopes:
            return TokenRefused(known.name, "scope")
        if extension is not None and known.extensions and extension not in known.extensions:
            return TokenRefused(known.name, "extension")
        return known


def keep(connection: Connection, row: Mapping[str, Any], *, now: datetime) -> None:
    """Store a new token under a name that no token had; one that was never confirmed does not count.

    Args:
        connection: In a transaction.
        row: Of a `NewToken`.
        now: The time.

    Raises:
        TokenError: The name was used before.
    """
    name = row["name"]
    end_unconfirmed(connection, now)
    never_good = tokens.c.proposal.is_not(None) & tokens.c.revoked_s.is_not(None)
    connection.execute(delete(tokens).where((tokens.c.name == name) & never_good))
    if connection.execute(select(tokens.c.name).where(tokens.c.name == name)).first() is not None:
        raise TokenError(
            f"The token name {name} was used before; choose another, so that the audit log tells them apart."
        )
    connection.execute(insert(tokens).values(**row))


def end_unconfirmed(connection: Connection, now: datetime, *, proposal: str | None = None) -> str | None:
    """Revoke tokens that nobody confirmed in time, or the token of a declined proposal; returns its name."""
    is_it = tokens.c.created_s <= (now - STANDS_FOR).timestamp() if proposal is None else tokens.c.proposal == proposal
    waits = tokens.c.proposal.is_not(None) & tokens.c.revoked_s.is_(None) & is_it
    name: str | None = connection.execute(select(tokens.c.name).where(waits)).scalars().first()
    connection.execute(update(tokens).where(waits).values(revoked_s=now.timestamp()))
    return name


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


def _networks(texts: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(text) for text in texts]
    except ValueError as error:
        raise TokenError(f"Write a source network like 10.1.0.0/16 or 2001:db8::/32: {error}.") from error


def _is_inside(source_ip: str, networks: tuple[str, ...]) -> bool:
    try:
        source = ip_address(source_ip)
    except ValueError:
        return False
    mapped = getattr(source, "ipv4_mapped", None)
    return any((mapped or source) in ip_network(network) for network in networks)


def _split(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def _line(row: Any) -> TokenLine:  # noqa: ANN401 - a RowMapping
    created_at = from_s(row["created_s"])
    assert created_at is not None
    return TokenLine(
        application=Application(
            name=row["name"],
            scopes=frozenset(Scope(scope) for scope in _split(row["scopes"])),
            extensions=frozenset(_split(row["extensions"])),
        ),
        networks=tuple(_split(row["networks"])),
        created_at=created_at,
        expires_at=from_s(row["expires_s"]),
        is_revoked=row["revoked_s"] is not None,
        is_waiting=row["proposal"] is not None and row["revoked_s"] is None,
    )
