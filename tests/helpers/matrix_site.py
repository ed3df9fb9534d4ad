"""A console with an account of every role, each with calls that are their own, their team's and others'."""

import asyncio
import contextlib
import functools
import secrets
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from recorder.access.account_key import AccountKey, Use
from recorder.access.account_rows import PeopleError
from recorder.access.database import open_people
from recorder.access.tables import second_factors
from recorder.assurance.day_report import Finding
from recorder.assurance.judging import Verdict
from recorder.calls.notices import SHIPPED
from recorder.common.home import Home
from recorder.data_subjects import casework
from recorder.permissions import Person, Role, Scope
from recorder.rules.cases import CaseKind
from recorder.rules.limits import Rates
from recorder.rules.live_access import Relation
from recorder.rules.policy import Extension
from recorder.rules.requesting import AccessKind, Category, RequestWish
from recorder.web.app import create_app
from recorder.web.auth import ConsoleCaller
from recorder.web.deps import ConsoleDeps
from recorder.web.render import Renderer
from storage.assurance_types import StoredDay, StoredFinding
from storage.claims import Claims, new_claim_id
from storage.database import sqlite_url
from storage.erasures import new_order_id
from storage.holds import new_hold_id
from storage.index import Index
from storage.retention_types import Claim, ClaimState, ErasureKind, ErasureOrder, ErasureState, Hold, HoldKind, Right
from storage.types import RecordingId, RecordingRow
from tests.helpers.accounts import PASSWORD, Clock, add_token, appoint_deputy
from tests.helpers.asked_app import Answer, ask
from tests.helpers.console_site import console_deps
from tests.helpers.ruled_calls import RuledCalls, request_of
from tests.helpers.storage_home import ID

UNLIMITED = Rates(requests_per_s=1e6, acts_per_s=1e6)
DEPUTY = "m-deputy"
COLLEAGUE, STRANGER = "m-colleague", "m-stranger"
"""Officers of the team Revenues, and of the team Housing."""


def name_of(role: Role) -> str:
    """Return the account of a role."""
    return f"m-{role}".replace("_", "-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Things:
    """What somebody acts on: of one relation to them; what nobody of their role can have is empty."""

    call: str
    number: str
    recording_id: str
    hold_id: str
    order_id: str
    held_id: str
    opt_out_id: str
    claim_id: str
    finding_id: str
    upheld_id: str
    case_id: str
    proposal: str
    account: str
    """Whose it is."""


class _OnDemand:
    """In the place of `Things`; each attribute is made when it is asked for, once."""

    def __init__(self, making: Mapping[str, Callable[[], str]]) -> None:
        self._making = making

    def __getattr__(self, name: str) -> str:
        made = self._making[name]()
        setattr(self, name, made)
        return made


class MatrixSite:
    """The site.

    Attributes:
        app: The console.
        deps: What it is built on.
        emergency: Something that ICT heard without approval, acknowledged by nobody yet.
        untouched: A recording that can be heard, and that nobody orders anything of.
    """

    def __init__(self, deps: ConsoleDeps, index: Path, runner: asyncio.Runner) -> None:
        self.deps = deps
        self._runner = runner
        self._people_file = Home(index.parent).people
        self._index = Index(sqlite_url(index))
        self._phones = dict(_phones(deps))
        self._calls = RuledCalls(self._phones)
        self._recordings = _recordings(deps, index, self._phones)
        self.untouched = RecordingId(ID)
        appoint_deputy(deps.hearing.appointments, DEPUTY)
        deps.sessions.start("housing")  # a manager of each team is signed in: no team leader stands in for them
        deps.sessions.start("revenues")
        begun = deps.hearing.emergencies.begin("ict", RecordingId(ID), "is it silent?", enter=lambda _: None)
        self.emergency = begun.id
        _remember(deps)
        deps.notices.put("first", SHIPPED / "first.en.flac", by="sally")
        self.app: FastAPI = create_app(replace(deps, live=self._calls, events=_events, beats=_beats, rates=UNLIMITED))

    def close(self) -> None:
        self._index.close()

    def ask(self, method: str, path: str, *, headers: dict[str, str], body: bytes = b"") -> Answer:
        """Ask the console; all in one loop and on this thread."""
        asked = ask(self.app, method, path, headers=headers, body=body)
        return self._runner.get_loop().run_until_complete(asked)  # `run` would set a handler for SIGINT each time

    def person(self, account: str) -> Person:
        found = self.deps.people.find(account)
        assert found is not None, account
        return found

    def token(self, scope: Scope) -> str:
        return add_token(self.deps.tokens, f"m-{scope}".replace(":", "-"), scopes=[scope]).secret

    def things(self, account: str, relation: Relation) -> Things:
        """Return new things of one relation to somebody."""
        return Things(**{name: make() for name, make in self._making(account, relation).items()})

    def things_on_demand(self, account: str, relation: Relation) -> Things:
        """Return what `things` does, where each is made when it is asked for: to make all takes longer than an act."""
        return cast(Things, _OnDemand(self._making(account, relation)))

    def _making(self, account: str, relation: Relation) -> dict[str, Callable[[], str]]:
        whose = {Relation.OWN: account, Relation.TEAM: COLLEAGUE, Relation.OTHER: STRANGER}[relation]
        number = self.person(whose).extension
        assert number is not None
        (recording, held, _), call = self._recordings[whose], self._calls.call_at(number)
        return {
            "call": lambda: call, "number": lambda: number, "recording_id": lambda: recording,
            "opt_out_id": lambda: request_of(call), "held_id": lambda: held, "hold_id": lambda: self._hold(held),
            "order_id": lambda: self._order(recording), "claim_id": lambda: self._claim(recording),
            "upheld_id": lambda: self.upheld(whose), "finding_id": lambda: self._finding(recording),
            "case_id": lambda: self._case(whose), "proposal": lambda: self._proposal(account, relation),
            "account": lambda: whose,
        }  # fmt: skip

    def give_leave(self, account: str) -> None:
        """Give somebody leave to hear and copy `untouched`, which is given to a person of whom they may ask for it.

        An officer may ask for their own calls, a manager for those of their team, anybody else for any.
        """
        person = self.person(account)
        whose = self.person(account if Role.OFFICER in person.roles else COLLEAGUE)
        row = self.deps.index.get(self.untouched)
        assert whose.extension is not None
        self._index.save(of_person(row, whose.extension, whose.display_name, whose.teams[0]))
        wish = _wish(self.untouched)
        if Role.MEMBER in person.roles:
            wish = replace(wish, category=Category.AUTHORISED, reference="letter of 1 November")
        request = self.deps.hearing.requests.new(account, wish)
        self.deps.hearing.requests.keep(request)
        state = type(request.state).GRANTED
        until = self.deps.now() + timedelta(days=1)
        assert self.deps.hearing.requests.settle(request, state, by="lead", until=until)

    def _hold(self, recording: RecordingId) -> str:
        now = self.deps.now()
        hold = Hold(
            id=new_hold_id(), recording=recording, kind=HoldKind.COMPLAINT, reason="a complaint", case_reference="C 1",
            owner="lead", placed_by="lead", placed_at=now, review_on=now.date() + timedelta(days=30),
        )  # fmt: skip
        self.deps.hold_repositories.holds.place(hold)
        return hold.id

    def _finding(self, recording: RecordingId) -> str:
        """Have recording assurance find something wrong with a recording."""
        assurance, row = self.deps.watch.assurance, self.deps.index.get(recording)
        found = Finding(
            id=secrets.token_hex(8), verdict=Verdict.SILENT, at=row.started_at, direction="inbound",
            extension=row.extension, operator=row.operator, team=row.team, service=row.service, recording=recording,
        )  # fmt: skip
        day = assurance.site.day_of(row.started_at) + timedelta(days=secrets.randbelow(100_000))
        stored = StoredFinding(id=found.id, day=day, team=row.team, document=found.as_json())
        judged = StoredDay(day=day, judged_at=self.deps.now(), records=0, calls=1, bad=1, document={"counts": {}})
        assurance.store.keep_day(judged, [stored])
        return found.id

    def _order(self, recording: RecordingId) -> str:
        order = ErasureOrder(
            id=new_order_id(), recording=recording, start_s=0.0, end_s=1.0, kind=ErasureKind.CARD_DATA,
            ordered_by="lead", ordered_at=self.deps.now(), state=ErasureState.WAITING,
        )  # fmt: skip
        self.deps.repos.erasures.place(order)
        return order.id

    def request(self, things: Things) -> str:
        """Return a new request of whoever's things they are: to hear their recording."""
        request = self.deps.hearing.requests.new(things.account, _wish(things.recording_id))
        self.deps.hearing.requests.keep(request)
        return request.id

    def upheld(self, account: str) -> str:
        """Return a new claim that was upheld: the use of somebody's third recording is restricted."""
        return self._claim(self._recordings[account][2], Right.RESTRICTION, "accuracy", ClaimState.UPHELD)

    def _claim(
        self, recording: RecordingId, right: Right = Right.ERASURE, ground: str = "unlawful",
        state: ClaimState = ClaimState.ASKED,
    ) -> str:  # fmt: skip
        now = self.deps.now()
        claim = Claim(
            id=new_claim_id(), recording=recording, right=right, ground=ground, received_on=now.date(),
            asked_by="lead", asked_at=now, requester="J. Doe", reason="they say so", case_reference="",
            state=state,
        )  # fmt: skip
        Claims(self.deps.repos.index.database).save([claim])
        return claim.id

    def _case(self, account: str) -> str:
        by = self.person(account)
        if not by.roles & {Role.TEAM_LEADER, Role.DPO}:
            by = self.person("lead")
        case = casework.open_case(
            self.deps.cases, by, kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="a letter", text="a call"
        )
        return case.id

    def _proposal(self, account: str, relation: Relation) -> str:
        """Have something proposed about somebody themselves, or about somebody else."""
        about = account if relation is Relation.OWN else "ict"
        if about == "ict":
            key = AccountKey(self._people_file)
            key.create()
            secret = key.seal(about, Use.AUTHENTICATOR, "x")
            with open_people(self._people_file).begin() as connection, contextlib.suppress(IntegrityError):
                values = {"account": about, "secret": secret, "last_step": 0, "enrolled_s": 0.0}
                connection.execute(insert(second_factors).values(**values))
        with contextlib.suppress(PeopleError):
            _, made = self.deps.proposals.reset_authenticator("admin", about, reason="lost", enter=lambda _: None)
            if made is not None:
                return made.id
        return next((one.id for one in self.deps.proposals.waiting() if one.account == about), "ffffffff")


def _phones(deps: ConsoleDeps) -> Iterator[tuple[str, Extension]]:
    team_of = {STRANGER: "Housing"}
    everybody = {**{name_of(role): role for role in Role}, DEPUTY: Role.OFFICER, COLLEAGUE: Role.OFFICER}
    for n, (account, role) in enumerate({**everybody, STRANGER: Role.OFFICER}.items()):
        number, shown, team = str(2100 + n), f"Pat {account}", team_of.get(account, "Revenues")
        deps.people.add(account, PASSWORD, display_name=shown, roles={role}, teams=[team], extension=number)
        yield number, Extension(number=number, operator=shown, service="Revenues", team=team)


def _recordings(deps: ConsoleDeps, path: Path, phones: dict[str, Extension]) -> dict[str, list[RecordingId]]:
    """File three recordings of everybody's, and return them by account."""
    row = deps.index.get(ID)
    found: dict[str, list[RecordingId]] = {}
    index = Index(sqlite_url(path))
    for n, (number, phone) in enumerate(phones.items()):
        ids = [RecordingId(f"20261124T09{minute}{n:02d}Z-{number}-0a1b2c") for minute in (31, 32, 33)]
        for one in ids:
            index.save(replace(of_person(row, number, phone.operator, phone.team), id=one))
        found[phone.operator.removeprefix("Pat ")] = ids
    index.close()
    return found


def of_person(row: RecordingRow, extension: str, operator: str, team: str) -> RecordingRow:
    """Return a recording as that of another officer."""
    return replace(
        row, extension=extension, extensions=(extension,), operator=operator, operators=(operator,), team=team
    )


def _wish(*recordings: str) -> RequestWish:
    which = tuple(map(RecordingId, recordings))
    return RequestWish(recordings=which, category=Category.COMPLAINT, reason="complaint 17", leave=AccessKind.COPY)


def plain_page(
    self: Renderer, template: str, caller: ConsoleCaller | None, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """Stand for `Renderer.page` with status, problem and address of audio: to draw a page is half of what it costs."""
    said = [values.get(name) for name in ("problem", "error", "detail", "audio")] + [
        getattr(values.get("player"), "audio", "")
    ]
    return HTMLResponse(" ".join(str(one) for one in said if one), status_code=status)


def _remember(deps: ConsoleDeps) -> None:
    """Look accounts and sessions up once: nobody's change here, and finding them is half of what a request costs."""
    everybody = deps.people.list()
    for known, name in ((deps.people, "find"), (deps.sessions, "find"), (deps.tokens, "identify")):
        setattr(known, name, functools.cache(getattr(known, name)))
    deps.people.list = lambda: everybody  # type: ignore[method-assign]


async def _here(function: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
    """Stand for `anyio.to_thread.run_sync`: from one thread to another and back is a third of what a request costs."""
    return function(*arguments)


async def _events(_actor: str) -> AsyncGenerator[bytes]:
    yield b": listening\n\n"


async def _beats() -> AsyncGenerator[bytes]:
    yield b": listening\n\n"


@contextlib.contextmanager
def matrix_site(folder: Path, *, now: Callable[[], datetime] | None = None) -> Iterator[MatrixSite]:
    """Make the site in a folder; its clock stands where none is given."""
    with (
        console_deps(folder, now=now or Clock()) as (home, deps),
        asyncio.Runner() as runner,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(Renderer, "page", plain_page)
        patch.setattr(anyio.to_thread, "run_sync", _here)
        with contextlib.closing(MatrixSite(deps, home.index, runner)) as site:
            yield site
