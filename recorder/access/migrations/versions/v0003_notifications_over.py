"""Adds when the task of a notification was found to be over."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column, empty, unless a file whose revision was lost has it: the next poll fills it."""
    if all(column["name"] != "over_s" for column in sa.inspect(op.get_bind()).get_columns("notifications")):
        op.add_column("notifications", sa.Column("over_s", sa.Float))
