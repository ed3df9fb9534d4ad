"""Every table of the database beside the recordings, as the newest migration leaves it. Portable SQL only.

Moments are whole microseconds since 1970, UTC, in columns that end in ``_us``: SQLite has no type for times. What is
here and what `storage.migrations` makes is compared by a test.
"""

from datetime import UTC, datetime, timedelta
from typing import overload

import sqlalchemy as sa

REVISION = "0010"
"""The newest migration; a database that says this needs none."""

METADATA = sa.MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
"""An id of a recording: compared by bytes, so that an index serves a prefix."""

schema = sa.Table(
    "schema_version",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
)
"""What programs before the migrations look at: the number in it keeps them out."""

_ASKED = ("operator", "extension", "outcome", "caller_e164", "called_e164", "team")
_SEARCHED = {
    name.removesuffix("_e164"): (name, "started_us", "id", *(other for other in _ASKED if other != name))
    for name in _ASKED
}
"""An index for each thing that is searched by: that, then the order of a search, which the id makes total, then all
else that may be asked for. So a page is found, and matches are counted, without looking at the rows."""

recordings = sa.Table(
    "recordings",
    METADATA,
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
    sa.Column("team", sa.Text, nullable=False, server_default=""),
    sa.Index("recordings_by_time", "started_us", "id"),
    *(sa.Index(f"recordings_by_{name}", *columns) for name, columns in _SEARCHED.items()),
    sa.Index("recordings_by_due", "retention_due_us", "id"),
)
"""One row per call, recorded or not. ``document`` is the whole row as JSON; the rest is derived from it."""

_OF_THE_CALL = ("first_extension", "first_operator", "outcome", "caller_e164", "called_e164", "team")

officers = sa.Table(
    "officers",
    METADATA,
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("extension", sa.String(80), primary_key=True),
    sa.Column("operator", sa.Text, nullable=False),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in _OF_THE_CALL[:-1]),
    sa.Column("team", sa.Text, nullable=False, server_default=""),
    sa.Column("own_team", sa.Text, nullable=False, server_default=""),
    sa.Index("officers_by_operator", "operator", "started_us", "recording", "extension", *_OF_THE_CALL),
    sa.Index("officers_by_extension", "extension", "started_us", "recording", "operator", *_OF_THE_CALL),
    sa.Index("officers_by_own_team", "own_team", "started_us", "recording", *_OF_THE_CALL),
)
"""Who else's call it was: one row for each officer beside the one who stands in ``recordings``. ``operator`` is empty
where that name stands for the call already, so that nobody finds a call twice; so is ``own_team``, the team that the
officer was of. ``team`` is the call's own. The rest is a copy of what the call's
row says, for the same reason as above; ``first_`` is whom it was filed under. `storage.beside` writes it."""

identities = sa.Table(
    "identities",
    METADATA,
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("number", sa.String(80), primary_key=True),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in _OF_THE_CALL),
    sa.Index("identities_by_number", "number", "started_us", "recording", *_OF_THE_CALL),
)
"""By which other numbers somebody on a call was known: one row for each that is neither the caller's nor the one that
was called, which stand in ``recordings``. The rest is a copy of what the call's row says, as in ``officers``.
`storage.beside` writes it."""

erasures = sa.Table(
    "erasures",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("recording", sa.String(80), nullable=False, index=True),
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
)
"""Orders to erase spans of recordings: `storage.erasures`."""

holds = sa.Table(
    "holds",
    METADATA,
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
    sa.Index("holds_by_recording", "recording"),
    sa.Index("holds_by_review", "review_on"),
    sa.Index("holds_by_grace", "grace_until_us"),
)
"""Why a recording must be kept: `storage.holds`. ``review_on`` is a date, ``2026-11-25``; ``grace_until_us`` is null
until the hold is released."""

deletions = sa.Table(
    "deletions",
    METADATA,
    sa.Column("id", _Ascii, primary_key=True),
    sa.Column("deleted_us", sa.BigInteger, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64)),
    sa.Index("deletions_by_time", "deleted_us"),
)
"""Tombstones: what was deleted and must never come back: `storage.deletion`."""

anchors = sa.Table(
    "anchors",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("head", sa.String(64), nullable=False),
    sa.Column("anchored_us", sa.BigInteger, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Index("anchors_by_time", "anchored_us"),
)
"""Heads of the audit log that were noted off the machine: the entry's number, where to, its hash, why it failed."""

copies = sa.Table(
    "copies",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("recording", _Ascii, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_us", sa.BigInteger, nullable=False),
    sa.Column("format", sa.Text, nullable=False),
    sa.Column("start_s", sa.Float(53), nullable=False),
    sa.Column("end_s", sa.Float(53), nullable=False),
    sa.Column("redactions", sa.Integer, nullable=False),
    sa.Column("sha256", sa.String(64)),
    sa.Index("copies_by_recording", "recording", "made_us"),
)
"""Copies that were made of recordings: `storage.copy_list`. ``sha256`` is null until the last byte was given."""

claims = sa.Table(
    "claims",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("recording", _Ascii, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("over_us", sa.BigInteger),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("requester", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("words", sa.Text, nullable=False),
    sa.Index("claims_by_recording", "recording"),
    sa.Index("claims_by_state", "state", "id"),
)
"""What data subjects ask of recordings, and what was decided: `storage.claims`. ``document`` is the rest of the claim
as JSON; the texts lie beside it, because they can expire."""

query_holds = sa.Table(
    "query_holds",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("case_reference", sa.String(40), nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("placed_by", sa.Text, nullable=False),
    sa.Column("placed_us", sa.BigInteger, nullable=False),
    sa.Column("started_from_us", sa.BigInteger),
    sa.Column("started_to_us", sa.BigInteger),
    sa.Column("operator", sa.Text),
    sa.Column("extension", sa.Text),
    sa.Column("number", sa.Text),
    sa.Column("is_number_lost", sa.Integer, nullable=False),
    sa.Column("ends_us", sa.BigInteger),
    sa.Index("query_holds_by_case", "case_reference"),
    sa.Index("query_holds_by_end", "ends_us"),
)
"""Searches whose every match a case keeps: `storage.query_holds`. ``ends_us`` is null while its case goes on."""

query_releases = sa.Table(
    "query_releases",
    METADATA,
    sa.Column("case_reference", sa.String(40), primary_key=True),
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("grace_until_us", sa.BigInteger, nullable=False),
    sa.Index("query_releases_by_recording", "recording"),
)
"""Recordings that a person found not to belong to a case: its searches hold them until then, and no longer."""


def microseconds(moment: datetime) -> int:
    """Return an aware moment as the tables hold it."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@overload
def moment_of(microseconds: int) -> datetime: ...
@overload
def moment_of(microseconds: None) -> None: ...
def moment_of(microseconds: int | None) -> datetime | None:
    """Return what `microseconds` was given, in UTC; None for a column that is empty."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
