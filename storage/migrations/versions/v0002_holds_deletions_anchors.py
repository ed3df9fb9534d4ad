"""Adds holds, tombstones and anchors of the audit log; keeps out programs from before the migrations."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")


_INDICES = {
    "recordings_by_time": ["started_us", "id"],
    "recordings_by_operator": ["operator", "started_us", "id", "extension", "outcome", "caller_e164", "called_e164"],
    "recordings_by_extension": ["extension", "started_us", "id", "operator", "outcome", "caller_e164", "called_e164"],
    "recordings_by_outcome": ["outcome", "started_us", "id", "operator", "extension", "caller_e164", "called_e164"],
    "recordings_by_caller": ["caller_e164", "started_us", "id", "operator", "extension", "outcome", "called_e164"],
    "recordings_by_called": ["called_e164", "started_us", "id", "operator", "extension", "outcome", "caller_e164"],
    "recordings_by_due": ["retention_due_us", "id"],
}


def upgrade() -> None:
    """Create the new tables, and indices that cover a page of a search."""
    # Numbers that are equal as typed are equal as E.164, so these two are not needed.
    op.drop_index("recordings_by_raw_caller", "recordings")
    op.drop_index("recordings_by_raw_called", "recordings")
    for name, columns in _INDICES.items():
        op.drop_index(name, "recordings")
        op.create_index(name, "recordings", columns)
    op.create_table(
        "holds",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("recording", _Ascii, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("case_reference", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("against", sa.Text, nullable=False),
        sa.Column("placed_by", sa.Text, nullable=False),
        sa.Column("placed_us", sa.BigInteger, nullable=False),
        sa.Column("review_on", sa.String(10)),
        sa.Column("released_by", sa.Text),
        sa.Column("released_us", sa.BigInteger),
        sa.Column("grace_until_us", sa.BigInteger),
    )
    op.create_index("holds_by_recording", "holds", ["recording"])
    op.create_index("holds_by_review", "holds", ["review_on"])
    op.create_index("holds_by_grace", "holds", ["grace_until_us"])
    op.create_table(
        "deletions",
        sa.Column("id", _Ascii, primary_key=True),
        sa.Column("deleted_us", sa.BigInteger, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64)),
    )
    op.create_index("deletions_by_time", "deletions", ["deleted_us"])
    op.create_table(
        "anchors",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("anchored_us", sa.BigInteger, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
    )
    op.create_index("anchors_by_time", "anchors", ["anchored_us"])
    op.execute("UPDATE schema_version SET version = 2 WHERE id = 1")
