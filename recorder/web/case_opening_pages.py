"""Pages that open a case: who asks and how it came, then what they gave, then a count if that is wide.

What was typed goes from page to page in the forms, never in an address: it names people.
"""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.data_subjects import casework
from recorder.permissions import Act
from recorder.rules import wording
from recorder.rules.cases import CaseKind, LegalGround
from recorder.web.auth import ConsoleCaller
from recorder.web.case_forms import SEARCH_FIELDS, day_of, ground_typed, search_typed
from recorder.web.case_view import officers_of, person_of
from recorder.web.forms import EMPTY, FieldErrors, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text

router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]
_GROUNDS = {ground: wording.title(ground) for ground in LegalGround}
_DATE = ("", "-day", "-month", "-year")
_WHO = ("kind", "requester", "form", "ground", *(f"on{part}" for part in _DATE))
"""Fields of the first page; those of the second are the rest."""
_GAVE = ("text", *(f"{name}{part}" for name in SEARCH_FIELDS for part in (_DATE if name.endswith("_date") else ("",))))


@router.get("/cases/new")
def new_case(console: Console, caller: PageReader) -> HTMLResponse:
    """Ask who asks, and how the request came."""
    _check(console, caller)
    return _page(console, caller, "case_new.html", EMPTY)


@router.post("/cases/new")
def who_asks(console: Console, caller: PageChanger, sent: Sent, change: _Word = "") -> HTMLResponse:
    """Check the first page and ask what they gave; ``change`` shows a page again with what was typed."""
    _check(console, caller)
    if change == "who":
        return _page(console, caller, "case_new.html", sent)
    errors = FieldErrors() if change else _errors_in_who(sent)
    if errors:
        problem = ProblemError(422, "", fields=errors)
        return _page(console, caller, "case_new.html", sent.refused(problem), status=422)
    return _page(console, caller, "case_gave.html", sent)


@router.post("/cases")
def open_case(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, caller: PageChanger, sent: Sent, requester: Text = "", form: Text = "", text: Text = "",
    ground: _Word = "", kind: _Word = "", hold: _Word = "",
) -> Response:  # fmt: skip
    """Open a case and hold the recordings that fit its search; of a wide search the count is asked for first."""
    is_disclosure = kind == CaseKind.DISCLOSURE or bool(ground and not kind)
    try:
        case = casework.open_case(
            console.deps.cases, caller.actor,
            kind=CaseKind.DISCLOSURE if is_disclosure else CaseKind.SUBJECT_ACCESS,
            requester=requester, form=form, text=text, received_on=day_of(sent),
            ground=ground_typed(ground) if is_disclosure else None,
            search=search_typed(sent, console.deps.timezone),
            expected=int(hold) if hold.isascii() and hold.isdigit() else None,
        )  # fmt: skip
    except ProblemError as error:
        return _again(console, caller, sent, error)
    return RedirectResponse(f"/cases/{case.id}?done=opened", 303)


def _again(console: ConsoleParts, caller: ConsoleCaller, sent: TypedForm, error: ProblemError) -> HTMLResponse:
    """Show the page of the field that was refused, or the count that is to be confirmed."""
    if error.status not in (409, 422):
        raise error
    if "found" in error.extra:
        found = error.extra["found"]
        is_more = bool(sent["hold"])
        return _page(console, caller, "case_wide.html", sent, status=409, found=found, is_more=is_more)
    template = "case_new.html" if set(error.fields) & {"requester", "form", "on", "ground"} else "case_gave.html"
    return _page(console, caller, template, sent.refused(error), status=error.status)


def _errors_in_who(sent: TypedForm) -> FieldErrors:
    errors = FieldErrors()
    if sent["kind"] not in {*CaseKind}:
        errors["kind"] = "Select what they are asking for."
    if sent["kind"] == CaseKind.DISCLOSURE and not sent["ground"]:
        errors["ground"] = "Select the legal ground of the disclosure."
    if not sent["requester"].strip():
        errors["requester"] = "Enter the name of the person or organisation."
    with errors.of("on"):
        day_of(sent)
    return errors


def _check(console: ConsoleParts, caller: ConsoleCaller) -> None:
    console.audit_service.require(person_of(caller), Act.WORK_ON_CASES, "")


def _page(
    console: ConsoleParts, caller: ConsoleCaller, template: str, form: TypedForm, *, status: int = 200,
    found: int = 0, is_more: bool = False,
) -> HTMLResponse:  # fmt: skip
    kept = {name: form[name] for name in (*_WHO, *_GAVE)}
    return console.renderer.page(
        template, caller, status=status, form=form, problem=next(iter(form.errors.values()), ""),
        who={name: kept[name] for name in _WHO}, gave={name: kept[name] for name in _GAVE},
        grounds=_GROUNDS, found=found, is_more=is_more, officers=officers_of(console, caller),
    )  # fmt: skip
