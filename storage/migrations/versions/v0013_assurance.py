"""Adds call records of PBXs, and what became of the calls that should have been recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the three tables, empty."""
    op.create_table(
        "call_records",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("pbx", sa.Text, nullable=False),
        sa.Column("answered_us", sa.BigInteger, nullable=False),
        sa.Column("talk_s", sa.Float(53), nullable=False),
        sa.Column("extensions", sa.Text, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("number_end", sa.String(4), nullable=False),
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("is_bypassed", sa.Integer, nullable=False),
        sa.Column("imported_us", sa.BigInteger, nullable=False),
    )
    op.create_index("call_records_by_time", "call_records", ["answered_us"])
    op.create_table(
        "assurance_days",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("judged_us", sa.BigInteger, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("bad", sa.Integer, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "assurance_findings",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("team", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("explained_by", sa.Text),
        sa.Column("explained_us", sa.BigInteger),
        sa.Column("explanation", sa.Text),
    )
    op.create_index("assurance_findings_by_day", "assurance_findings", ["day", "id"])
    op.execute("UPDATE schema_version SET version = 13 WHERE id = 1")
