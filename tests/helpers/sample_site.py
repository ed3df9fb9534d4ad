"""A console of a council that does not exist, with two weeks of calls: for the pictures in docs/screenshots."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from recorder.access.acknowledgements import Acknowledgements
from recorder.access.listening.asking import ask
from recorder.access.tables import accounts
from recorder.calls.notices import NoticeStore, install_shipped
from recorder.data_subjects import casework
from recorder.notifications.watch import notify_of_changes
from recorder.permissions import Role
from recorder.retention.holding import place_hold
from recorder.rules.cases import CaseEvent, CaseKind
from recorder.rules.holds import HoldWish
from recorder.rules.requesting import AccessKind, Category, RequestWish
from storage.retention_types import HoldKind
from storage.rows import row_from_json
from storage.types import NoticeProof, Outcome, RecordingId, RecordingRow, Search, Segment, SegmentKind
from tests.helpers.accounts import PASSWORD, Clock, appoint_deputy
from tests.helpers.console_site import Console, console_site
from tests.helpers.grants import give_leave
from tests.helpers.storage_home import ID, Site, row

NOW = datetime(2026, 11, 25, 14, 20, tzinfo=UTC)
"""A Wednesday."""
SHOWN = RecordingId("20261125T101500Z-2001-5a3e91")
"""The recording that the pictures show: 158 s, with a transfer and a pause for a card."""
LENGTH_S = 158


@dataclass(frozen=True)
class Somebody:
    """A person of the council, with made-up names."""

    account: str
    name: str
    role: Role
    team: str = ""
    extension: str | None = None


OFFICERS = (
    Somebody("amira.patel", "Amira Patel", Role.OFFICER, "Revenues", "2001"),
    Somebody("tom.hughes", "Tom Hughes", Role.OFFICER, "Revenues", "2002"),
    Somebody("grace.okafor", "Grace Okafor", Role.OFFICER, "Benefits", "2003"),
    Somebody("daniel.evans", "Daniel Evans", Role.OFFICER, "Customer Service Centre", "2004"),
    Somebody("sian.morgan", "Siân Morgan", Role.OFFICER, "Customer Service Centre", "2005"),
)
BY_ROLE = {
    Role.OFFICER: OFFICERS[0],
    Role.MANAGER: Somebody("helen.ward", "Helen Ward", Role.MANAGER, "Revenues"),
    Role.TEAM_LEADER: Somebody("sanjay.mehta", "Sanjay Mehta", Role.TEAM_LEADER, "Customer Service Centre"),
    Role.DPO: Somebody("ruth.bennett", "Ruth Bennett", Role.DPO),
    Role.ICT: Somebody("karl.lindqvist", "Karl Lindqvist", Role.ICT),
    Role.ADMIN: Somebody("olga.novak", "Olga Novak", Role.ADMIN),
    Role.MEMBER: Somebody("peter.shaw", "Peter Shaw", Role.MEMBER),
}
CASE = "SAR-2026-0001"


@contextmanager
def sample_site(folder: Path) -> Iterator[Console]:
    """Run the console. Its clock stands at `NOW`."""
    with console_site(folder, now=Clock(NOW), name="Sample Borough Council") as console:
        _people(console)
        _calls(console)
        _recording(console, Site(folder))
        _live(console)
        _matters(console)
        notify_of_changes(console.deps.watch)
        yield console


def _people(console: Console) -> None:
    with console.people._engine.begin() as connection:
        connection.execute(delete(accounts))
    second = Somebody("maria.costa", "Maria Costa", Role.ADMIN)
    for one in (*BY_ROLE.values(), *OFFICERS[1:], second):
        console.people.add(
            one.account, PASSWORD, display_name=one.name, roles={one.role}, teams=[one.team] if one.team else [],
            extension=one.extension,
        )  # fmt: skip
    appoint_deputy(console.deps.hearing.appointments, "helen.ward")
    known = Acknowledgements(console.people._engine)
    for one in OFFICERS[:4]:
        known.acknowledge(one.account, NOW.date() - timedelta(days=40), enter=console.enter)


def _calls(console: Console) -> None:
    """Save the calls of two weeks, in office hours; a seed makes them the same each time."""
    index, chance = console.deps.copy_repositories.index, random.Random(24)
    index.save(replace(index.get(ID), operator="Tom Hughes", extension="2002", called="2002", caller="02079460118"))
    for days in range(9, -1, -1):
        day = (NOW - timedelta(days=days)).replace(hour=9, minute=0)
        if day.weekday() > 4:  # no calls at the weekend
            continue
        minutes = sorted(chance.sample(range(480 if days else 300), 9))
        for n, minute in enumerate(minutes):
            index.save(_call(chance, day + timedelta(minutes=minute), 100 * days + n))


def _call(chance: random.Random, at: datetime, number: int) -> RecordingRow:
    officer = chance.choice(OFFICERS)
    length = float(chance.randint(40, 540))
    outcome, reason, paused = chance.choices(
        [(Outcome.RECORDED, "caller_hung_up", 0.0), (Outcome.RECORDED, "officer_hung_up", 38.0),
         (Outcome.PARTIAL, "opted_out", 0.0), (Outcome.BLOCKED, "notice_not_heard", 0.0),
         (Outcome.NO_CONVERSATION, "no_answer", 0.0)],
        weights=[60, 20, 6, 5, 9],
    )[0]  # fmt: skip
    is_recorded = outcome in (Outcome.RECORDED, Outcome.PARTIAL)
    identity = f"{at:%Y%m%dT%H%M%SZ}-{officer.extension}-{number:06x}"
    fields = row(
        RecordingId(identity), started_at=f"{at:%Y-%m-%dT%H:%M:%SZ}", extension=officer.extension,
        ended_at=f"{at + timedelta(seconds=length if is_recorded else 12):%Y-%m-%dT%H:%M:%SZ}",
        operator=officer.name, service=officer.team, team=officer.team,
        caller=f"0{chance.choice(('2079460', '1632960', '7700900'))}{chance.randint(100, 999)}",
        called=officer.extension, outcome=str(outcome), reason=reason, opted_out=reason == "opted_out",
        duration_s=length if is_recorded else 0.0, recorded_s=length - paused if is_recorded else 0.0,
        paused_s=paused if is_recorded else 0.0,
        segments=[{"start_s": 0.0, "end_s": length, "kind": "recording"}] if is_recorded else [],
    )  # fmt: skip
    return row_from_json(fields)


def _recording(console: Console, site: Site) -> None:
    """Record the call that is shown, with sound that nobody hears on a picture."""
    amira, grace = OFFICERS[0], OFFICERS[2]
    _, finished = site.record(LENGTH_S, SHOWN)
    began = datetime(2026, 11, 25, 10, 15, tzinfo=UTC)
    spans = [
        (SegmentKind.RECORDING, 0, 61, amira, ""), (SegmentKind.PAUSED, 61, 92, amira, "agent"),
        (SegmentKind.RECORDING, 92, 118, amira, ""), (SegmentKind.RECORDING, 118, LENGTH_S, grace, ""),
    ]  # fmt: skip
    segments = tuple(
        Segment(kind=kind, start_s=start, end_s=end, operator=who.name, extension=who.extension or "", reason=why,
                by=who.name if why else "")
        for kind, start, end, who, why in spans
    )  # fmt: skip
    notice = NoticeProof(
        id="first.en", sha256="ab" * 32, started_at=began - timedelta(seconds=24), complete=True, proof="heard",
        ended_at=began - timedelta(seconds=5), second_message=True,
    )  # fmt: skip
    fields = row(
        SHOWN, started_at="2026-11-25T10:15:00Z", ended_at="2026-11-25T10:17:38Z", caller="02079460142",
        operator=amira.name, service=amira.team, team=amira.team, reason="caller_hung_up", path=finished.path,
        bytes=finished.bytes, sha256=finished.sha256, duration_s=LENGTH_S, recorded_s=LENGTH_S - 31, paused_s=31,
    )  # fmt: skip
    saved = row_from_json(fields)
    console.deps.copy_repositories.index.save(
        replace(saved, segments=segments, notice=notice, peaks=_speech(), operators=(amira.name, grace.name))
    )


def _speech() -> tuple[bytes, bytes]:
    """Return peaks of two people who speak in turn, and of nobody in the pause."""
    chance = random.Random(7)
    sides = (bytearray(LENGTH_S * 10), bytearray(LENGTH_S * 10))
    at, side = 8, 1
    while at < LENGTH_S * 10:
        until = min(at + chance.randint(15, 70), LENGTH_S * 10)
        for tenth in range(at, until):
            sides[side][tenth] = 0 if 610 <= tenth < 920 else chance.randint(20, 170) if chance.random() < 0.85 else 6
        at, side = until + chance.randint(2, 9), 1 - side
    return bytes(sides[0]), bytes(sides[1])


def _live(console: Console) -> None:
    """Let the daemon list calls in all states, an open opt-out and who sits where."""
    amira, tom, grace, daniel, sian = OFFICERS
    calls = [
        _now(amira, "recording", 214, "02079460142"),
        _now(tom, "paused", 402, "01632960117", paused_s=341.0, reasons=["agent"]),
        _now(grace, "recording", 96, "07700900461"),
        _now(daniel, "opted_out", 520, "02079460175"),
        _now(sian, "not_begun", 8, "01632960154", phase="notice"),
    ]
    asked = {
        "id": "0a1b2c3d", "call": calls[2]["call"], "state": "raised", "team": grace.team, "raised_by": grace.account,
        "extensions": [grace.extension], "operators": [grace.name], "teams_now": [grace.team],
        "extensions_now": [grace.extension], "operators_now": [grace.name], "configured_now": [grace.extension],
        "raised_at": _said(55), "reason": "The caller is upset and asks not to be recorded", "decided_by": None,
        "decided_at": None, "erase_on_opt_out": False,
    }  # fmt: skip
    calls[2]["opt_out"] = {"id": asked["id"], "state": "raised"}
    daemon = console.daemon
    daemon.requests = [asked]
    daemon.calls_rows = lambda: calls  # type: ignore[method-assign]
    daemon.agents_rows = [
        {"extension": one.extension, "operator": one.name, "service": one.team, "team": one.team, "is_signed_on": False}
        for one in OFFICERS
    ]
    install_shipped(NoticeStore(console.home.notices))
    played = [{"name": "first", "version": 1}, {"name": "second", "version": 1}]
    daemon.said |= {"notices": played, "calls": len(calls)}


def _now(officer: Somebody, state: str, since_s: int, caller: str, **changes: Any) -> dict[str, Any]:
    call = f"{NOW - timedelta(seconds=since_s):%Y%m%dT%H%M%SZ}-{officer.extension}-aaaaaa"
    return {
        "call": call, "id": call, "state": state, "reasons": [], "position_s": float(since_s), "phase": "joined",
        "extension": officer.extension, "operator": officer.name, "service": officer.team, "team": officer.team,
        "extensions": [officer.extension], "operators": [officer.name], "teams_now": [officer.team],
        "extensions_now": [officer.extension], "operators_now": [officer.name], "configured_now": [officer.extension],
        "caller": caller, "called": officer.extension, "started_at": _said(since_s), "second_message": "ready",
        "state_since": _said(changes.get("paused_s", since_s * 0.9)), "pause_max_s": 600.0, "paused_s": None,
        "opt_out": None, **changes,
    }  # fmt: skip


def _said(ago_s: float) -> str:
    return f"{NOW - timedelta(seconds=ago_s):%Y-%m-%dT%H:%M:%SZ}"


def _matters(console: Console) -> None:
    """Give people something to decide: a request, a hold, a change of an account, and a case under way."""
    deps, person = console.deps, console.person
    why = "The caller says that another amount was agreed"
    for account in ("amira.patel", "helen.ward"):
        wish = RequestWish(recordings=(SHOWN,), category=Category.COMPLAINT, reason=why, leave=AccessKind.LISTEN)
        ask(deps.hearing, person(account), wish)
    for account in ("ruth.bennett", "sanjay.mehta"):
        give_leave(deps.hearing, account, SHOWN)
    wish_to_hold = HoldWish(
        kind=HoldKind.COMPLAINT, reason="Complaint about a direct debit", case_reference="C 1042",
        review_on=NOW.date() + timedelta(days=60),
    )  # fmt: skip
    place_hold(deps.hold_repositories, person("sanjay.mehta"), SHOWN, wish_to_hold)
    deps.proposals.grant(
        "olga.novak", "tom.hughes", [Role.TEAM_LEADER], reason="He takes over on Monday", enter=console.enter
    )
    lead = person("sanjay.mehta")
    case = casework.open_case(
        deps.cases, lead, kind=CaseKind.SUBJECT_ACCESS, requester="Jordan Blake", form="letter",
        text="Asks for all calls about the council tax account", received_on=NOW.date() - timedelta(days=12),
    )  # fmt: skip
    assert case.id == CASE
    casework.add_event(
        deps.cases, lead, CASE, CaseEvent.IDENTITY_CHECKED, text="Driving licence and council tax number"
    )
    found = casework.search_for(deps.cases, lead, CASE, Search(number="02079460142"))
    casework.match(deps.cases, lead, CASE, [one.id for one in found])
