"""Adds data subjects' requests for restriction, objection and erasure."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table of claims."""
    op.create_table(
        "claims",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("recording", _Ascii, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("over_us", sa.BigInteger),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("requester", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
    )
    op.create_index("claims_by_recording", "claims", ["recording"])
    op.create_index("claims_by_state", "claims", ["state", "id"])
    op.execute("UPDATE schema_version SET version = 6 WHERE id = 1")
