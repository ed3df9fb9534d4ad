"""The result of a self-test: a line for each check."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        name: Short name, for programs.
        passed: Whether it held.
        sentence: What holds, or what is wrong and what to do.
    """

    name: str
    passed: bool
    sentence: str


@dataclass(slots=True, kw_only=True)
class Report:
    """All checks of one self-test.

    Attributes:
        checks: In the order in which they were made.
        recording: Id of the recording; None if there was no call.
        duration_s: How long the self-test took, seconds.
        is_deleted: Whether the recording was deleted.
    """

    checks: list[Check] = field(default_factory=list)
    recording: str | None = None
    duration_s: float = 0.0
    is_deleted: bool = False

    def check(self, name: str, passed: bool, holds: str, fault: str) -> bool:
        """Add a check; return whether it passed."""
        self.checks.append(Check(name=name, passed=passed, sentence=holds if passed else fault))
        return passed

    @property
    def failed(self) -> list[str]:
        """Return the names of the checks that failed."""
        return [one.name for one in self.checks if not one.passed]

    @property
    def passed(self) -> bool:
        """Tell whether there were checks, and all passed."""
        return bool(self.checks) and not self.failed
