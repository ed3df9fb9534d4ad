"""The yearly acknowledgement of officers that they were told that their calls are recorded (P5). Pure."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta

from recorder.permissions import Person, Role

EVERY = timedelta(days=365)


def is_asked(person: Person, extensions: Collection[str] = ()) -> bool:
    """Tell whether a person's calls are recorded.

    Args:
        person: Who.
        extensions: The phones where they are now.
    """
    return Role.OFFICER in person.roles or person.extension is not None or bool(extensions)


def is_due(acknowledged_on: date | None, today: date) -> bool:
    """Tell whether an acknowledgement is due: there is none, or the last one is a year old."""
    return acknowledged_on is None or today >= acknowledged_on + EVERY


def not_acknowledged(people: Collection[Person], days: Mapping[str, date], today: date) -> list[str]:
    """Return the accounts whose acknowledgement is due, by name.

    Args:
        people: Everybody with an account.
        days: The day of the last acknowledgement by account.
        today: The day, in the site's time zone.
    """
    return sorted(one.name for one in people if is_asked(one) and is_due(days.get(one.name), today))
