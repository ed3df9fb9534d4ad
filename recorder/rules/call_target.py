"""What an act on live calls is asked of: one call, or every call of an extension. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallTarget:
    """One call, by its id."""

    call: str

    @property
    def subject(self) -> str:
        """Return the subject of its entries in the audit log."""
        return self.call


@dataclass(frozen=True, slots=True)
class ExtensionTarget:
    """Every call of an extension, by its number."""

    number: str

    @property
    def subject(self) -> str:
        """Return the subject of its entries in the audit log."""
        return self.number


Target = CallTarget | ExtensionTarget
