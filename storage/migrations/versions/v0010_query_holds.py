"""Adds holds by search: an open case holds every recording that matches a search."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")


def upgrade() -> None:
    """Create the two tables, empty."""
    op.create_table(
        "query_holds",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("case_reference", sa.String(40), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("placed_by", sa.Text, nullable=False),
        sa.Column("placed_us", sa.BigInteger, nullable=False),
        sa.Column("started_from_us", sa.BigInteger),
        sa.Column("started_to_us", sa.BigInteger),
        sa.Column("operator", sa.Text),
        sa.Column("extension", sa.Text),
        sa.Column("number", sa.Text),
        sa.Column("is_number_lost", sa.Integer, nullable=False),
        sa.Column("ends_us", sa.BigInteger),
    )
    op.create_index("query_holds_by_case", "query_holds", ["case_reference"])
    op.create_index("query_holds_by_end", "query_holds", ["ends_us"])
    op.create_table(
        "query_releases",
        sa.Column("case_reference", sa.String(40), primary_key=True),
        sa.Column("recording", _Ascii, primary_key=True),
        sa.Column("grace_until_us", sa.BigInteger, nullable=False),
    )
    op.create_index("query_releases_by_recording", "query_releases", ["recording"])
    op.execute("UPDATE schema_version SET version = 10 WHERE id = 1")
