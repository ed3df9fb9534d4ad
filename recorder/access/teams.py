"""The teams that a person answers for, over time: changes are planned for a moment and then take effect.

The team of a call is in its row (`recorder.calls.call_row`): that of its extension when the call began.
"""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from recorder.access.account_rows import one, person_of
from recorder.access.tables import accounts, team_changes


def plan_change(connection: Connection, account: str, team: str, *, answers: bool, at: datetime) -> None:
    """Plan that a person answers for a team, or no longer does, from a moment on; replaces a plan for that moment."""
    column, from_s = team_changes.c, at.timestamp()
    same = (column.account == account) & (column.team == team) & (column.from_s == from_s)
    connection.execute(delete(team_changes).where(same))
    values = {"account": account, "team": team, "from_s": from_s, "answers": int(answers), "is_done": 0}
    connection.execute(insert(team_changes).values(**values))


def settle_changes(connection: Connection, now: datetime) -> None:
    """Apply the planned changes that are due, in the order of their moments."""
    column = team_changes.c
    is_due = (column.is_done == 0) & (column.from_s <= now.timestamp())
    due = connection.execute(select(team_changes).where(is_due).order_by(column.from_s)).mappings().all()
    for change in due:
        teams = [team for team in person_of(one(connection, change["account"])).teams if team != change["team"]]
        teams += [change["team"]] if change["answers"] else []
        mine = accounts.c.name == change["account"]
        connection.execute(update(accounts).where(mine).values(teams=",".join(teams)))
    if due:  # seldom; this runs with every request
        connection.execute(update(team_changes).where(is_due).values(is_done=1))
