"""Adds the teams of the further officers, so that a manager finds a call of which a part is their team's."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_OF_THE_CALL = ("first_extension", "first_operator", "outcome", "caller_e164", "called_e164", "team")


def upgrade() -> None:
    """Add the column, empty: earlier rows do not have the teams of further officers."""
    op.add_column("officers", sa.Column("own_team", sa.Text, nullable=False, server_default=""))
    op.create_index("officers_by_own_team", "officers", ["own_team", "started_us", "recording", *_OF_THE_CALL])
    op.execute("UPDATE schema_version SET version = 9 WHERE id = 1")
