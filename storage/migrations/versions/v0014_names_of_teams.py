"""Adds indices of the officers of a team, whose names a team leader's search offers."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Create the two indices."""
    op.create_index("recordings_by_team_operator", "recordings", ["team", "operator"])
    op.create_index("officers_by_team_operator", "officers", ["own_team", "operator"])
    op.execute("UPDATE schema_version SET version = 14 WHERE id = 1")
