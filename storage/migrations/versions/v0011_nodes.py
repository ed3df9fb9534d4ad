"""Adds the tables of a site with several recorders. Heads of audit logs get the node whose log they are of."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
_Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables, empty."""
    op.create_table(
        "nodes",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_us", sa.BigInteger),
        sa.Column("seen_us", sa.BigInteger),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("capacity", sa.Integer, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("holder", sa.Text),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("until_us", sa.BigInteger),
        sa.Column("done_us", sa.BigInteger),
        sa.Column("note", sa.Text),
    )
    op.create_table(
        "file_removals",
        sa.Column("recording", _Ascii, primary_key=True),
        sa.Column("node", sa.String(40), primary_key=True),
        sa.Column("ordered_us", sa.BigInteger, nullable=False),
        sa.Column("removed_us", sa.BigInteger),
    )
    op.create_index("file_removals_by_node", "file_removals", ["node", "removed_us", "ordered_us"])
    op.create_table(
        "unfinished",
        sa.Column("recording", _Ascii, primary_key=True),
        sa.Column("node", sa.String(40), nullable=False),
        sa.Column("started_us", sa.BigInteger, nullable=False),
    )
    op.create_index("unfinished_by_node", "unfinished", ["node", "started_us"])
    op.create_table(
        "sign_ons",
        sa.Column("extension", sa.String(80), primary_key=True),
        sa.Column("operator", sa.Text),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("is_proven", sa.Integer, nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
    )
    op.create_index("sign_ons_by_change", "sign_ons", ["changed_us"])
    op.create_table(
        "pins",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("changed_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "agreements",
        sa.Column("home", sa.String(64), primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "key_lists",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("signature", sa.String(128), nullable=False),
    )
    op.create_table(
        "node_epochs",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("list_number", sa.BigInteger, nullable=False),
        sa.Column("current", sa.String(20), nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("reported_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "objects",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("recording", _Ascii, nullable=False),
        sa.Column("node", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("key_epoch", sa.String(40)),
        sa.Column("is_key_old", sa.Integer, nullable=False),
        sa.Column("since_us", sa.BigInteger, nullable=False),
        sa.Column("stored_us", sa.BigInteger),
        sa.Column("released_us", sa.BigInteger),
        sa.Column("locked_until_us", sa.BigInteger),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Index("objects_by_recording", "recording"),
        sa.Index("objects_by_state", "state", "since_us", "sha256"),
        sa.Index("objects_to_release", "node", "released_us", "stored_us"),
        sa.Index("objects_by_epoch", "key_epoch"),
    )
    _create_audit_copies()
    _add_node_to_anchors()
    op.execute("UPDATE schema_version SET version = 11 WHERE id = 1")


def _create_audit_copies() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("began_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "audit_entries",
        sa.Column("node", _Ascii, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("act", _Text, nullable=False),
        sa.Column("actor", _Text, nullable=False),
        sa.Column("subject", _Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("line", sa.Text, nullable=False),
    )
    op.create_index("audit_entries_by_time", "audit_entries", ["at_us", "node", "number"])
    op.create_index("audit_entries_by_subject", "audit_entries", ["subject", "at_us"])


def _add_node_to_anchors() -> None:
    """Add the column to the primary key; SQLite cannot change a key, so the table is made anew there."""
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("anchors", sa.Column("node", sa.String(16), nullable=False, server_default=""))
        op.drop_constraint("anchors_pkey", "anchors")
        op.create_primary_key("anchors_pkey", "anchors", ["number", "target", "node"])
        return
    op.drop_index("anchors_by_time", "anchors")
    op.rename_table("anchors", "anchors_before")
    op.create_table(
        "anchors",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("anchored_us", sa.BigInteger, nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("node", sa.String(16), primary_key=True, server_default=""),
    )
    op.create_index("anchors_by_time", "anchors", ["anchored_us"])
    columns = "number, target, head, anchored_us, problem"
    op.execute(f"INSERT INTO anchors ({columns}) SELECT {columns} FROM anchors_before")  # noqa: S608 - constants
    op.drop_table("anchors_before")
