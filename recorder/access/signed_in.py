"""Teams with a signed-in manager: while a team has none, a team leader decides on its opt-outs (P7)."""

from recorder.access.accounts import People, usable_people
from recorder.access.sessions import Sessions
from recorder.permissions import Role


def managed_teams(people: People, sessions: Sessions) -> frozenset[str]:
    """Return the teams with a manager signed in now, in the console or at a shell."""
    there = sessions.accounts()
    return frozenset(
        team
        for person in usable_people(people)
        if Role.MANAGER in person.roles and person.name in there
        for team in person.teams
    )
