"""Adds the search columns to the further officers, so that no search reads the calls' own rows."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
_INDICES = {
    "officers_by_operator": ("operator", "started_us", "recording", "extension"),
    "officers_by_extension": ("extension", "started_us", "recording", "operator"),
}
_COPIED = ("first_extension", "first_operator", "outcome", "caller_e164", "called_e164")


def upgrade() -> None:
    """Recreate the table: SQLite cannot add a column that is not null."""
    op.execute("CREATE TABLE officers_0004 AS SELECT recording, extension, operator, started_us FROM officers")
    op.drop_table("officers")
    op.create_table(
        "officers",
        sa.Column("recording", _Ascii, primary_key=True),
        sa.Column("extension", sa.String(80), primary_key=True),
        sa.Column("operator", sa.Text, nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _COPIED),
    )
    op.execute(
        "INSERT INTO officers SELECT o.recording, o.extension, o.operator, o.started_us,"
        " r.extension, r.operator, r.outcome, r.caller_e164, r.called_e164"
        " FROM officers_0004 o JOIN recordings r ON r.id = o.recording"
    )
    op.drop_table("officers_0004")
    for name, columns in _INDICES.items():
        op.create_index(name, "officers", [*columns, *_COPIED])
    op.execute("UPDATE schema_version SET version = 5 WHERE id = 1")
