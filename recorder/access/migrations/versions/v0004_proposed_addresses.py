"""Adds the email address that waits for a second person."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column, empty, unless a file whose revision was lost has it."""
    if all(column["name"] != "address" for column in sa.inspect(op.get_bind()).get_columns("proposals")):
        op.add_column("proposals", sa.Column("address", sa.String))
