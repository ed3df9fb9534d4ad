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
