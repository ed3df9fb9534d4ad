"""Brings numbers to the one form in which they are compared: 447700900555 is +447700900555 too."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.phone_numbers import normalise_number
from storage.schema_upgrade import progress_of

revision = "0015"
down_revision = "0014"

_COPIED = (
    "started_us", "first_extension", "first_operator", "outcome", "caller_e164", "called_e164", "team", "service",
)  # fmt: skip
_AT_ONCE = 1000
_LONGEST = 80


def upgrade() -> None:
    """Read every row once, and correct those whose numbers have another form now."""
    connection = op.get_bind()
    page = sa.text(
        "SELECT id, started_us, extension AS first_extension, operator AS first_operator, outcome, team, service,"
        " caller, called, caller_e164, called_e164, document"
        " FROM recordings WHERE id > :last ORDER BY id LIMIT :most"
    )
    progress, last, done = progress_of(op.get_context()), "", 0
    while found := connection.execute(page, {"last": last, "most": _AT_ONCE}).mappings().all():
        _correct(connection, [dict(one) for one in found])
        last, done = found[-1]["id"], done + len(found)
        progress.note(f"{done} recordings")
    connection.execute(sa.text("UPDATE schema_version SET version = 15 WHERE id = 1"))


def _correct(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    span = {"first": rows[0]["id"], "last": rows[-1]["id"]}
    stored: dict[str, set[str]] = {}
    beside = sa.text("SELECT recording, number FROM identities WHERE recording BETWEEN :first AND :last")
    for one in connection.execute(beside, span):
        stored.setdefault(one.recording, set()).add(one.number)
    changed, others = [], []
    for before in rows:
        row = before | {f"{side}_e164": normalise_number(before[side]) for side in ("caller", "called")}
        known = stored.get(row["id"], set())
        numbers = _others(row, known)
        if row != before:
            changed.append(row)
        if numbers != known or (known and row != before):
            others.append((row, numbers))
    if changed:
        _correct_own(connection, changed)
    if others:
        _replace_others(connection, others)


def _others(row: dict[str, Any], stored: set[str]) -> set[str]:
    """Return the further numbers of a call; those it has, brought over, if its row is damaged, which `fsck` reports."""
    try:
        document = json.loads(row["document"])
        written = [*document.get("numbers", ()), *(one["number"] for one in document.get("participants", ()))]
        forms = {normalise_number(number) for number in written}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        forms = {normalise_number(number) for number in stored}
    known = ("", row["caller_e164"], row["called_e164"])
    return {number for number in forms if number not in known and len(number) <= _LONGEST}


def _correct_own(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    values = [
        {
            "id": row["id"], "caller": row["caller_e164"], "called": row["called_e164"],
            "caller_end": row["caller_e164"][::-1], "called_end": row["called_e164"][::-1],
        }
        for row in rows
    ]  # fmt: skip
    own = "UPDATE recordings SET caller_e164 = :caller, called_e164 = :called, caller_reversed = :caller_end,"
    connection.execute(sa.text(f"{own} called_reversed = :called_end WHERE id = :id"), values)
    copies = "UPDATE officers SET caller_e164 = :caller, called_e164 = :called WHERE recording = :id"
    connection.execute(sa.text(copies), values)


def _replace_others(connection: sa.Connection, others: list[tuple[dict[str, Any], set[str]]]) -> None:
    ids = [{"id": row["id"]} for row, _ in others]
    connection.execute(sa.text("DELETE FROM identities WHERE recording = :id"), ids)
    values = [
        {"recording": row["id"], "number": number, "reversed": number[::-1], **{name: row[name] for name in _COPIED}}
        for row, numbers in others
        for number in sorted(numbers)
    ]
    if values:
        names = ("recording", "number", "reversed", *_COPIED)
        marks = ", ".join(f":{name}" for name in names)
        connection.execute(sa.text(f"INSERT INTO identities ({', '.join(names)}) VALUES ({marks})"), values)  # noqa: S608
