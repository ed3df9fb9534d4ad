"""The tables of accounts, tokens, sessions, access requests and more, in one SQLite file of the recorder's home."""

from sqlalchemy import CheckConstraint, Column, Float, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint

metadata = MetaData()
REVISION = "0004"
"""The newest of Alembic's scripts in `recorder.access.migrations`, which these definitions belong to."""

accounts = Table(
    "accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("display_name", String, nullable=False, unique=True),
    Column("roles", String, nullable=False),
    Column("teams", String, nullable=False),
    Column("extension", String),
    Column("password_hash", String, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("disabled_s", Float),
    Column("failures", Integer, nullable=False, default=0),
    Column("locked_until_s", Float),
    Column("locks", Integer, nullable=False, server_default="0"),
    Column("password_set_s", Float),
    Column("password_set_by", String),
    Column("power_lost_s", Float),
)
"""``password_set_s`` is when the password was last changed; empty for the account's first.
``power_lost_s`` is when a role that confirms proposals was last removed."""

team_changes = Table(
    "team_changes",
    metadata,
    Column("account", String, primary_key=True),
    Column("team", String, primary_key=True),
    Column("from_s", Float, primary_key=True),
    Column("answers", Integer, nullable=False),
    Column("is_done", Integer, nullable=False),
)
"""Changes of the teams that people answer for, from a moment on; ``is_done`` once ``accounts`` has them."""

tokens = Table(
    "tokens",
    metadata,
    Column("name", String, primary_key=True),
    Column("secret_hash", String, nullable=False, unique=True),
    Column("scopes", String, nullable=False),
    Column("extensions", String, nullable=False),
    Column("networks", String, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("expires_s", Float),
    Column("revoked_s", Float),
    Column("proposal", String),
)
"""``proposal`` is the proposal that must be confirmed before the token is valid; empty afterwards."""

sessions = Table(
    "sessions",
    metadata,
    Column("secret_hash", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("csrf", String, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("seen_s", Float, nullable=False),
    Column("kind", String, nullable=False, server_default="browser"),
    Column("is_proven", Integer, nullable=False, server_default="0"),
    Column("enrolling", String),
)
"""``enrolling`` is the secret of an authenticator that is being set up, sealed."""

second_factors = Table(
    "second_factors",
    metadata,
    Column("account", String, primary_key=True),
    Column("secret", String, nullable=False),
    Column("last_step", Integer, nullable=False),
    Column("enrolled_s", Float, nullable=False),
)
"""Authenticator apps; ``secret`` is sealed (`recorder.access.account_key`)."""

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("code_hash", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
)
"""Unused recovery codes; ``code_hash`` is a SHA-256, sealed."""

identities = Table(
    "identities",
    metadata,
    Column("account", String, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("connected_s", Float, nullable=False),
    Column("connected_by", String, nullable=False),
    UniqueConstraint("issuer", "subject"),
)
"""The identity at an OpenID provider of each connected account, one to one."""

proposals = Table(
    "proposals",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("change", String, nullable=False),
    Column("roles", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("proposed_by", String, nullable=False),
    Column("proposed_s", Float, nullable=False),
    Column("until_s", Float, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("decided_by", String),
    Column("decided_s", Float),
    Column("password_hash", String),
    Column("address", String),
)
"""``password_hash`` is a new password that waits for confirmation, ``address`` an email address, "" for none; both are
empty after the decision."""

requests = Table(
    "requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("category", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("leave", String, nullable=False),
    Column("reference", String, nullable=False),
    Column("asked_s", Float, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("decided_by", String),
    Column("decided_s", Float),
    Column("words", String, nullable=False),
    Column("until_s", Float),
)

requested = Table(
    "requested",
    metadata,
    Column("recording", String, primary_key=True),
    Column("request", String, primary_key=True, index=True),
    Column("place", Integer, nullable=False),
    Column("spans", String),
)
"""``spans`` are asked for or granted, microseconds, as JSON; empty for the whole recording, as in rows of older
versions. `recorder.access.triggers` has the rules."""

absences = Table(
    "absences",
    metadata,
    Column("account", String, primary_key=True),
    Column("since_s", Float, nullable=False),
    Column("marked_by", String, nullable=False),
)

deputies = Table(
    "deputies",
    metadata,
    Column("account", String, primary_key=True),
    Column("since_s", Float, nullable=False),
    Column("named_by", String, nullable=False),
    Column("confirmed_by", String),
)
"""``confirmed_by`` is empty in rows from before a deputy took two people. `recorder.access.triggers` has the rules."""

break_glass = Table(
    "break_glass",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("recording", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("until_s", Float),
    Column("acknowledged_by", String),
    Column("acknowledged_s", Float),
)
"""``until_s`` is empty in older rows: then half an hour after ``at_s``. `recorder.access.triggers` has the rules."""

sweep_consents = Table(
    "sweep_consents",
    metadata,
    Column("id", String, primary_key=True),
    Column("what", String, nullable=False),
    Column("due", Integer, nullable=False),
    Column("first_by", String, nullable=False),
    Column("first_s", Float, nullable=False),
    Column("second_by", String),
    Column("second_s", Float),
    Column("used_s", Float),
    CheckConstraint("second_by IS NULL OR second_by <> first_by"),
    CheckConstraint("used_s IS NULL OR second_by IS NOT NULL"),
)
"""Confirmations that a stopped sweep goes on, of two people; `recorder.access.triggers` has the rules."""

erasure_approvals = Table(
    "erasure_approvals",
    metadata,
    Column("erasure", String, primary_key=True),
    Column("ordered_by", String, nullable=False),
    Column("third", String, nullable=False),
    Column("third_s", Float),
    Column("dpo_by", String),
    Column("dpo_s", Float),
    Column("heard_by", String),
    Column("heard_s", Float),
    CheckConstraint("third <> ordered_by"),
    CheckConstraint("dpo_by IS NULL OR dpo_by NOT IN (ordered_by, third)"),
    CheckConstraint("heard_by IS NULL OR heard_by <> ordered_by"),
    CheckConstraint("third_s IS NULL OR dpo_s IS NULL OR heard_s IS NOT NULL"),
)
"""For orders to erase that take three people: the third person, the approvals, and who listened to the span."""

case_entries = Table(
    "case_entries",
    metadata,
    Column("case", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("by", String, nullable=False),
    Column("on_day", String, nullable=False),
    Column("text", String, nullable=False),
    Column("details", String, nullable=False),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("case", String, primary_key=True),
    Column("recording", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("form", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

mail_addresses = Table(
    "mail_addresses",
    metadata,
    Column("account", String, primary_key=True),
    Column("address", String, nullable=False),
)

notifications = Table(
    "notifications",
    metadata,
    Column("account", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("moment", String, nullable=False),
    Column("text", String, nullable=False),
    Column("made_s", Float, nullable=False),
    Column("seen_s", Float),
    Column("over_s", Float),
    Column("mail", String, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("next_try_s", Float),
    Column("sent_s", Float),
    Column("problem", String, nullable=False),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("account", String, primary_key=True),
    Column("on_day", String, nullable=False),
)
"""The day on which a person last acknowledged that their calls are recorded."""
