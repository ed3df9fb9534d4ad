"""Adds the further numbers of the parties of a call, so that searches find the call by them."""

import json

import sqlalchemy as sa
from alembic import op

from storage.phone_numbers import normalise_number
from storage.schema_upgrade import progress_of

revision = "0008"
down_revision = "0007"

_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
_COPIED = ("first_extension", "first_operator", "outcome", "caller_e164", "called_e164", "team")
_AT_ONCE = 1000


def upgrade() -> None:
    """Create the table, and fill it with the participants of recording sessions; older rows name no others."""
    op.create_table(
        "identities",
        sa.Column("recording", _Ascii, primary_key=True),
        sa.Column("number", sa.String(80), primary_key=True),
        sa.Column("started_us", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _COPIED),
    )
    _fill(op.get_bind())
    op.create_index("identities_by_number", "identities", ["number", "started_us", "recording", *_COPIED])
    op.execute("UPDATE schema_version SET version = 8 WHERE id = 1")


def _fill(connection: sa.Connection) -> None:
    page = sa.text(
        "SELECT id, started_us, extension, operator, outcome, caller_e164, called_e164, team, document"
        " FROM recordings WHERE id > :last ORDER BY id LIMIT :most"
    )
    names = ", ".join(("recording", "number", "started_us", *_COPIED))
    marks = ", ".join(f":{name}" for name in ("recording", "number", "started_us", *_COPIED))
    insert = sa.text(f"INSERT INTO identities ({names}) VALUES ({marks})")  # noqa: S608 - names of columns, ours
    progress, last, done = progress_of(op.get_context()), "", 0
    while found := connection.execute(page, {"last": last, "most": _AT_ONCE}).all():
        last, done = found[-1].id, done + len(found)
        progress.note(f"{done} recordings")
        rows = [
            {
                "recording": one.id,
                "number": number,
                "started_us": one.started_us,
                "first_extension": one.extension,
                "first_operator": one.operator,
                "outcome": one.outcome,
                "caller_e164": one.caller_e164,
                "called_e164": one.called_e164,
                "team": one.team,
            }
            for one in found
            for number in _numbers_in(one.document, {one.caller_e164, one.called_e164})
        ]
        if rows:
            connection.execute(insert, rows)


def _numbers_in(document: str, known: set[str]) -> list[str]:
    try:
        participants = json.loads(document).get("participants") or []
        written = [str(one["number"]) for one in participants]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []  # damaged, which `fsck` reports
    numbers = dict.fromkeys(normalise_number(number) for number in written)
    return [number for number in numbers if 0 < len(number) <= 80 and number not in known]
