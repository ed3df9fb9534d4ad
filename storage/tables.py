"""Definitions of all tables of the database, as of the newest migration. Portable SQL only.

Times are whole microseconds since 1970, UTC, in columns that end in ``_us``, since SQLite has no type for times. A test
compares these definitions with the result of `storage.migrations`.
"""

from datetime import UTC, datetime, timedelta
from typing import overload

import sqlalchemy as sa

REVISION = "0015"
"""Revision of the newest migration."""

METADATA = sa.MetaData()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")
"""An id of a recording, or a name of a node: compared by bytes, so that an index serves a prefix."""
_Text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""A text that is compared by bytes, as `_Ascii`."""

schema = sa.Table(
    "schema_version",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
)
"""Read by programs from before the migrations: its number keeps them from using the database."""

_ASKED = ("operator", "extension", "outcome", "caller_e164", "called_e164", "service", "team")
_SEARCHED = {
    name.removesuffix("_e164"): (name, "started_us", "id", *(other for other in _ASKED if other != name))
    for name in _ASKED
}
"""An index for each search column: that column, then the order of a search, which the id makes total, then all other
search columns. So pages are found and matches counted within the index, without reading rows."""

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
    sa.Column("service", sa.Text, nullable=False, server_default=""),
    sa.Column("caller_reversed", _Text, nullable=False, server_default=""),
    sa.Column("called_reversed", _Text, nullable=False, server_default=""),
    sa.Column("pauses", sa.Integer, nullable=False, server_default="0"),
    sa.Column("is_opted_out", sa.Integer, nullable=False, server_default="0"),
    sa.Index("recordings_by_time", "started_us", "id", "outcome", "pauses", "is_opted_out"),
    sa.Index("recordings_by_caller_end", "caller_reversed"),
    sa.Index("recordings_by_called_end", "called_reversed"),
    *(sa.Index(f"recordings_by_{name}", *columns) for name, columns in _SEARCHED.items()),
    sa.Index("recordings_by_team_operator", "team", "operator"),
    sa.Index("recordings_by_due", "retention_due_us", "id"),
)
"""One row for each call, recorded or not. ``document`` is the whole row as JSON; other columns are derived from it.
``caller_e164`` is `storage.phone_numbers.normalise_number` of ``caller``.
``caller_reversed`` is ``caller_e164`` from its end, so that an index finds numbers by their last digits."""

_OF_THE_CALL = ("first_extension", "first_operator", "outcome", "caller_e164", "called_e164", "service", "team")

officers = sa.Table(
    "officers",
    METADATA,
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("extension", sa.String(80), primary_key=True),
    sa.Column("operator", sa.Text, nullable=False),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in _OF_THE_CALL[:-2]),
    sa.Column("team", sa.Text, nullable=False, server_default=""),
    sa.Column("service", sa.Text, nullable=False, server_default=""),
    sa.Column("own_team", sa.Text, nullable=False, server_default=""),
    sa.Index("officers_by_operator", "operator", "started_us", "recording", "extension", *_OF_THE_CALL),
    sa.Index("officers_by_extension", "extension", "started_us", "recording", "operator", *_OF_THE_CALL),
    sa.Index("officers_by_own_team", "own_team", "started_us", "recording", *_OF_THE_CALL),
    sa.Index("officers_by_team_operator", "own_team", "operator"),
)
"""Further officers: one row for each officer of a call besides the one in ``recordings``. ``own_team`` is the team of
the officer. ``operator`` and ``own_team`` are empty if the call has that name or team already, so that a search finds a
call once. ``team`` is the call's own. The other columns copy the call's row, for the indices; ``first_`` is the officer
in ``recordings``. Written by `storage.call_parties`."""

identities = sa.Table(
    "identities",
    METADATA,
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("number", sa.String(80), primary_key=True),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in _OF_THE_CALL if name != "service"),
    sa.Column("service", sa.Text, nullable=False, server_default=""),
    sa.Column("reversed", _Text, nullable=False, server_default=""),
    sa.Index("identities_by_number", "number", "started_us", "recording", *_OF_THE_CALL),
    sa.Index("identities_by_end", "reversed"),
)
"""Further numbers of the parties of a call: one row for each besides the calling and the called number, which are in
``recordings``. ``reversed`` is the number from its end. Other columns copy the call's row, as in ``officers``.
Written by `storage.call_parties`."""

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
"""Erasure orders: `storage.erasures`."""

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
"""Legal holds: `storage.holds`. ``review_on`` is a date, ``2026-11-25``; ``grace_until_us`` is null until the hold is
released."""

deletions = sa.Table(
    "deletions",
    METADATA,
    sa.Column("id", _Ascii, primary_key=True),
    sa.Column("deleted_us", sa.BigInteger, nullable=False),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64)),
    sa.Index("deletions_by_time", "deleted_us"),
)
"""Tombstones of deleted recordings: `storage.tombstones`."""

anchors = sa.Table(
    "anchors",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Column("head", sa.String(64), nullable=False),
    sa.Column("anchored_us", sa.BigInteger, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("node", sa.String(16), primary_key=True, server_default=""),
    sa.Index("anchors_by_time", "anchored_us"),
)
"""Heads of audit logs that were sent to other machines: number of the entry, target, hash, why it failed. ``node`` is
the beginning of the fingerprint of the key of the log's home; empty in rows from before revision 0011."""

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
"""Copies of recordings: `storage.copy_list`. ``sha256`` is null until the copy is complete."""

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
"""Data subjects' rights requests and the decisions on them: `storage.claims`. ``document`` has the other fields as
JSON; the texts are columns, since they can expire."""

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
"""Holds by search: `storage.query_holds`. ``ends_us`` is null while the case is open."""

query_releases = sa.Table(
    "query_releases",
    METADATA,
    sa.Column("case_reference", sa.String(40), primary_key=True),
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("grace_until_us", sa.BigInteger, nullable=False),
    sa.Index("query_releases_by_recording", "recording"),
)
"""Recordings released from the holds of a case, which hold them until ``grace_until_us``."""

nodes = sa.Table(
    "nodes",
    METADATA,
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
"""Recorders of a site that has several. ``fingerprint`` is of the node's signing key, ``address`` is where its control
API listens, as ``HOST:PORT``; ``seen_us`` is its last heartbeat, by the database's clock."""

leases = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("holder", sa.Text),
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("until_us", sa.BigInteger),
    sa.Column("done_us", sa.BigInteger),
    sa.Column("note", sa.Text),
)
"""Work that one node does at a time. ``fence`` grows each time that a lease is taken: whoever writes what the lease
protects compares it in the same transaction. ``until_us`` and ``done_us``, when the work was last completed, are by the
database's clock. ``note`` is JSON that one holder leaves for the next. Written by `storage.leases`."""

file_removals = sa.Table(
    "file_removals",
    METADATA,
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("node", sa.String(40), primary_key=True),
    sa.Column("ordered_us", sa.BigInteger, nullable=False),
    sa.Column("removed_us", sa.BigInteger),
    sa.Index("file_removals_by_node", "node", "removed_us", "ordered_us"),
)
"""Deleted recordings whose files are on a node's disk: one row for each until its tombstone expires. ``removed_us`` is
null until that node has confirmed that file and key are gone; both times are by the database's clock. ``node`` is empty
for a recording from before nodes had names. Written by `storage.file_removals`."""

unfinished = sa.Table(
    "unfinished",
    METADATA,
    sa.Column("recording", _Ascii, primary_key=True),
    sa.Column("node", sa.String(40), nullable=False),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    sa.Index("unfinished_by_node", "node", "started_us"),
)
"""Recordings that nodes have open. Those of a node that is away are on its disk and not in ``recordings``; recovery
files them when the node is back. Written by `storage.unfinished`."""

sign_ons = sa.Table(
    "sign_ons",
    METADATA,
    sa.Column("extension", sa.String(80), primary_key=True),
    sa.Column("operator", sa.Text),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("is_proven", sa.Integer, nullable=False),
    sa.Column("changed_us", sa.BigInteger, nullable=False),
    sa.Index("sign_ons_by_change", "changed_us"),
)
"""The last sign-on or, with ``operator`` null, sign-off at each extension. ``at_us`` is by the clock of the node where
it was done, ``changed_us`` by the database's. Written by `storage.shared_sign_ons`."""

pins = sa.Table(
    "pins",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("changed_us", sa.BigInteger, nullable=False),
)
"""One row: the file of managers' PINs, which holds hashes only. Written by consoles, read by nodes."""

agreements = sa.Table(
    "agreements",
    METADATA,
    sa.Column("home", sa.String(64), primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)
"""Agreement number of each home that shares this index, by the fingerprint of its signing key: `storage.agreement`."""

key_lists = sa.Table(
    "key_lists",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("signature", sa.String(128), nullable=False),
)
"""The key list that the key holder publishes to the nodes: `recorder.site_keys.key_list`. Nodes believe the signature,
not the table. Only the newest list is kept."""

node_epochs = sa.Table(
    "node_epochs",
    METADATA,
    sa.Column("fingerprint", sa.String(64), primary_key=True),
    sa.Column("list_number", sa.BigInteger, nullable=False),
    sa.Column("current", sa.String(20), nullable=False),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("reported_us", sa.BigInteger, nullable=False),
)
"""What each node last said of its epochs: number of its key list, the epoch that new recordings are sealed to, and the
epochs that keys in its home are sealed to (``sealed``, a JSON list). ``fingerprint`` is of the node's signing key."""

objects = sa.Table(
    "objects",
    METADATA,
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
"""Finished recordings in the object store, by the digest of their container, which names the object:
`storage.objects`. ``node`` is the fingerprint of the machine that has or had the file, ``key_epoch`` the epoch of the
sealed key there, which is not the present one if ``is_key_old``; ``released_us`` is when the file was removed from that
machine."""

audit_logs = sa.Table(
    "audit_logs",
    METADATA,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("began_us", sa.BigInteger, nullable=False),
)
"""The audit logs whose entries are in ``audit_entries``. ``fingerprint`` is of the key of the log's home: a home with
another key cannot take the name."""

audit_entries = sa.Table(
    "audit_entries",
    METADATA,
    sa.Column("node", _Ascii, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("act", _Text, nullable=False),
    sa.Column("actor", _Text, nullable=False),
    sa.Column("subject", _Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("line", sa.Text, nullable=False),
    sa.Index("audit_entries_by_time", "at_us", "node", "number"),
    sa.Index("audit_entries_by_subject", "subject", "at_us"),
)
"""Copies of the entries of audit logs, for reading and search: `storage.audit_copies`. ``line`` is the line of the log
without its line feed; the other columns are derived from it. Rows are only added."""

call_records = sa.Table(
    "call_records",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("pbx", sa.Text, nullable=False),
    sa.Column("answered_us", sa.BigInteger, nullable=False),
    sa.Column("talk_s", sa.Float(53), nullable=False),
    sa.Column("extensions", sa.Text, nullable=False),
    sa.Column("direction", sa.Text, nullable=False),
    sa.Column("number_end", sa.String(4), nullable=False),
    sa.Column("service", sa.Text, nullable=False),
    sa.Column("team", sa.Text, nullable=False),
    sa.Column("is_bypassed", sa.Integer, nullable=False),
    sa.Column("imported_us", sa.BigInteger, nullable=False),
    sa.Index("call_records_by_time", "answered_us"),
)
"""Calls that a PBX or a proxy saw and the policy has recorded: `storage.assurance`. ``answered_us`` is by that system's
clock; ``extensions`` are joined by commas; of the number outside only the last digits are kept."""

assurance_days = sa.Table(
    "assurance_days",
    METADATA,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("judged_us", sa.BigInteger, nullable=False),
    sa.Column("records", sa.Integer, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("bad", sa.Integer, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)
"""Expected against recorded, a row for each day that was judged: `storage.assurance`. ``document`` is JSON: counts."""

assurance_findings = sa.Table(
    "assurance_findings",
    METADATA,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("day", sa.String(10), nullable=False),
    sa.Column("team", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("explained_by", sa.Text),
    sa.Column("explained_us", sa.BigInteger),
    sa.Column("explanation", sa.Text),
    sa.Index("assurance_findings_by_day", "day", "id"),
)
"""Calls that were not recorded as they should have been, with why somebody says that it is in order."""


def microseconds(moment: datetime) -> int:
    """Return an aware time as microseconds since 1970, as in the tables."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


@overload
def moment_of(microseconds: int) -> datetime: ...
@overload
def moment_of(microseconds: None) -> None: ...
def moment_of(microseconds: int | None) -> datetime | None:
    """Return the time of `microseconds`, in UTC; None for null."""
    return None if microseconds is None else _EPOCH + timedelta(microseconds=microseconds)
