"""The retention schedule: how long each class of data is kept, from when, and who answers for it (P11). Pure."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class DataClass(enum.StrEnum):
    """The classes of data that are kept."""

    RECORDINGS = "recordings"
    UNRECORDED = "unrecorded_calls"
    TEXTS = "texts"
    DECISIONS = "decisions"
    REQUESTS = "requests"
    CASES = "cases"
    ACCESS = "access"
    TORN = "torn_files"
    DELIVERIES = "deliveries"
    CALL_RECORDS = "call_records"
    ASSURANCE = "assurance"
    TOMBSTONES = "tombstones"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleLine:
    """One line of the schedule.

    Attributes:
        key: Key of ``[retention]``; its value is whole days.
        days: The default.
        since: The moment from which it counts.
        owner: The role that answers for it.
        what: What belongs to the class.
        why: The reason for the period.
    """

    data: DataClass
    key: str
    days: int
    since: str
    owner: str
    what: str
    why: str


SCHEDULE: Mapping[DataClass, ScheduleLine] = MappingProxyType(
    {
        line.data: line
        for line in (
            ScheduleLine(
                data=DataClass.RECORDINGS,
                key="retention_days",
                days=90,
                since="the end of the call",
                owner="dpo",
                what="recordings: container, sealed key and row; by service",
                why="the council's policy (P3)",
            ),
            ScheduleLine(
                data=DataClass.UNRECORDED,
                key="unrecorded_days",
                days=90,
                since="the end of the call",
                owner="dpo",
                what="rows of calls of which nothing was kept: blocked, no conversation, failed",
                why="who called whom is personal data too; no longer than a recording",
            ),
            ScheduleLine(
                data=DataClass.TEXTS,
                key="text_days",
                days=730,
                since="the entry",
                owner="dpo",
                what="free text of the audit log: reasons, searches; that of a hold not before the hold is over, "
                "that of break-glass not before it was acknowledged",
                why="long enough to investigate misuse; the entry itself stays, without its text",
            ),
            ScheduleLine(
                data=DataClass.DECISIONS,
                key="decision_days",
                days=730,
                since="the decision or the copy, and not before its recording is gone",
                owner="dpo",
                what="finished orders to erase and ended holds; the list of copies",
                why="questions about a deleted recording may come late",
            ),
            ScheduleLine(
                data=DataClass.REQUESTS,
                key="request_days",
                days=730,
                since="the end of the access grant, or the refusal",
                owner="dpo",
                what="texts of access requests: reasons, references, answers; who asked for which recording, and who "
                "decided, stays",
                why="as long as the texts of the audit log, to investigate misuse",
            ),
            ScheduleLine(
                data=DataClass.CASES,
                key="case_days",
                days=1096,
                since="the day the case was closed, or the rights request ended",
                owner="dpo",
                what="texts of cases and of rights requests: who asked, what they said, what was answered, "
                "transcripts; the events and their days stay",
                why="three years: complaints to the Commissioner and to court may come late",
            ),
            ScheduleLine(
                data=DataClass.ACCESS,
                key="access_days",
                days=730,
                since="the moment at which it ended",
                owner="admin",
                what="disabled accounts, revoked and expired tokens",
                why="as long as the texts, to see who could do what; the log still names them",
            ),
            ScheduleLine(
                data=DataClass.TORN,
                key="torn_days",
                days=730,
                since="the repair",
                owner="ict",
                what="torn ends of the audit log, moved aside after a power cut",
                why="as long as the texts: it may hold part of an entry",
            ),
            ScheduleLine(
                data=DataClass.DELIVERIES,
                key="delivery_days",
                days=90,
                since="the event",
                owner="ict",
                what="events for webhooks and their deliveries: ids, extensions, times, answers; at least four days",
                why="to find out what another system was told; no longer than a recording",
            ),
            ScheduleLine(
                data=DataClass.CALL_RECORDS,
                key="call_record_days",
                days=30,
                since="the call",
                owner="ict",
                what="imported call records of the PBX: extension, time, length, last digits of the number",
                why="long enough to compare them with the recordings, and to import what is missing",
            ),
            ScheduleLine(
                data=DataClass.ASSURANCE,
                key="assurance_days",
                days=365,
                since="the call",
                owner="dpo",
                what="days that were checked; calls that were not recorded as they should have been, and why",
                why="a year, so that the share can be compared with that of the year before",
            ),
            ScheduleLine(
                data=DataClass.TOMBSTONES,
                key="tombstone_days",
                days=2192,
                since="the deletion",
                owner="dpo",
                what="tombstones in the database; the audit log keeps them",
                why="six years, the time within which claims are made; no backup may be older",
            ),
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedLine:
    """Data without a period in ``[retention]``: it ends by a rule of its own.

    Attributes:
        what: What belongs to it.
        rule: How long it is kept.
        owner: The role that answers for it.
        why: The reason for the rule.
    """

    what: str
    rule: str
    owner: str
    why: str


FIXED = (
    FixedLine(
        what="entries of the audit log without their texts, and anchored heads",
        rule="as long as the recorder exists",
        owner="dpo",
        why="the chain can be verified only from its first entry; it names accounts and recordings, no callers",
    ),
    FixedLine(
        what="sessions of console and shell",
        rule="as idle_minutes and longest_hours of [console] say; deleted at anybody's next sign-in",
        owner="admin",
        why="an unattended browser must not stay signed in",
    ),
    FixedLine(
        what="notifications of people, and the state of their mails",
        rule="90 days; an unsent mail is given up after five",
        owner="dpo",
        why="notifications are derived again each time; they contain nothing of a call",
    ),
    FixedLine(
        what="wrong passwords and wrong PINs",
        rule="counted until the next right one, or until the lock ends",
        owner="admin",
        why="to lock out people who guess; the audit log has each refusal",
    ),
    FixedLine(
        what="who is signed on at which phone, and pauses, opt-outs and sessions of calls in progress",
        rule="until they sign off, and until the call is filed",
        owner="ict",
        why="a restart must not resume a pause; the recording's row has the lasting facts",
    ),
    FixedLine(
        what="queued rows and audit entries",
        rule="until they are filed",
        owner="ict",
        why="nothing is lost while it is down",
    ),
    FixedLine(
        what="log lines of daemon and console, numbers masked",
        rule="as the machine's journal keeps them: MaxRetentionSec in journald.conf",
        owner="ict",
        why="the recorder writes no log files of its own",
    ),
)
"""The rest of the data, so that the schedule names every class."""

UNREACHED = frozenset({DataClass.TOMBSTONES, DataClass.REQUESTS, DataClass.CASES})
"""Classes that leave no tombstone: their periods may be longer than that of tombstones."""
