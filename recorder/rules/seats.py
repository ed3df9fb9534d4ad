"""Which officer is at which extension: signed on there, or configured for it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from recorder.permissions import Person
from recorder.rules.policy import Extension


def sits_at(person: Person, *, extension: str, operator: str, is_signed_on: bool) -> bool:
    """Tell whether a person is at an extension: signed on there, or configured for it with nobody signed on.

    Args:
        person: Who.
        extension: Its number.
        operator: Who is signed on there, else for whom it is configured.
        is_signed_on: Whether anybody is.
    """
    is_configured = extension == person.extension and not is_signed_on
    return is_configured or (person.display_name != "" and operator == person.display_name)


def seats_of(person: Person, agents: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the extensions, as the daemon lists them, at which a person is."""
    return [
        one
        for one in agents
        if sits_at(person, extension=one["extension"], operator=one["operator"], is_signed_on=one["is_signed_on"])
    ]


def colleagues_of(person: Person, agents: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return the teams of the phones configured as a person's, for `Around`; sign-ons do not count.

    Args:
        person: Who.
        agents: The extensions as the daemon lists them.
    """
    return frozenset(
        str(one.get("team", ""))
        for one in agents
        if is_configured(person, number=one["extension"], operator=one.get("configured", ""))
    )


def own_teams(person: Person, extensions: Iterable[Extension]) -> frozenset[str]:
    """Return the teams of the phones configured as a person's."""
    return frozenset(one.team for one in extensions if is_configured(person, number=one.number, operator=one.operator))


def is_configured(person: Person, *, number: str, operator: str) -> bool:
    """Tell whether a phone is configured as a person's: by their account's extension, or as its operator."""
    return number == person.extension or (person.display_name != "" and operator == person.display_name)
