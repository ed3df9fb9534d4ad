"""The target of an act on live calls: one call, or every call of an extension. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallTarget:
    """One call, by its id."""

    call: str

    @property
    def subject(self) -> str:
        """Return the subject for the audit log."""
        return self.call


@dataclass(frozen=True, slots=True)
class ExtensionTarget:
    """Every call of an extension, by its number."""

    number: str

    @property
    def subject(self) -> str:
        """Return the subject for the audit log."""
        return self.number


Target = CallTarget | ExtensionTarget
