"""Results about recordings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A recording that was played, and the spans that were silent because no grant covers them, in seconds."""

    recording: str
    duration_s: float
    withheld: list[list[float]]
