"""Adds the team of a call as a column, so that a manager's searches find only their teams' calls."""

import json

import sqlalchemy as sa
from alembic import op

from storage.schema_upgrade import progress_of

revision = "0007"
down_revision = "0006"

_ASKED = ("operator", "extension", "outcome", "caller_e164", "called_e164")
_OF_THE_CALL = ("first_extension", "first_operator", "outcome", "caller_e164", "called_e164", "team")
_OFFICERS = {
    "officers_by_operator": ("operator", "started_us", "recording", "extension", *_OF_THE_CALL),
    "officers_by_extension": ("extension", "started_us", "recording", "operator", *_OF_THE_CALL),
}
_AT_ONCE = 1000


def upgrade() -> None:
    """Add the column, fill it from the documents, and recreate the indices with it."""
    for name in _OFFICERS:
        op.drop_index(name, "officers")
    for name in _ASKED:
        op.drop_index(_index_of(name), "recordings")
    for table in ("recordings", "officers"):
        op.add_column(table, sa.Column("team", sa.Text, nullable=False, server_default=""))
    _fill(op.get_bind())
    op.execute(
        "UPDATE officers SET team = (SELECT r.team FROM recordings r WHERE r.id = officers.recording)"
        " WHERE EXISTS (SELECT 1 FROM recordings r WHERE r.id = officers.recording)"
    )
    asked = (*_ASKED, "team")
    for name in asked:
        op.create_index(_index_of(name), "recordings", [name, "started_us", "id", *(o for o in asked if o != name)])
    for name, columns in _OFFICERS.items():
        op.create_index(name, "officers", [*columns])
    op.execute("UPDATE schema_version SET version = 7 WHERE id = 1")


def _index_of(column: str) -> str:
    return f"recordings_by_{column.removesuffix('_e164')}"


def _fill(connection: sa.Connection) -> None:
    page = sa.text("SELECT id, document FROM recordings WHERE id > :last ORDER BY id LIMIT :most")
    change = sa.text("UPDATE recordings SET team = :team WHERE id = :id")
    progress, last, done = progress_of(op.get_context()), "", 0
    while found := connection.execute(page, {"last": last, "most": _AT_ONCE}).all():
        last, done = found[-1].id, done + len(found)
        progress.note(f"{done} recordings")
        teams = [{"id": one.id, "team": team} for one in found if (team := _team_of(one.document))]
        if teams:
            connection.execute(change, teams)


def _team_of(document: str) -> str:
    try:
        team = json.loads(document)["team"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""  # damaged, which `fsck` reports, or older than teams
    return team if isinstance(team, str) else ""
