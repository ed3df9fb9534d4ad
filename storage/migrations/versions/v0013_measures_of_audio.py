"""Adds what was measured of audio as columns: speech of each side, one side only, silence, clipping, drift, loss."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from storage.schema_upgrade import progress_of

revision = "0013"
down_revision = "0012"

_FLAGS = ("is_one_way", "is_silent")
_MEASURED = ("speech_left_s", "speech_right_s", "clipped", "drift_s", "lost")
_AT_ONCE = 1000


def upgrade() -> None:
    """Add the columns, and fill those that earlier versions measured from the documents."""
    for name in _FLAGS:
        op.add_column("recordings", sa.Column(name, sa.Integer, nullable=False, server_default="0"))
    for name in _MEASURED:
        op.add_column("recordings", sa.Column(name, sa.Float(53), nullable=False, server_default="0"))
    _fill(op.get_bind())
    op.execute("UPDATE schema_version SET version = 13 WHERE id = 1")


def _fill(connection: sa.Connection) -> None:
    page = sa.text("SELECT id, document FROM recordings WHERE id > :last ORDER BY id LIMIT :most")
    change = sa.text(
        "UPDATE recordings SET is_one_way = :is_one_way, speech_left_s = :left, speech_right_s = :right WHERE id = :id"
    )
    progress, last, done = progress_of(op.get_context()), "", 0
    while found := connection.execute(page, {"last": last, "most": _AT_ONCE}).all():
        last, done = found[-1].id, done + len(found)
        progress.note(f"{done} recordings")
        connection.execute(change, [{"id": one.id, **_of(one.document)} for one in found])


def _of(document: str) -> dict[str, Any]:
    """Return speech and one-way of a row; nothing of a row that is damaged, which `fsck` reports."""
    try:
        row = json.loads(document)
        left, right = map(float, row.get("speech_s", (0.0, 0.0)))
        return {"is_one_way": int(bool(row.get("is_one_way"))), "left": left, "right": right}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {"is_one_way": 0, "left": 0.0, "right": 0.0}
