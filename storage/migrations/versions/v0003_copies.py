"""Adds the copies of recordings."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table; earlier copies are in the audit log only."""
    op.create_table(
        "copies",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("recording", _Ascii, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.Column("made_us", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("start_s", sa.Float(53), nullable=False),
        sa.Column("end_s", sa.Float(53), nullable=False),
        sa.Column("redactions", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64)),
    )
    op.create_index("copies_by_recording", "copies", ["recording", "made_us"])
    op.execute("UPDATE schema_version SET version = 3 WHERE id = 1")
