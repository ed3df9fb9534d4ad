"""Results about access requests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Whether a team leader is absent."""

    account: str
    is_absent: bool
