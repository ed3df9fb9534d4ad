"""Results about accounts, proposals and tokens."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """A change of an account: done, or proposed to a second person."""

    account: str | None
    is_done: bool = True
    proposal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedProposal:
    """A proposal that a second person confirmed or declined."""

    id: str
    account: str
    change: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was made, with its secret, and the proposal that a second person confirms."""

    name: str
    token: str
    proposal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedToken:
    """A token that was revoked."""

    name: str
    is_revoked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class LostAuthenticators:
    """Accounts whose authenticator no key opens."""

    accounts: list[str]
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ResealedAccount:
    """An account whose roles count again."""

    name: str
    roles: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session for RECORDER_TOKEN."""

    account: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """The end of a session; no account if it had expired."""

    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account, without its password."""

    name: str
    display_name: str
    roles: list[str]
    teams: list[str]
    extension: str | None
    has_second_factor: bool
    is_connected: bool
    has_pin: bool
    is_disabled: bool
    closes_at: str | None
    told_on: str | None
    is_locked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingProposal:
    """A change that waits for a second person, and what was lately set at the account."""

    id: str
    account: str
    change: str
    roles: list[str]
    reason: str
    proposed_by: str
    until: str
    address: str | None
    password_set_at: str | None
    password_set_by: str | None
    authenticator_set_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of another system, without its secret."""

    name: str
    scopes: str
    extensions: str
    networks: str
    expires_at: str | None
    is_revoked: bool
    is_waiting: bool
