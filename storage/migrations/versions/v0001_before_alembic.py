"""Creates the tables of programs from before the migrations, if they are missing."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
_INDICES = {
    "recordings_by_time": ["started_us"],
    "recordings_by_operator": ["operator", "started_us"],
    "recordings_by_extension": ["extension", "started_us"],
    "recordings_by_outcome": ["outcome", "started_us"],
    "recordings_by_caller": ["caller_e164", "started_us"],
    "recordings_by_called": ["called_e164", "started_us"],
    "recordings_by_raw_caller": ["caller", "started_us"],
    "recordings_by_raw_called": ["called", "started_us"],
    "recordings_by_due": ["retention_due_us"],
}


def upgrade() -> None:
    """Create the missing tables and indices."""
    version = op.create_table(
        "schema_version",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, nullable=False),
        if_not_exists=True,
    )
    connection = op.get_bind()
    assert version is not None
    if connection.execute(sa.select(version.c.version)).scalar() is None:
        connection.execute(version.insert().values(id=1, version=1))
    op.create_table(
        "recordings",
        sa.Column("id", _Ascii, primary_key=True),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("extension", sa.Text, nullable=False),
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("called", sa.Text, nullable=False),
        sa.Column("caller_e164", sa.Text, nullable=False),
        sa.Column("called_e164", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("retention_due_us", sa.BigInteger),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("peaks_left", sa.LargeBinary, nullable=False),
        sa.Column("peaks_right", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
    for name, columns in _INDICES.items():
        op.create_index(name, "recordings", columns, if_not_exists=True)
    op.create_table(
        "erasures",
        sa.Column("id", sa.String(16), primary_key=True),
        sa.Column("recording", sa.String(80), nullable=False),
        sa.Column("start_s", sa.Float(53), nullable=False),
        sa.Column("end_s", sa.Float(53)),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("ordered_by", sa.Text, nullable=False),
        sa.Column("ordered_us", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_us", sa.BigInteger),
        sa.Column("done_us", sa.BigInteger),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_erasures_recording", "erasures", ["recording"], if_not_exists=True)
