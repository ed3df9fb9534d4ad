"""`recorder calls retroactive-pause`: retroactive pause of a live call or a finished recording."""

from typing import Annotated, Any

import typer

from recorder.cli.context import CommandContext, LazyKeysContext
from recorder.cli.erase import answer, parts_of, whole_id
from recorder.cli.live import CallOption, ExtensionOption, ask, one_of, tell
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail
from recorder.cli.records import opened_index
from recorder.cli.site import Calls, open_calls
from recorder.common.home import Home
from recorder.control.errors import DaemonUnavailableError
from recorder.permissions import Person
from recorder.retention.erasing import forgot_recording
from recorder.rules.call_target import CallTarget, ExtensionTarget

SecondsOption = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        metavar="S",
        min=0.1,
        max=86_400,
        help="How far back from now, or from the end of a finished call.",
        show_default="all of it",
    ),
]


def forgot(
    context: LazyKeysContext,
    call: CallOption = None,
    extension: ExtensionOption = None,
    seconds: SecondsOption = None,
    reason: ReasonOption = "",
) -> None:
    """Pause recording because you forgot to: the last seconds are erased too.

    For more seconds than `forgot_s` in the configuration a second person must confirm. Nobody can play the recording
    until the audio is erased. A finished call is found by its id.
    """
    one_of(call, extension)
    person = context.sign_in("what was forgotten")
    live = None if call is None else _live_call(context.home, call)
    if call is not None and live is None:
        _of_finished(context, person, call, seconds, reason)
        return

    def forget(client: Calls) -> dict[str, Any]:
        target = ExtensionTarget(extension or "") if live is None else CallTarget(live)
        return client.pause_retroactively(target, person=person, seconds=seconds, reason=reason)

    tell(ask(context.home, forget), json=context.json)


def _live_call(home: Home, prefix: str) -> str | None:
    """Return the id of the live call with this prefix; None if there is none, or no daemon runs."""
    try:
        with open_calls(home) as client:
            fits = [row["id"] for row in client.calls() if row["id"].startswith(prefix)]
    except DaemonUnavailableError:
        return None
    if len(fits) > 1:
        fail(f"{len(fits)} calls begin with {prefix}; give more characters of the id")
    return fits[0] if fits else None


def _of_finished(context: CommandContext, person: Person, recording: str, seconds: float | None, reason: str) -> None:
    with opened_index(context) as index:
        repos, eraser = parts_of(context, index)
        order = forgot_recording(repos, person, whole_id(index, recording), seconds=seconds, reason=reason)
        answer(eraser, index, order, json=context.json)
