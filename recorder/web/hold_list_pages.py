"""Pages for legal holds: the list, one hold, what is done with it, and a hold on recordings chosen in a list."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.permissions import Actor, Person
from recorder.retention.hold_lists import hold_seen, holds_listed
from recorder.retention.hold_repositories import HoldRepositories, call_to_hold
from recorder.retention.holding import place_hold, reinstate_hold, release_hold, review_hold
from recorder.rules.holds import REVIEW_AFTER, HoldWish
from recorder.web.auth import ConsoleCaller
from recorder.web.call_names import CallNames
from recorder.web.case_forms import day_of, needs_one, recordings_in
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.holds import acts_offered, kinds_offered
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader
from recorder.web.request_pages import Chosen
from storage.retention_types import Hold, HoldKind, HoldState

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldAct:
    """What can be done with a hold.

    Attributes:
        apply: Does it: with the repositories, who, the hold's id, the reason, and the day of the next review.
        done: What is said after it.
    """

    apply: Callable[[HoldRepositories, Actor, str, str, date | None], Hold]
    done: str


def _release(repos: HoldRepositories, actor: Actor, hold_id: str, reason: str, _: date | None) -> Hold:
    return release_hold(repos, actor, hold_id, reason=reason)


def _reinstate(repos: HoldRepositories, actor: Actor, hold_id: str, reason: str, _: date | None) -> Hold:
    return reinstate_hold(repos, actor, hold_id, reason=reason)


def _review(repos: HoldRepositories, actor: Actor, hold_id: str, reason: str, review_on: date | None) -> Hold:
    return review_hold(repos, actor, hold_id, reason=reason, review_on=review_on)


ACTS: Mapping[str, HoldAct] = MappingProxyType(
    {
        "release": HoldAct(apply=_release, done="The hold is released. You can undo this for 14 days."),
        "reinstate": HoldAct(apply=_reinstate, done="The hold is in force again."),
        "review": HoldAct(apply=_review, done="The hold stays in force, and the date of the next review is set."),
    }
)  # fmt: skip
_PLACED = {"placed": "The hold is in force.", "several": "The holds are in force."}
_SAYS: Mapping[str, str] = {**{name: act.done for name, act in ACTS.items()}, **_PLACED}


@router.get("/holds")
def holds(console: Console, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show the holds, those due for review first."""
    now, person = console.deps.now(), _person(caller)
    listed = [(hold, hold.state_at(now)) for hold in holds_listed(console.deps.hold_repositories, person, is_due=False)]
    due = [one for one in listed if one[1] is HoldState.ACTIVE and one[0].review_on <= now.date()]
    return console.renderer.page(
        "holds.html", caller, due=due, others=[one for one in listed if one not in due], problem="",
        names=CallNames(console.deps, person), done=_PLACED.get(done, ""),
    )  # fmt: skip


@router.get("/holds/new")
def new_hold(console: Console, caller: PageReader, recording: Chosen = ()) -> HTMLResponse:
    """Show the form that places a hold."""
    return _new(console, caller, list(recording), EMPTY)


@router.post("/holds")
def place(console: Console, caller: PageChanger, sent: Sent) -> Response:
    """Place a hold on each of some recordings."""
    wanted = list(dict.fromkeys(recordings_in(sent.values.get("recordings", ()))))
    held: list[str] = []
    try:
        wish = _wish(needs_one(wanted), sent)
        for recording in wanted:
            place_hold(console.deps.hold_repositories, caller.actor, recording, wish)
            held.append(recording)
    except ProblemError as error:
        if error.status == 503 or (error.status not in (409, 422) and not held):
            raise
        return _new(console, caller, wanted[len(held) :], _refused(sent, error, len(held)), status=error.status)
    return RedirectResponse(f"/holds?done={'placed' if len(held) == 1 else 'several'}", 303)


@router.get("/holds/{hold_id}")
def hold(console: Console, hold_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show one hold."""
    return _page(console, caller, "hold.html", hold_id, done=_SAYS.get(done, ""))


@router.get("/holds/{hold_id}/{act}")
def act_page(console: Console, hold_id: str, act: str, caller: PageReader) -> HTMLResponse:
    """Show the form that releases, reviews or reinstates a hold."""
    _known(act)
    return _page(console, caller, "hold_act.html", hold_id, act=act)


@router.post("/holds/{hold_id}/{act}")
def change(console: Console, hold_id: str, act: str, caller: PageChanger, sent: Sent) -> Response:
    """Release, review or reinstate a hold."""
    known = _known(act)
    try:
        known.apply(console.deps.hold_repositories, caller.actor, hold_id, sent["reason"], day_of(sent, "review_on"))
    except ProblemError as error:
        if error.status != 422:
            raise
        form = sent.named(f"hold-{hold_id}").refused(error)
        return _page(console, caller, "hold_act.html", hold_id, act=act, status=error.status, form=form)
    return RedirectResponse(f"/holds/{quote(hold_id, safe='')}?done={act}", 303)


def _known(act: str) -> HoldAct:
    if act not in ACTS:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    return ACTS[act]


def _wish(wanted: list[str], sent: TypedForm) -> HoldWish:
    """Return the hold of a form; ProblemError 422 at the field that is wrong."""
    assert wanted
    if sent["kind"] not in {*HoldKind}:
        raise incomplete("Select what it is held for.", "kind")
    return HoldWish(
        kind=HoldKind(sent["kind"]), reason=sent["reason"], case_reference=sent["case_reference"].strip(),
        owner=sent["owner"].strip(), review_on=day_of(sent, "review_on"),
        against=tuple(name.strip() for name in sent["against"].split(",") if name.strip()),
    )  # fmt: skip


def _refused(sent: TypedForm, error: ProblemError, held: int) -> TypedForm:
    """Return the form with its error, which says how many holds are in force already."""
    if not held:
        return sent.named("hold").refused(error)
    what = "1 recording is held" if held == 1 else f"{held} recordings are held"
    return sent.named("hold").refused(ProblemError(error.status, f"{what}. The others are not: {error.detail}"))


def _new(
    console: ConsoleParts, caller: ConsoleCaller, recordings: list[str], form: TypedForm, *, status: int = 200
) -> HTMLResponse:
    person, repos = _person(caller), console.deps.hold_repositories
    calls = CallNames(console.deps, person).calls(dict.fromkeys(recordings))
    facts = [call_to_hold(repos, one.id) for one in calls if one.is_known or _is_live(repos, one.id, person)]
    kinds = [(kind, f"{REVIEW_AFTER[kind].days} days") for kind in kinds_offered(person, facts)]
    return console.renderer.page("hold_new.html", caller, status=status, form=form, calls=calls, kinds=kinds)


def _is_live(repos: HoldRepositories, recording: str, person: Person) -> bool:
    """Tell whether a recording that no list has yet is of a call in progress that a person may know of."""
    try:
        call_to_hold(repos, recording, person)
    except ProblemError as error:
        if error.status == 503:
            raise
        return False
    return True


def _page(
    console: ConsoleParts, caller: ConsoleCaller, template: str, hold_id: str, *, status: int = 200, act: str = "",
    form: TypedForm = EMPTY, done: str = "",
) -> HTMLResponse:  # fmt: skip
    person, now = _person(caller), console.deps.now()
    hold, call = hold_seen(console.deps.hold_repositories, person, hold_id)
    offered = acts_offered(person, hold, call, now)
    if act and act not in offered:
        raise ProblemError(409, "You cannot do this with the hold now, or somebody else has to do it.")
    names = CallNames(console.deps, person)
    return console.renderer.page(
        template, caller, status=status, form=form, hold=hold, state=hold.state_at(now), offered=offered, act=act,
        names=names, call=names.call(hold.recording), is_due=hold.review_on <= now.date(), done=done,
        usual_days=REVIEW_AFTER[hold.kind].days,
    )  # fmt: skip


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
