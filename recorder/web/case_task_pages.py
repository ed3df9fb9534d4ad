"""Pages of a case that record what happened: identity, decision, copies, handing over, closing, and the rest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from starlette.responses import Response

from recorder.audit.audit_service import incomplete
from recorder.data_subjects import casework
from recorder.data_subjects.case_entries import is_possible
from recorder.data_subjects.case_rules import why_not_decide
from recorder.rules.cases import CaseEvent, Decision
from recorder.web.case_forms import day_of
from recorder.web.case_view import CasePages, person_of
from recorder.web.forms import Sent, TypedForm
from recorder.web.parts import Console, PageChanger, PageReader, Text

router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]

_IDENTITY = (CaseEvent.IDENTITY_CHECKED, CaseEvent.IDENTITY_ASKED, CaseEvent.IDENTITY_DOUBTED)
_HANDING_OVER = (CaseEvent.HANDED_OVER, CaseEvent.PASSPHRASE_TOLD, CaseEvent.RECEIVED, CaseEvent.RETURNED,
                 CaseEvent.DESTROYED)  # fmt: skip
_OTHER = (CaseEvent.CLARIFICATION_ASKED, CaseEvent.CLARIFIED, CaseEvent.EXTENDED, CaseEvent.FEE_ASKED,
          CaseEvent.FEE_PAID, CaseEvent.NOTED)  # fmt: skip
_PAGE_OF: Mapping[CaseEvent, str] = MappingProxyType(
    {
        **dict.fromkeys(_IDENTITY, "identity"),
        **dict.fromkeys(_HANDING_OVER, "handing-over"),
        **dict.fromkeys(_OTHER, "note"),
        CaseEvent.CLOSED: "closing",
    }
)
"""The page with the form of each event; other events have routes of their own."""
_OF_PAGE: Mapping[str, tuple[str, Sequence[CaseEvent]]] = MappingProxyType(
    {
        "identity": ("case_identity.html", _IDENTITY),
        "handing-over": ("case_hand_over.html", _HANDING_OVER),
        "note": ("case_note.html", _OTHER),
        "closing": ("case_close.html", ()),
    }
)


def _shown(pages: CasePages, which: str, form: TypedForm | None = None, status: int = 200) -> HTMLResponse:
    """Return the page with the form of some events, of which those are offered that are possible now."""
    template, events = _OF_PAGE[which]
    case, person = pages.case(), person_of(pages.caller)
    offered = [one for one in events if is_possible(pages.console.deps.cases, person, case, one)]
    return pages.show(template, form=form, status=status, events=offered)


@router.get("/cases/{case_id}/identity")
def identity(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask how the requester's identity was checked."""
    return _shown(CasePages(console=console, caller=caller, case_id=case_id), "identity")


@router.get("/cases/{case_id}/handing-over")
def handing_over(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask how the copies were handed over, and what became of them."""
    return _shown(CasePages(console=console, caller=caller, case_id=case_id), "handing-over")


@router.get("/cases/{case_id}/note")
def note(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask for a clarification, an extension, a fee or a note."""
    return _shown(CasePages(console=console, caller=caller, case_id=case_id), "note")


@router.get("/cases/{case_id}/closing")
def closing(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Ask whether to close the case, and why if something is left open in it."""
    return _shown(CasePages(console=console, caller=caller, case_id=case_id), "closing")


@router.get("/cases/{case_id}/copies")
def copies(console: Console, case_id: str, caller: PageReader) -> HTMLResponse:
    """Show the recordings of the case, with the copy of each."""
    return CasePages(console=console, caller=caller, case_id=case_id).show("case_copies.html")


@router.post("/cases/{case_id}/step")
def add_event(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, step: _Word = "", text: Text = "",
    page: _Word = "",
) -> Response:  # fmt: skip
    """Write an event into a case; ``page`` names the page that the form is on, if no event was chosen."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)
    event = CaseEvent(step) if step in {*_PAGE_OF} else None
    which = _PAGE_OF[event] if event is not None else page if page in _OF_PAGE else "note"

    def act() -> None:
        if event is None:
            raise incomplete("Select what happened.", "step")
        casework.add_event(console.deps.cases, caller.actor, case_id, event, text=text, on=day_of(sent))

    done = "closed" if event is CaseEvent.CLOSED else "recorded"
    return pages.after(act, _again(pages, which), done=done)


def _again(pages: CasePages, which: str) -> Callable[[TypedForm, int], Response]:
    def again(form: TypedForm, status: int) -> Response:
        if which == "closing" and "" in form.errors and _takes_a_reason(pages):
            form = replace(form, errors={"text": form.errors[""]})
        return _shown(pages, which, form, status)

    return again


def _takes_a_reason(pages: CasePages) -> bool:
    """Tell whether the case can be closed with a reason, so that the reason is what is missing."""
    return is_possible(pages.console.deps.cases, person_of(pages.caller), pages.case(), CaseEvent.CLOSED)


@router.get("/cases/{case_id}/decide")
def decision(console: Console, case_id: str, caller: PageReader, decision: str = "") -> HTMLResponse:
    """Ask for the decision; ``decision`` is chosen at first."""
    return _decision(CasePages(console=console, caller=caller, case_id=case_id), first=decision)


@router.post("/cases/{case_id}/decide")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, case_id: str, caller: PageChanger, sent: Sent, decision: _Word = "", text: Text = "",
    balance: Text = "",
) -> Response:  # fmt: skip
    """Decide a case that somebody else opened."""
    pages = CasePages(console=console, caller=caller, case_id=case_id, sent=sent)

    def act() -> None:
        if decision not in {*Decision}:
            raise incomplete("Select your decision.", "decision")
        details = {"decision": decision, "balance": balance}
        casework.add_event(console.deps.cases, caller.actor, case_id, CaseEvent.DECIDED, text=text, details=details)

    return pages.after(act, lambda form, status: _decision(pages, form, status), done="decided")


def _decision(pages: CasePages, form: TypedForm | None = None, status: int = 200, *, first: str = "") -> HTMLResponse:
    why_not = why_not_decide(pages.case(), person_of(pages.caller))
    return pages.show("case_decide.html", form=form, status=status, why_not=why_not, first=first)
