"""Adds the further officers of a call, which may be transferred from officer to officer."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table; earlier calls have one officer, or do not name the others."""
    op.create_table(
        "officers",
        sa.Column("recording", _Ascii, primary_key=True),
        sa.Column("extension", sa.String(80), primary_key=True),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
    )
    op.create_index("officers_by_operator", "officers", ["operator", "started_us", "recording"])
    op.create_index("officers_by_extension", "officers", ["extension", "started_us", "recording"])
    op.execute("UPDATE schema_version SET version = 4 WHERE id = 1")
