"""Adds the service, reversed numbers, pauses and opt-outs of calls as columns, for searches and the week's figures."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.schema_upgrade import progress_of

revision = "0012"
down_revision = "0011"

_Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_BEFORE = ("operator", "extension", "outcome", "caller_e164", "called_e164", "team")
_ASKED = (*_BEFORE[:-1], "service", "team")
_OF_THE_CALL = ("first_extension", "first_operator", "outcome", "caller_e164", "called_e164", "service", "team")
_BESIDE = {
    "officers_by_operator": ("officers", "operator", "started_us", "recording", "extension", *_OF_THE_CALL),
    "officers_by_extension": ("officers", "extension", "started_us", "recording", "operator", *_OF_THE_CALL),
    "officers_by_own_team": ("officers", "own_team", "started_us", "recording", *_OF_THE_CALL),
    "identities_by_number": ("identities", "number", "started_us", "recording", *_OF_THE_CALL),
}
_AT_ONCE = 1000


def upgrade() -> None:
    """Add the columns, fill them from the documents, and recreate the indices with them."""
    for name, (table, *_) in _BESIDE.items():
        op.drop_index(name, table)
    for name in _BEFORE:
        op.drop_index(_index_of(name), "recordings")
    op.drop_index("recordings_by_time", "recordings")
    for table in ("recordings", "officers", "identities"):
        op.add_column(table, sa.Column("service", sa.Text, nullable=False, server_default=""))
    for name in ("caller_reversed", "called_reversed"):
        op.add_column("recordings", sa.Column(name, _Text, nullable=False, server_default=""))
    for name in ("pauses", "is_opted_out"):
        op.add_column("recordings", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    op.add_column("identities", sa.Column("reversed", _Text, nullable=False, server_default=""))
    _fill(op.get_bind())
    for table in ("officers", "identities"):
        op.execute(
            f"UPDATE {table} SET service = (SELECT r.service FROM recordings r WHERE r.id = {table}.recording)"  # noqa: S608 - constants
            f" WHERE EXISTS (SELECT 1 FROM recordings r WHERE r.id = {table}.recording)"
        )
    for name in _ASKED:
        op.create_index(_index_of(name), "recordings", [name, "started_us", "id", *(o for o in _ASKED if o != name)])
    for name, (table, *columns) in _BESIDE.items():
        op.create_index(name, table, columns)
    op.create_index("recordings_by_time", "recordings", ["started_us", "id", "outcome", "pauses", "is_opted_out"])
    op.create_index("recordings_by_caller_end", "recordings", ["caller_reversed"])
    op.create_index("recordings_by_called_end", "recordings", ["called_reversed"])
    op.create_index("identities_by_end", "identities", ["reversed"])
    op.execute("UPDATE schema_version SET version = 12 WHERE id = 1")


def _index_of(column: str) -> str:
    return f"recordings_by_{column.removesuffix('_e164')}"


def _fill(connection: sa.Connection) -> None:
    page = sa.text(
        "SELECT id, caller_e164, called_e164, document FROM recordings WHERE id > :last ORDER BY id LIMIT :most"
    )
    change = sa.text(
        "UPDATE recordings SET service = :service, pauses = :pauses, is_opted_out = :is_opted_out,"
        " caller_reversed = :caller, called_reversed = :called WHERE id = :id"
    )
    progress, last, done = progress_of(op.get_context()), "", 0
    while found := connection.execute(page, {"last": last, "most": _AT_ONCE}).all():
        last, done = found[-1].id, done + len(found)
        progress.note(f"{done} recordings")
        connection.execute(
            change,
            [
                {"id": one.id, "caller": one.caller_e164[::-1], "called": one.called_e164[::-1], **_of(one.document)}
                for one in found
            ],
        )
    _fill_numbers(connection)


def _fill_numbers(connection: sa.Connection) -> None:
    page = sa.text("SELECT DISTINCT number FROM identities WHERE number > :last ORDER BY number LIMIT :most")
    change = sa.text("UPDATE identities SET reversed = :reversed WHERE number = :number")
    last = ""
    while found := connection.execute(page, {"last": last, "most": _AT_ONCE}).scalars().all():
        last = found[-1]
        connection.execute(change, [{"number": number, "reversed": number[::-1]} for number in found])


def _of(document: str) -> dict[str, Any]:
    """Return service, pauses and opt-out of a row; empty ones of a row that is damaged, which `fsck` reports."""
    try:
        row = json.loads(document)
        pauses = sum(segment["kind"] == "paused" for segment in row.get("segments", ()))
        service = row.get("service", "")
        found = {"service": service if isinstance(service, str) else "", "pauses": pauses}
        return {**found, "is_opted_out": int(bool(row.get("opted_out")))}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"service": "", "pauses": 0, "is_opted_out": 0}
