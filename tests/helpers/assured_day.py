"""One day of a contact centre, from one generator: recordings, call records in four formats, and what is wrong."""

import csv
import io
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from recorder.rules.policy import AnsweredBy, Extension
from storage.types import Officer, Outcome, RecordingId, RecordingRow, Segment, SegmentKind

ZONE = ZoneInfo("Europe/London")
QUEUE = "6000"
MISSING, ONE_SIDED, SHORT, SILENT = "not_recorded", "one_sided", "short", "silent"
WRONG = {MISSING: 13, ONE_SIDED: 4, SHORT: 2, SILENT: 1}
IN_ORDER = {
    "paused": 60, "opted_out": 20, "discarded": 10, "withheld": 25, "redialled": 15, "queued": 40, "transferred": 30,
    "below_policy": 90, "internal": 60, "unanswered": 90, "emergency": 5, "elsewhere": 10,
}  # fmt: skip
CALLS = 1000
NOMINATED = {
    **{
        str(number): Extension(
            number=str(number),
            operator=f"Officer {number}",
            service="Benefits",
            team="north" if number % 2 else "south",
        )
        for number in range(2001, 2021)
    },
    QUEUE: Extension(number=QUEUE, operator="Queue", service="Benefits", team="north", answered_by=AnsweredBy.ANYBODY),
    "6001": Extension(number="6001", operator="Queue 2", service="Benefits", team="north"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A row of the call records: times are those of the recorder's clock."""

    started_at: datetime
    answered_at: datetime | None
    talk_s: int
    caller: str
    called: str
    answered_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A call: its kind, its rows at the PBX, and its recording."""

    number: int
    kind: str
    parts: tuple[Part, ...]
    row: RecordingRow | None

    @property
    def extension(self) -> str:
        """The extension that answers for it."""
        first = self.parts[0]
        return (
            first.answered_by
            if first.answered_by in NOMINATED
            else first.called
            if first.called in NOMINATED
            else first.caller
        )


def made_day(seed: int, day: datetime) -> list[Made]:
    """Return `CALLS` calls of a day, the same for the same seed."""
    dice = random.Random(seed)
    kinds = [kind for kind, count in {**WRONG, **IN_ORDER}.items() for _ in range(count)]
    kinds += ["good"] * (CALLS - len(kinds))
    dice.shuffle(kinds)
    free = dict.fromkeys(
        map(str, range(2001, 2021)), day.replace(hour=8, minute=0, second=0, microsecond=0, tzinfo=ZONE)
    )
    calls: list[Made] = []
    for number, kind in enumerate(kinds):
        extension = dice.choice(sorted(free, key=free.__getitem__)[:5])
        start = free[extension].astimezone(UTC) + timedelta(seconds=dice.randint(5, 240))
        made = _made(dice, number, kind, extension, start)
        calls.append(made)
        free[extension] = max(
            start + timedelta(seconds=60),
            *((p.answered_at or p.started_at) + timedelta(seconds=p.talk_s) for p in made.parts),
        ).astimezone(ZONE)
    return calls


def _made(dice: random.Random, number: int, kind: str, extension: str, start: datetime) -> Made:
    outside = f"0{dice.choice((20, 161, 7700))}{dice.randint(1_000_000, 9_999_999)}"
    caller = {"withheld": "", "internal": f"3{dice.randint(100, 999)}", "redialled": "02079460000"}.get(kind, outside)
    ring_s, talk_s = dice.randint(2, 25), dice.randint(30, 900)
    called, by = extension, extension
    if dice.random() < 0.3 and kind not in ("internal", "queued", "transferred", "elsewhere"):  # a call out
        caller, called, by = extension, outside, ""
    if kind == "below_policy":
        caller, called, by = outside, f"29{dice.randint(10, 99)}", ""
    if kind == "emergency":
        caller, called, by = extension, "999", ""
    if kind == "elsewhere":
        called, by = "6001", "2955"
    answered = start + timedelta(seconds=ring_s)
    one = Part(started_at=start, answered_at=answered, talk_s=talk_s, caller=caller, called=called, answered_by=by)
    parts: tuple[Part, ...] = (one,)
    if kind == "unanswered":
        parts = (replace(one, answered_at=None, talk_s=0),)
    elif kind == "queued":  # the queue rings a colleague first
        missed = Part(started_at=start, answered_at=None, talk_s=0, caller=caller, called=QUEUE, answered_by="2019")
        parts = (replace(one, called=QUEUE), missed)
    elif kind == "transferred":  # to a second nominated extension, in one call
        half = talk_s // 2
        parts = (
            replace(one, talk_s=half),
            Part(started_at=answered + timedelta(seconds=half), answered_at=answered + timedelta(seconds=half),
                 talk_s=talk_s - half, caller=caller, called="2020", answered_by="2020"),
        )  # fmt: skip
    return Made(number=number, kind=kind, parts=parts, row=_row(dice, number, kind, extension, parts, talk_s))


_UNSEEN = (MISSING, "below_policy", "internal", "unanswered", "emergency", "elsewhere")


def _row(
    dice: random.Random, number: int, kind: str, extension: str, parts: tuple[Part, ...], talk_s: int
) -> RecordingRow | None:
    first = parts[0]
    if kind in _UNSEEN or first.answered_at is None:
        return None
    at, is_out = first.answered_at + timedelta(seconds=dice.uniform(-0.5, 2.5)), first.caller == extension
    row = RecordingRow(
        id=RecordingId(f"{at:%Y%m%dT%H%M%SZ}-{extension}-{number:06x}"), started_at=at,
        ended_at=at + timedelta(seconds=talk_s), direction="outbound" if is_out else "inbound", extension=extension,
        operator=f"Officer {extension}", service="Benefits", team=NOMINATED[extension].team,
        caller=first.caller or "anonymous", called=first.called if is_out else extension, outcome=Outcome.RECORDED,
        reason="caller_hung_up", duration_s=talk_s, recorded_s=talk_s - 0.4, path="x",
        speech_s=(talk_s * 0.4, talk_s * 0.35), extensions=tuple({extension, first.called} & set(NOMINATED)),
    )  # fmt: skip
    return _changed(row, kind, talk_s, extension)


def _changed(row: RecordingRow, kind: str, talk_s: float, extension: str) -> RecordingRow:
    officers = (Officer(extension=extension, operator=row.operator, team=row.team),)
    if kind in ("paused", "opted_out"):
        of = SegmentKind.PAUSED if kind == "paused" else SegmentKind.OPTED_OUT
        third = talk_s / 3
        ends = 2 * third if kind == "paused" else talk_s
        segments = [Segment(start_s=0, end_s=third, kind=SegmentKind.RECORDING, officers=officers)]
        segments += [Segment(start_s=third, end_s=ends, kind=of, officers=officers)]
        if ends < talk_s:
            segments += [Segment(start_s=ends, end_s=talk_s, kind=SegmentKind.RECORDING, officers=officers)]
        kept = third if kind == "opted_out" else talk_s - third
        row = replace(row, segments=tuple(segments), recorded_s=kept, paused_s=talk_s - kept if kind == "paused" else 0)
        return row if kind == "paused" else replace(row, outcome=Outcome.PARTIAL, reason="opted_out", opted_out=True)
    if kind == "discarded":
        return replace(row, outcome=Outcome.BLOCKED, reason="discarded", recorded_s=0, path=None, speech_s=(0, 0))
    if kind == ONE_SIDED:
        return replace(row, outcome=Outcome.PARTIAL, reason="one_way", is_one_way=True, speech_s=(talk_s * 0.4, 0.0))
    if kind == SILENT:
        return replace(row, speech_s=(0.0, 0.2))
    if kind == SHORT:
        return replace(
            row, duration_s=talk_s / 3, recorded_s=talk_s / 3, ended_at=row.started_at + timedelta(seconds=talk_s / 3)
        )
    return row


# --- call records


def _text(rows: Iterable[Iterable[object]], *, quoting: int = csv.QUOTE_MINIMAL) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator="\n").writerows(rows)  # type: ignore[arg-type]
    return out.getvalue()


def _parts(calls: Iterable[Made], clock_s: float) -> Iterable[tuple[Made, Part]]:
    ahead = timedelta(seconds=clock_s)
    for made in calls:
        for part in made.parts:
            answered = None if part.answered_at is None else part.answered_at + ahead
            yield made, replace(part, started_at=part.started_at + ahead, answered_at=answered)


def _ended(part: Part) -> datetime:
    return (part.answered_at or part.started_at + timedelta(seconds=20)) + timedelta(seconds=part.talk_s)


def _local(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(ZONE):%Y-%m-%d %H:%M:%S}"


def asterisk(calls: Iterable[Made], *, clock_s: float = 0.0, header: bool = False) -> str:
    """Return ``Master.csv`` of `cdr_csv`, with the unique id."""
    rows: list[list[object]] = [
        ["", part.caller, part.called, "from-trunk", f'"" <{part.caller}>', f"PJSIP/trunk-{made.number:08x}",
         f"PJSIP/{part.answered_by}-{made.number:08x}" if part.answered_by else f"PJSIP/trunk-{made.number + 1:08x}",
         "Dial", "PJSIP/x,60", _local(part.started_at), _local(part.answered_at), _local(_ended(part)),
         int((_ended(part) - part.started_at).total_seconds()), part.talk_s,
         "NO ANSWER" if part.answered_at is None else "ANSWERED", "DOCUMENTATION",
         f"1789516800.{made.number}"]
        for made, part in _parts(calls, clock_s)
    ]  # fmt: skip
    names = (
        "accountcode,src,dst,dcontext,clid,channel,dstchannel,lastapp,lastdata,start,answer,end,duration,billsec,"
        "disposition,amaflags,uniqueid\n"
    )
    return (names if header else "") + _text(rows, quoting=csv.QUOTE_NONNUMERIC)


def freeswitch(calls: Iterable[Made], *, clock_s: float = 0.0) -> str:
    """Return ``Master.csv`` of ``mod_cdr_csv`` with the template ``example``, both legs; a queue is the destination."""
    rows: list[list[object]] = []
    for made, part in _parts(calls, clock_s):
        rows.append(
            ["", part.caller, part.answered_by or part.called, "public", _local(part.started_at),
             _local(part.answered_at), _local(_ended(part)), int((_ended(part) - part.started_at).total_seconds()),
             part.talk_s, "NORMAL_CLEARING", f"a-{made.number}", f"b-{made.number}", "", "PCMA", "PCMA"]
        )  # fmt: skip
    return _text(rows, quoting=csv.QUOTE_ALL)


def cucm(calls: Iterable[Made], *, clock_s: float = 0.0) -> str:
    """Return a flat file of CUCM: names, types, rows; times are seconds since 1970."""
    names = [
        "cdrRecordType", "globalCallID_callManagerId", "globalCallID_callId", "origLegCallIdentifier",
        "dateTimeOrigination", "callingPartyNumber", "originalCalledPartyNumber", "finalCalledPartyNumber",
        "dateTimeConnect", "dateTimeDisconnect", "duration", "origDeviceName", "globalCallId_ClusterID",
    ]  # fmt: skip
    types = ["VARCHAR(50)" if "Number" in name or "Name" in name or "ID" in name[-2:] else "INTEGER" for name in names]
    rows: list[list[object]] = [
        [1, 1, 5000 + made.number, made.number, int(part.started_at.timestamp()), part.caller, part.called,
         part.answered_by or part.called, 0 if part.answered_at is None else int(part.answered_at.timestamp()),
         int(_ended(part).timestamp()), part.talk_s, "SEP001122334455", "StandAloneCluster"]
        for made, part in _parts(calls, clock_s)
    ]  # fmt: skip
    return (
        ",".join(f'"{name}"' for name in names)
        + "\n"
        + ",".join(types)
        + "\n"
        + _text(rows, quoting=csv.QUOTE_NONNUMERIC)
    )


def three_cx(calls: Iterable[Made], *, clock_s: float = 0.0) -> str:
    """Return 3CX's ``cdr.log`` with all fields."""

    def when(moment: datetime | None) -> str:
        return _local(moment).replace("-", "/")

    def named(number: str) -> str:
        return f"Ext.{number}" if len(number) == 4 else number

    rows: list[list[object]] = []
    for made, part in _parts(calls, clock_s):
        by = part.answered_by or part.called
        rows.append(
            [f"Call {made.number}", f"0000018{made.number:05x}", str(timedelta(seconds=part.talk_s)).zfill(8),
             when(part.started_at), when(part.answered_at), when(_ended(part)), "TerminatedBySrc",
             named(part.caller), named(part.called),
             "10000", by if len(by) == 4 else "", "", "ReplacedDst", named(by), by if len(by) == 4 else "10001",
             "", "", "", "", f"Chain: {part.caller};Ext.{by};", "Line", "Extension", "Extension", "", "", "", ""]
        )  # fmt: skip
    return _text(rows)


FORMATS: dict[str, Callable[..., str]] = {
    "asterisk": asterisk, "freeswitch": freeswitch, "cucm": cucm, "3cx": three_cx,
}  # fmt: skip
