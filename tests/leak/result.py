"""What came of a run of the leak suite, and whom it tells of its progress."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.leak.judge import Leak, Verdict

Say = Callable[[str], None]


@dataclass(slots=True)
class Searched:
    """What was searched of a sink in a run."""

    bytes: int = 0
    pieces: int = 0
    is_proven: bool | None = None


@dataclass(slots=True)
class Result:
    """What came of a run; see `tests.leak.report`."""

    seed: int
    verdicts: list[Verdict] = field(default_factory=list)
    cells: Counter[tuple[str, str]] = field(default_factory=Counter)
    searched: dict[str, Searched] = field(default_factory=dict)
    leaks: list[tuple[str, Leak]] = field(default_factory=list)
    """What was found in sinks, by the call's name."""
    faults: list[str] = field(default_factory=list)
    how_watched: str = ""
    relayed: int = 0
    """Packets that the kernel relayed for the last daemon."""
    written: int = 0
    latest_s: float = 0.0
    unconfirmed: int = 0
    """How many acts the recorder got no CPU to confirm."""
    took_s: float = 0.0

    @property
    def all_leaks(self) -> list[tuple[str, Leak]]:
        """Every leak, in containers and elsewhere."""
        return [(v.name, leak) for v in self.verdicts for leak in v.leaks] + self.leaks

    @property
    def all_faults(self) -> list[str]:
        """Everything else that is wrong."""
        return self.faults + [f"{v.name}: {fault}" for v in self.verdicts for fault in v.faults]

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing was found and nothing went wrong."""
        return not self.all_leaks and not self.all_faults
