"""The task list of a case as the items of a GOV.UK task list. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from recorder.data_subjects.case_progress import CaseProgress
from recorder.data_subjects.case_tasks import CaseTask, ListedTask, TaskState
from recorder.rules import wording
from recorder.rules.cases import Case

_PAGE: Mapping[CaseTask, str] = MappingProxyType(
    {
        CaseTask.IDENTITY: "identity", CaseTask.SEARCH: "search", CaseTask.TAKE_IN: "recordings",
        CaseTask.DECIDE: "decide", CaseTask.COPY: "copies", CaseTask.LETTER: "letters",
        CaseTask.HAND_OVER: "handing-over", CaseTask.CLOSE: "closing",
    }
)  # fmt: skip
_COLOUR: Mapping[TaskState, str] = MappingProxyType(
    {
        TaskState.TO_DO: "blue", TaskState.WAITING_FOR_REQUESTER: "yellow", TaskState.WAITING_FOR_COLLEAGUE: "yellow",
        TaskState.WAITING_FOR_DPO: "yellow", TaskState.NOT_NEEDED: "grey",
    }
)  # fmt: skip
"""Colours of the tags; states without one are plain text."""


def task_items(case: Case, progress: CaseProgress, url: str) -> list[dict[str, Any]]:
    """Return the items of the task list; what cannot start yet has no link.

    Args:
        case: The case.
        progress: How far it is.
        url: Address of the case.
    """
    return [_item(case, progress, url, one) for one in progress.tasks]


def _item(case: Case, progress: CaseProgress, url: str, listed: ListedTask) -> dict[str, Any]:
    words, colour = wording.title(listed.state), _COLOUR.get(listed.state)
    status: dict[str, Any] = {"text": words}
    if colour:
        status = {"tag": {"text": words, "classes": f"govuk-tag--{colour}"}}
    elif listed.state is TaskState.CANNOT_START:
        status["classes"] = "govuk-task-list__status--cannot-start-yet"
    hint = {"html": _waits(progress, url, listed)} if listed.waits_for else {"text": _hint(case, progress, listed)}
    return {
        "title": {"text": wording.title(listed.task)}, "status": status, "hint": hint if any(hint.values()) else None,
        "href": "" if listed.state is TaskState.CANNOT_START else f"{url}/{_PAGE[listed.task]}",
    }  # fmt: skip


def _waits(progress: CaseProgress, url: str, listed: ListedTask) -> Markup:
    """Return what a task waits for, each with the link to do it, and who is at it."""
    states = {one.task: one.state for one in progress.tasks}

    def link(task: CaseTask) -> Markup:
        to = Markup('<a class="govuk-link" href="{}/{}">{}</a>').format(url, _PAGE[task], wording.title(task))
        is_waiting = states[task] is not TaskState.TO_DO
        return to + (Markup(" ({})").format(wording.words(states[task])) if is_waiting else Markup(""))

    return Markup("Waits for: ") + Markup(", ").join(map(link, listed.waits_for))


def _hint(case: Case, progress: CaseProgress, listed: ListedTask) -> str:
    count, copied = len(progress.recordings), len(progress.recordings) - len(progress.uncopied)
    match listed.task, listed.state:
        case CaseTask.TAKE_IN, TaskState.TO_DO:
            return f"{_recordings(len(progress.undecided))} to decide on"
        case CaseTask.TAKE_IN, TaskState.COMPLETED:
            return f"{_recordings(count)} taken in"
        case CaseTask.IDENTITY, TaskState.WAITING_FOR_REQUESTER:
            return "Proof was asked for. Record it here when it comes"
        case CaseTask.IDENTITY, TaskState.WAITING_FOR_DPO:
            return "It is in doubt who is asking. The data protection officer settles it with the decision"
        case CaseTask.DECIDE, TaskState.WAITING_FOR_COLLEAGUE:
            return "You opened the case, so somebody else decides"
        case CaseTask.DECIDE, TaskState.COMPLETED if case.decision is not None:
            return wording.title(case.decision)
        case CaseTask.COPY, (TaskState.TO_DO | TaskState.COMPLETED):
            return f"{copied} of {_recordings(count)} copied"
        case CaseTask.LETTER, _ if case.decision is None:
            return "The acknowledgement can be sent now"
        case _:
            return ""


def _recordings(count: int) -> str:
    return "1 recording" if count == 1 else f"{count or 'no'} recordings"
