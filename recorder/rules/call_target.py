"""What an act on live calls is asked of: one call, or every call of an extension. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallTarget:
    """One call, by its id."""

    call: str


@dataclass(frozen=True, slots=True)
class ExtensionTarget:
    """Every call of an extension, by its number."""

    number: str


Target = CallTarget | ExtensionTarget
