"""Letters of cases and of data subjects' rights as PDF downloads.

Typesetting takes a second of a processor and 60 MB in a process of its own, while a thread waits. One at a time does
it: pauses need threads too, and the daemon may run on the same machine.
"""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines, casework
from recorder.data_subjects.claim_letters import ClaimLetter, claim_letter
from recorder.data_subjects.letters import Letter, NotYetError, letter
from recorder.exports.letter_sheet import letter_html
from recorder.exports.pdf import PdfPrinter
from recorder.retention.restricting import claim_of, read_claims
from recorder.rules.wording import title
from recorder.web.parts import Console, ConsoleParts, PageReader
from storage.errors import ExportError

router = APIRouter(include_in_schema=False)


async def turn(console: Console) -> AsyncIterator[None]:
    """Wait until no other letter is typeset; before the request has a thread."""
    async with console.printing:
        yield


_IN_TURN = Depends(turn, scope="function")


@router.get("/cases/{case_id}/letters/{which}", dependencies=[_IN_TURN])
def case_letter(console: Console, case_id: str, which: str, caller: PageReader) -> Response:
    """Return a letter to the requester of a case."""
    repos = console.deps.cases
    case = casework.read_case(repos, caller.actor, case_id)
    if which not in {*Letter}:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    kind = Letter(which)
    try:
        due = case_deadlines.due(repos, case)
        text = letter(kind, case, site=console.deps.site, today=repos.today, due=due)
    except NotYetError as error:
        raise ProblemError(409, str(error)) from error
    return _download(console, text, name=f"{case.id} {title(kind)}")


@router.get("/rights/{claim_id}/letters/{which}", dependencies=[_IN_TURN])
def rights_letter(console: Console, claim_id: str, which: str, caller: PageReader) -> Response:
    """Return a letter to the requester of a restriction, an objection or an erasure."""
    repos = console.deps.cases
    claims = casework.claim_repositories(repos)
    read_claims(claims, caller.actor, is_open=True)
    if which not in {*ClaimLetter}:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    kind, claim = ClaimLetter(which), claim_of(claims, claim_id)
    try:
        due = case_deadlines.claim_due(repos, claim)
        text = claim_letter(kind, claim, site=console.deps.site, today=repos.today, due=due)
    except NotYetError as error:
        raise ProblemError(409, str(error)) from error
    return _download(console, text, name=f"{claim.id} {title(kind)}")


def _download(console: ConsoleParts, text: str, *, name: str) -> Response:
    """Return a letter as PDF; its name is of ids and words of the program, so it needs no escaping."""
    try:
        with PdfPrinter() as printer:
            pdf = printer.print(letter_html(text, site=console.deps.site, title=name))
    except ExportError as error:
        raise ProblemError(503, f"The letter could not be made: {error}.") from error
    headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"', "Cache-Control": "no-store"}
    return Response(pdf, media_type="application/pdf", headers=headers)
