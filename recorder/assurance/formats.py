"""The layouts of call records: Asterisk, FreeSWITCH, Cisco CUCM, 3CX, Kamailio's list, and mappings for others. Pure.

A layout says which column has which fact. Columns without a header are found by their place, with one by name.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from recorder.assurance.call_records import CallRecordsError

FACTS = frozenset(
    {
        "call_id", "linked_id", "started", "answered", "ended", "duration_s", "talk_s", "caller", "called",
        "answered_by", "state",
    }
)  # fmt: skip
"""What a column may be: the keys of ``[columns]`` in a mapping."""
NEEDED = ("started", "caller", "called")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How one kind of file is laid out.

    Attributes:
        name: Its name, for messages.
        facts: The names of the columns that have a fact, the best first; those of ``call_id`` are joined.
        columns: Names of the columns of a file without a header, in order; empty if it always has one.
        by_width: The same for rows of other lengths, where settings of the PBX add columns in the middle.
        least: How many columns a row has at least.
        types_line: The line after the header has types and is skipped.
        record_type: A column and the value that it has in rows that are calls.
        times: Patterns of times; empty for seconds since 1970.
        answered_states: Values of ``state`` in rows of answered calls, in lower case; empty if any will do.
        number: Finds the number in a column that holds more, such as a channel; None if a column is a number.
        delimiter: What separates columns.
        encoding: Character encoding.
        time_zone: Name of the zone of local times; None for that of the site.
        is_raw: Its first column is a name that callers choose, in which quotes are not doubled.
    """

    name: str
    facts: Mapping[str, tuple[str, ...]]
    columns: Sequence[str] = ()
    by_width: Mapping[int, Sequence[str]] = field(default_factory=dict)
    least: int = 0
    types_line: bool = False
    record_type: tuple[str, str] | None = None
    times: Sequence[str] = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S%z")
    answered_states: frozenset[str] = frozenset()
    number: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    delimiter: str = ","
    encoding: str = "utf-8"
    time_zone: str | None = None
    is_raw: bool = False

    def columns_of(self, width: int) -> Sequence[str]:
        """Return the names of the columns of a row of a file without a header, by its number of columns."""
        return self.by_width.get(width, self.columns)


UNIQUE_OR_USER = "uniqueid or userfield"
"""The one column after the sixteen that Asterisk always writes: which one it is depends on cdr.conf."""
_ALWAYS = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start",
    "answer", "end", "duration", "billsec", "disposition", "amaflags",
)  # fmt: skip
_NEW = ("peeraccount", "linkedid", "sequence")
_CHANNEL = re.compile(r"^[^/]+/(?:[^/@;-]*/)?(?P<number>[^/@;-]+)")
"""``PJSIP/2001-0000001b``: technology, endpoint, serial number."""
_THREE_CX_NUMBER = re.compile(r"^(?:Ext\.)?(?P<number>.*)$")
_ASTERISK = Layout(
    name="asterisk",
    columns=(*_ALWAYS, "uniqueid", "userfield"),
    by_width={
        17: (*_ALWAYS, UNIQUE_OR_USER), 19: (*_ALWAYS, *_NEW), 20: (*_ALWAYS, UNIQUE_OR_USER, *_NEW),
        21: (*_ALWAYS, "uniqueid", "userfield", *_NEW),
    },
    least=16,
    facts={
        "call_id": ("linkedid", "uniqueid", UNIQUE_OR_USER), "started": ("start", "calldate"),
        "answered": ("answer", "answerdate"), "ended": ("end", "enddate"), "duration_s": ("duration",),
        "talk_s": ("billsec",), "caller": ("src",), "called": ("dst",), "answered_by": ("dstchannel",),
        "state": ("disposition",),
    },
    answered_states=frozenset({"answered"}),
    number={"answered_by": _CHANNEL},
)  # fmt: skip
"""``cdr_csv``: the columns in the order in which Asterisk writes them.

It writes those after ``amaflags`` only if cdr.conf has ``loguniqueid``, ``loguserfield`` and ``newcdrcolumns``.
"""
_FREESWITCH = Layout(
    name="freeswitch",
    columns=(
        "caller_id_name", "caller_id_number", "destination_number", "context", "start_stamp", "answer_stamp",
        "end_stamp", "duration", "billsec", "hangup_cause", "uuid", "bleg_uuid", "accountcode", "read_codec",
        "write_codec",
    ),
    least=13,
    facts={
        "call_id": ("uuid",), "started": ("start_stamp",), "answered": ("answer_stamp",), "ended": ("end_stamp",),
        "duration_s": ("duration",), "talk_s": ("billsec",), "caller": ("caller_id_number",),
        "called": ("destination_number",), "linked_id": ("bleg_uuid",),
    },
    is_raw=True,
)  # fmt: skip
"""``mod_cdr_csv`` with the template that it uses unless told otherwise, ``example``."""
_CUCM = Layout(
    name="cucm",
    types_line=True,
    record_type=("cdrRecordType", "1"),
    facts={
        "call_id": ("globalCallID_callManagerId", "globalCallID_callId", "globalCallId_ClusterID"),
        "started": ("dateTimeOrigination",), "answered": ("dateTimeConnect",), "ended": ("dateTimeDisconnect",),
        "talk_s": ("duration",), "caller": ("callingPartyNumber",), "called": ("originalCalledPartyNumber",),
        "answered_by": ("finalCalledPartyNumber",),
    },
    times=(),
)  # fmt: skip
"""Cisco's flat file: a line of names, a line of types, then rows; times are seconds since 1970, UTC."""
_THREE_CX = Layout(
    name="3cx",
    columns=(
        "historyid", "callid", "duration", "time-start", "time-answered", "time-end", "reason-terminated", "from-no",
        "to-no", "from-dn", "to-dn", "dial-no", "reason-changed", "final-number", "final-dn", "bill-code", "bill-rate",
        "bill-cost", "bill-name", "chain", "from-type", "to-type", "final-type", "from-dispname", "to-dispname",
        "final-dispname", "missed-queue-calls",
    ),
    least=15,
    facts={
        "call_id": ("historyid",), "started": ("time-start",), "answered": ("time-answered",),
        "ended": ("time-end",), "caller": ("from-no", "from-dn"), "called": ("to-no", "dial-no"),
        "answered_by": ("final-number", "final-dn", "to-dn"),
    },
    times=("%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S%z"),
    number=dict.fromkeys(("caller", "called", "answered_by"), _THREE_CX_NUMBER),
)  # fmt: skip
"""3CX with all fields of its page "CDR output fields", in the order in which it offers them."""

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {layout.name: layout for layout in (_ASTERISK, _FREESWITCH, _CUCM, _THREE_CX)}
)
"""The layouts that are built in."""
KAMAILIO = "kamailio"
"""Not a layout of columns: `recorder.reports.bypassed_calls` reads it."""
_TEXTS = {"delimiter": ",", "encoding": "utf-8", "time_zone": "", "time_format": ""}
_KEYS = frozenset({*_TEXTS, "columns", "answered", "header", "pattern"})


def read_mapping(text: str, name: str) -> Layout:
    """Return the layout that a mapping describes.

    Args:
        text: TOML, as docs/assurance.md shows.
        name: Its name, for messages.

    Raises:
        CallRecordsError: It is no such mapping.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CallRecordsError(f"{name} is not TOML: {error}") from error
    if unknown := sorted(set(found) - _KEYS):
        raise CallRecordsError(f"{name}: unknown key {unknown[0]!r}; docs/assurance.md lists the keys")
    texts = {key: _text(found, key, default, name) for key, default in _TEXTS.items()}
    if len(texts["delimiter"]) != 1:
        raise CallRecordsError(f"{name}: delimiter must be one character")
    answered = _table(found, "answered", name)
    state, states = answered.get("column"), answered.get("values", [])
    facts = _facts(_table(found, "columns", name), name)
    if answered and (not isinstance(state, str) or not _is_texts(states)):
        raise CallRecordsError(f"{name}: [answered] needs a column and a list of values")
    header = found.get("header", [])
    if not _is_texts(header):
        raise CallRecordsError(f"{name}: header must be the list of names of the columns; leave it out if the file has")
    return Layout(
        name=name, facts={**facts, **({"state": (state,)} if isinstance(state, str) else {})}, columns=tuple(header),
        least=len(header), times=() if texts["time_format"] == "epoch" else (texts["time_format"],),
        answered_states=frozenset(value.lower() for value in states), number=_patterns(found, name),
        delimiter=texts["delimiter"], encoding=texts["encoding"], time_zone=texts["time_zone"] or None,
    )  # fmt: skip


def _facts(columns: Mapping[str, Any], name: str) -> dict[str, tuple[str, ...]]:
    if unknown := sorted(set(columns) - FACTS):
        raise CallRecordsError(f"{name}: [columns] has no {unknown[0]!r}; it may have {', '.join(sorted(FACTS))}")
    facts = {}
    for key, value in columns.items():
        names = [value] if isinstance(value, str) else value
        if not _is_texts(names) or not names:
            raise CallRecordsError(f"{name}: {key} in [columns] must be the name of a column, or a list of names")
        facts[key] = tuple(names)
    missing = [key for key in NEEDED if key not in facts]
    if missing or not ({"answered", "talk_s"} & set(facts)) or not ({"ended", "talk_s"} & set(facts)):
        raise CallRecordsError(
            f"{name}: [columns] needs started, caller and called, and either talk_s, or answered and ended"
        )
    return facts


def _patterns(found: Mapping[str, Any], name: str) -> dict[str, re.Pattern[str]]:
    patterns = {}
    for key, value in _table(found, "pattern", name).items():
        try:
            patterns[key] = re.compile(value if isinstance(value, str) else "")
        except re.error as error:
            raise CallRecordsError(f"{name}: {key} in [pattern] is no regular expression: {error}") from error
        if key not in ("caller", "called", "answered_by") or "number" not in patterns[key].groupindex:
            raise CallRecordsError(
                f"{name}: [pattern] may have caller, called and answered_by, each with a group (?P<number>...)"
            )
    return patterns


def _table(found: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    value = found.get(key, {})
    if not isinstance(value, dict):
        raise CallRecordsError(f"{name}: [{key}] must be a table")
    return value


def _text(found: Mapping[str, Any], key: str, default: str, name: str) -> str:
    value = found.get(key, default)
    if not isinstance(value, str) or (key == "time_format" and not value):
        raise CallRecordsError(f"{name}: {key} must be a text" + (", or 'epoch'" if key == "time_format" else ""))
    return value


def _is_texts(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)
