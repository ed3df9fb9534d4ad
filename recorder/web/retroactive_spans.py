"""How far back a retroactive pause of a live call reaches: the choices, and the page that asks."""

from fastapi.responses import HTMLResponse

from recorder.common.problems import ProblemError
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import TypedForm
from recorder.web.render import Renderer

SPANS: tuple[tuple[str, str], ...] = (
    ("30", "The last 30 seconds before the pause"),
    ("60", "The last minute before the pause"),
    ("120", "The last 2 minutes before the pause"),
    ("240", "The last 4 minutes before the pause"),
    ("all", "The whole call so far"),
)
"""Spans that an officer may choose for a retroactive pause."""

_UNCHOSEN = "Select how much of the call should be erased."


def chosen_span(span: str, paused_at: str, now_s: float) -> float | None:
    """Return how far back a retroactive pause reaches, seconds from now; None is the whole call.

    The chosen span counts back from the pause, not from the time when the form was sent.
    """
    since_s = max(now_s - float(paused_at), 0.0) if paused_at.isdecimal() else 0.0
    return None if span == "all" else float(span) + since_s


def span_page(
    renderer: Renderer, caller: ConsoleCaller, form: TypedForm, *, action: str, back: str, section: str, told: str,
    paused_at: str, team: str = "",
) -> HTMLResponse:  # fmt: skip
    """Ask how far back to erase; a form that was sent without an answer is shown again with its error.

    Args:
        renderer: Renders the page.
        caller: Who forgot to pause.
        form: What was sent, or an empty form.
        action: Where the answer goes.
        back: The page to go back to, where nothing is to be erased.
        section: The section of that page in the navigation.
        told: A sentence that says how the recording stands, as the daemon said it.
        paused_at: When it was paused, seconds since the epoch.
        team: The team that the page to go back to is limited to.
    """
    if form.is_sent:
        form = form.refused(ProblemError(422, _UNCHOSEN, fields={"span": _UNCHOSEN}))
    return renderer.page(
        "retroactive_pause.html", caller, status=422 if form.is_sent else 200, form=form, action=action, back=back,
        section=section, told=told, spans=SPANS, paused_at=paused_at, team=team,
    )  # fmt: skip
