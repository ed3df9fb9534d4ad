"""What the pages of one case have in common: how far it is, whose names stand in it, and the answer after an act."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines, casework
from recorder.data_subjects.case_progress import CaseProgress, progress_of
from recorder.permissions import Person, Role
from recorder.rules.cases import Case, CaseState
from recorder.web.auth import ConsoleCaller
from recorder.web.case_task_items import task_items
from recorder.web.forms import EMPTY, TypedForm
from recorder.web.parts import ConsoleParts

DONE: Mapping[str, str] = {
    "opened": "The case is open.",
    "recorded": "Recorded in the case.",
    "searched": "The search is recorded, and what it found is held.",
    "taken": "Taken into the case, and held until it is over.",
    "dismissed": "Dismissed. Kept for 14 more days.",
    "confirmed": "The case holds all that it found until it is over.",
    "narrowed": "The case now holds what the narrower search finds. The rest is kept for 14 more days.",
    "decided": "The decision is recorded.",
    "transcribed": "The transcript is stored.",
    "closed": "The case is closed.",
}
"""What was done, by the code in an address after the act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The time of a case, for a page: its due day, and the days left with the colour of their tag."""

    case: Case
    due: Any
    left: str
    colour: str


def due_of(console: ConsoleParts, case: Case) -> Due:
    """Return the time of a case."""
    repos = console.deps.cases
    left = case_deadlines.days_left(repos, case)
    colour = "red" if left is not None and left <= 0 else "orange" if case_deadlines.is_pressing(repos, case) else ""
    words = "" if left is None else case_deadlines.left_in_words(left)
    return Due(case=case, due=case_deadlines.due(repos, case), left=words, colour=colour)


def person_of(caller: ConsoleCaller) -> Person:
    """Return the person of a page's caller."""
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person


def names_of(console: ConsoleParts) -> Callable[[str], str]:
    """Return a function that gives the name of an account to show; an account that is gone keeps its own."""
    shown = {one.person.name: one.person.display_name for one in console.deps.people.list()}
    return lambda account: shown.get(account, account)


def officers_of(console: ConsoleParts, caller: ConsoleCaller) -> list[str]:
    """Return the names of officers to choose from in a search."""
    return console.recording_service.partial.pickers(person_of(caller)).officers


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePages:
    """The pages of one case for one person.

    Attributes:
        console: The console.
        caller: Who sees them.
        case_id: The case.
        sent: The form that was sent; `EMPTY` if the page is shown for the first time.
    """

    console: ConsoleParts
    caller: ConsoleCaller
    case_id: str
    sent: TypedForm = EMPTY

    @property
    def url(self) -> str:
        """Address of the case's page."""
        return f"/cases/{quote(self.case_id, safe='')}"

    def case(self) -> Case:
        """Return the case.

        Raises:
            ProblemError: Not allowed, or no such case.
        """
        return casework.read_case(self.console.deps.cases, self.caller.actor, self.case_id)

    def progress(self, case: Case) -> CaseProgress:
        """Return how far the case is."""
        return progress_of(self.console.deps.cases, person_of(self.caller), case)

    def show(
        self, template: str, *, status: int = 200, form: TypedForm | None = None, done: str = "",
        **values: Any,  # noqa: ANN401 - of the template
    ) -> HTMLResponse:  # fmt: skip
        """Return a page of the case.

        Raises:
            ProblemError: Not allowed, or no such case.
        """
        case, shown = self.case(), form or self.sent
        progress = self.progress(case)
        return self.console.renderer.page(
            template, self.caller, status=status, form=shown, problem=next(iter(shown.errors.values()), ""),
            done=DONE.get(done, ""), case=case, url=self.url, time=due_of(self.console, case),
            progress=progress, tasks=task_items(case, progress, self.url),
            name=names_of(self.console), is_open=case.state is CaseState.OPEN,
            is_closed=case.state is CaseState.CLOSED, is_dpo=Role.DPO in person_of(self.caller).roles, **values,
        )  # fmt: skip

    def after(
        self, act: Callable[[], object], again: Callable[[TypedForm, int], Response], *, to: str = "", done: str
    ) -> Response:
        """Do an act, then go to a page; show the form again if it was refused.

        Args:
            act: The act; raises ProblemError.
            again: Returns the page with the form, given it with its errors, and the status.
            to: Page of the case to go to, after its address.
            done: Code of what was done, of `DONE`.
        """
        try:
            act()
        except ProblemError as error:
            if error.status in (404, 503):
                raise
            return again(self.sent.refused(error), error.status)
        return RedirectResponse(f"{self.url}{to}?done={done}", 303)
