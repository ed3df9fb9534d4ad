"""Results about keys."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedAccountKey:
    """The new key of authenticators and recovery codes."""

    fingerprint: str
    values: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RotatedSigningKey:
    """The new key that signs who acts, and the nodes that do not know it yet."""

    fingerprint: str
    missing: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyedKey:
    """An epoch whose private key was destroyed."""

    epoch: str
    is_destroyed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPassphrase:
    """The epochs whose private keys have another passphrase now, or none."""

    epochs: list[str]
    has_passphrase: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEpoch:
    """New keys of an epoch."""

    epoch: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The keys of a month."""

    epoch: str
    sealed: int
    is_current: bool
    is_over: bool
    elsewhere: list[str]
    month: str
    fingerprint: str | None
    is_private_here: bool
    has_passphrase: bool | None
    is_fallback: bool
    needed_because: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResealedRecording:
    """A recording that is sealed to a later epoch now."""

    id: str
    from_: str
    to: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TidiedKeys:
    """What the daily maintenance of keys did."""

    resealed: list[ResealedRecording]
    destroyed: list[str]
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the site."""

    name: str
    address: str | None
    version: str | None
    state: str
    calls: int | None
    capacity: int | None
    seen_at: str | None
    seen_ago_s: float | None
    started_at: str | None
    fingerprint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFile:
    """A file for another machine; without --output it is in `file`."""

    name: str
    fingerprint: str
    address: str | None = None
    certificate_ends_at: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedNode:
    """A machine that has joined a site, and lines for its configuration."""

    name: str
    certificate_ends_at: str
    configuration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovedNode:
    """What is still on a node."""

    name: str
    fingerprint: str
    calls: int
    recordings: int
    unfinished: int
    not_stored: int
    files_waiting: int
    sealed: list[str]
    reported_at: str | None
