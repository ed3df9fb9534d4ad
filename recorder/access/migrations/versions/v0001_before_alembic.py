"""Creates the tables of programs from before the migrations, or the tables and columns that are missing.

Those programs added tables and columns at their start, so a database of any of them has some of these. An added column
is empty or has a default. Triggers are not part of the scripts: `recorder.access.triggers` keeps them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import CreateColumn

revision = "0001"
down_revision = None

_TABLES = sa.MetaData()

sa.Table(
    "accounts",
    _TABLES,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("display_name", sa.String, nullable=False, unique=True),
    sa.Column("roles", sa.String, nullable=False),
    sa.Column("teams", sa.String, nullable=False),
    sa.Column("extension", sa.String),
    sa.Column("password_hash", sa.String, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("disabled_s", sa.Float),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("locked_until_s", sa.Float),
    sa.Column("locks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("password_set_s", sa.Float),
    sa.Column("password_set_by", sa.String),
    sa.Column("power_lost_s", sa.Float),
)

sa.Table(
    "team_changes",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("team", sa.String, primary_key=True),
    sa.Column("from_s", sa.Float, primary_key=True),
    sa.Column("answers", sa.Integer, nullable=False),
    sa.Column("is_done", sa.Integer, nullable=False),
)

sa.Table(
    "tokens",
    _TABLES,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("secret_hash", sa.String, nullable=False, unique=True),
    sa.Column("scopes", sa.String, nullable=False),
    sa.Column("extensions", sa.String, nullable=False),
    sa.Column("networks", sa.String, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("expires_s", sa.Float),
    sa.Column("revoked_s", sa.Float),
    sa.Column("proposal", sa.String),
)

sa.Table(
    "sessions",
    _TABLES,
    sa.Column("secret_hash", sa.String, primary_key=True),
    sa.Column("account", sa.String, nullable=False, index=True),
    sa.Column("csrf", sa.String, nullable=False),
    sa.Column("created_s", sa.Float, nullable=False),
    sa.Column("seen_s", sa.Float, nullable=False),
    sa.Column("kind", sa.String, nullable=False, server_default="browser"),
    sa.Column("is_proven", sa.Integer, nullable=False, server_default="0"),
    sa.Column("enrolling", sa.String),
)

sa.Table(
    "second_factors",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("secret", sa.String, nullable=False),
    sa.Column("last_step", sa.Integer, nullable=False),
    sa.Column("enrolled_s", sa.Float, nullable=False),
)

sa.Table(
    "recovery_codes",
    _TABLES,
    sa.Column("code_hash", sa.String, primary_key=True),
    sa.Column("account", sa.String, nullable=False, index=True),
)

sa.Table(
    "identities",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("issuer", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("connected_s", sa.Float, nullable=False),
    sa.Column("connected_by", sa.String, nullable=False),
    sa.UniqueConstraint("issuer", "subject"),
)

sa.Table(
    "proposals",
    _TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("change", sa.String, nullable=False),
    sa.Column("roles", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("proposed_by", sa.String, nullable=False),
    sa.Column("proposed_s", sa.Float, nullable=False),
    sa.Column("until_s", sa.Float, nullable=False),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("decided_by", sa.String),
    sa.Column("decided_s", sa.Float),
    sa.Column("password_hash", sa.String),
)

sa.Table(
    "requests",
    _TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("account", sa.String, nullable=False, index=True),
    sa.Column("category", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("leave", sa.String, nullable=False),
    sa.Column("reference", sa.String, nullable=False),
    sa.Column("asked_s", sa.Float, nullable=False),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("decided_by", sa.String),
    sa.Column("decided_s", sa.Float),
    sa.Column("words", sa.String, nullable=False),
    sa.Column("until_s", sa.Float),
)

sa.Table(
    "requested",
    _TABLES,
    sa.Column("recording", sa.String, primary_key=True),
    sa.Column("request", sa.String, primary_key=True, index=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("spans", sa.String),
)

sa.Table(
    "absences",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("since_s", sa.Float, nullable=False),
    sa.Column("marked_by", sa.String, nullable=False),
)

sa.Table(
    "deputies",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("since_s", sa.Float, nullable=False),
    sa.Column("named_by", sa.String, nullable=False),
    sa.Column("confirmed_by", sa.String),
)

sa.Table(
    "break_glass",
    _TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("account", sa.String, nullable=False),
    sa.Column("recording", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("until_s", sa.Float),
    sa.Column("acknowledged_by", sa.String),
    sa.Column("acknowledged_s", sa.Float),
)

sa.Table(
    "sweep_consents",
    _TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("what", sa.String, nullable=False),
    sa.Column("due", sa.Integer, nullable=False),
    sa.Column("first_by", sa.String, nullable=False),
    sa.Column("first_s", sa.Float, nullable=False),
    sa.Column("second_by", sa.String),
    sa.Column("second_s", sa.Float),
    sa.Column("used_s", sa.Float),
    sa.CheckConstraint("used_s IS NULL OR second_by IS NOT NULL"),
    sa.CheckConstraint("second_by IS NULL OR second_by <> first_by"),
)

sa.Table(
    "erasure_approvals",
    _TABLES,
    sa.Column("erasure", sa.String, primary_key=True),
    sa.Column("ordered_by", sa.String, nullable=False),
    sa.Column("third", sa.String, nullable=False),
    sa.Column("third_s", sa.Float),
    sa.Column("dpo_by", sa.String),
    sa.Column("dpo_s", sa.Float),
    sa.Column("heard_by", sa.String),
    sa.Column("heard_s", sa.Float),
    sa.CheckConstraint("third_s IS NULL OR dpo_s IS NULL OR heard_s IS NOT NULL"),
    sa.CheckConstraint("heard_by IS NULL OR heard_by <> ordered_by"),
    sa.CheckConstraint("dpo_by IS NULL OR dpo_by NOT IN (ordered_by, third)"),
    sa.CheckConstraint("third <> ordered_by"),
)

sa.Table(
    "case_entries",
    _TABLES,
    sa.Column("case", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("step", sa.String, nullable=False),
    sa.Column("at_s", sa.Float, nullable=False),
    sa.Column("by", sa.String, nullable=False),
    sa.Column("on_day", sa.String, nullable=False),
    sa.Column("text", sa.String, nullable=False),
    sa.Column("details", sa.String, nullable=False),
)

sa.Table(
    "transcripts",
    _TABLES,
    sa.Column("case", sa.String, primary_key=True),
    sa.Column("recording", sa.String, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("form", sa.String, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)

sa.Table(
    "mail_addresses",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("address", sa.String, nullable=False),
)

sa.Table(
    "notifications",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("moment", sa.String, nullable=False),
    sa.Column("text", sa.String, nullable=False),
    sa.Column("made_s", sa.Float, nullable=False),
    sa.Column("seen_s", sa.Float),
    sa.Column("mail", sa.String, nullable=False, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_try_s", sa.Float),
    sa.Column("sent_s", sa.Float),
    sa.Column("problem", sa.String, nullable=False),
)

sa.Table(
    "acknowledgements",
    _TABLES,
    sa.Column("account", sa.String, primary_key=True),
    sa.Column("on_day", sa.String, nullable=False),
)


def upgrade() -> None:
    """Create what is missing."""
    connection = op.get_bind()
    there = sa.inspect(connection)
    had = set(there.get_table_names())
    for table in _TABLES.sorted_tables:
        if table.name not in had:
            table.create(connection)
            continue
        columns = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                op.execute(f"ALTER TABLE {table.name} ADD COLUMN {CreateColumn(column)}")
        for index in table.indexes:
            index.create(connection, checkfirst=True)
