"""Commands for calls in progress; they talk to the daemon's socket."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.commands.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PasswordOption,
    ReasonOption,
    fail,
    print_json,
    print_table,
    say,
    sign_in,
)
from recorder.domain.access import speaks_as_manager
from recorder.home import Home
from recorder.live.client import DaemonRefusedError, DaemonUnavailableError, LiveClient

CallOption = Annotated[str | None, typer.Option("--call", metavar="ID", help="One call, or the beginning of its id.")]
ExtensionOption = Annotated[str | None, typer.Option("--extension", metavar="N", help="Every call of an extension.")]


def ask(home: Home, question: Callable[[LiveClient], Any]) -> Any:  # noqa: ANN401 - JSON
    """Ask the daemon of a home, or leave with its sentence."""
    # Not through the configuration: a mistake in the file must not keep anybody from pausing a call.
    with LiveClient(home.socket) as client:
        try:
            return question(client)
        except (DaemonUnavailableError, DaemonRefusedError) as error:
            fail(str(error))


def calls(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """List the calls that are being recorded."""
    rows = ask(Home(home.resolve()), lambda client: client.calls())
    if json:
        print_json(rows)
        return
    columns = [
        ("id", "Call"),
        ("phase", "Phase"),
        ("state", "Recording"),
        ("extension", "Extension"),
        ("operator", "Operator"),
        ("caller", "Caller"),
        ("position_s", "At, s"),
        ("opt_out", "Opt-out"),
    ]
    shown = [{**row, "opt_out": (row["opt_out"] or {}).get("state")} for row in rows]
    print_table(shown, columns, empty="no call of a nominated extension is in progress")


def pause(
    call: CallOption = None,
    extension: ExtensionOption = None,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Pause recording; what was said in the last seconds is erased too."""
    _act("pause", call, extension, reason, name, password_file, home, json)


def resume(
    call: CallOption = None,
    extension: ExtensionOption = None,
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Go on recording; a manager clears every reason, others the officer's."""
    _act("resume", call, extension, reason, name, password_file, home, json)


def _act(
    act: str,
    call: str | None,
    extension: str | None,
    reason: str,
    name: str | None,
    password_file: Path | None,
    root: Path,
    json: bool,
) -> None:
    home = Home(root.resolve())
    actor, authority = "", "officer"
    if name is not None:
        person = sign_in(home, name, password_file, f"to {act} as somebody", goes_on=True)
        actor, authority = person.actor, "manager" if speaks_as_manager(person) else "officer"
    _send(act, call, extension, reason, actor, authority, home, json)


def _send(
    act: str, call: str | None, extension: str | None, reason: str, actor: str, authority: str, home: Home, json: bool
) -> None:
    one_of(call, extension)
    words = {"actor": actor, "reason": reason, "authority": authority}
    if extension is not None:
        answer = ask(home, lambda client: getattr(client, f"{act}_extension")(extension, **words))
    else:
        answer = ask(home, lambda client: getattr(client, act)(whole(client, call or ""), **words))
    tell(answer, json=json)


def one_of(call: str | None, extension: str | None) -> None:
    """Leave with exit code 2 unless exactly one of two options was given."""
    if (call is None) == (extension is None):
        fail("give either --call ID or --extension N", 2)


def tell(answer: dict[str, Any], *, json: bool) -> None:
    """Print what an act on one call, or on every call of an extension, did."""
    answers = answer.get("calls", [answer, *answer.get("also", ())])
    if json:
        print_json(answers if "calls" in answer else answer)
        return
    for one in answers:
        held = f" ({', '.join(one['reasons'])})" if one["reasons"] else ""
        say(f"{one['call']}: {one['state']}{held} from {one['position_s']:.2f} s")
        order = one.get("erasure")
        if order is not None:
            waits = "waits for a second person" if order["state"] == "waiting" else "is done once the call has ended"
            say(f"{one['call']}: erasing {order['start_s']:.2f} to {order['end_s']:.2f} s {waits}")


def whole(client: LiveClient, prefix: str) -> str:
    """Return the id of the one live call that begins so; what was given, where none does."""
    fits = [row["id"] for row in client.calls() if row["id"].startswith(prefix)]
    if len(fits) > 1:
        fail(f"{len(fits)} calls begin with {prefix}; give more of the id")
    return fits[0] if fits else prefix


agents = typer.Typer(no_args_is_help=True, help="Who sits at which extension.")


@agents.command("list")
def list_agents(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """List nominated extensions and who is at them."""
    rows = ask(Home(home.resolve()), lambda client: client.agents())
    if json:
        print_json(rows)
    else:
        columns = [("extension", "Extension"), ("operator", "Operator"), ("service", "Service"), ("is_signed_on", "On")]
        print_table(rows, columns, empty="no extension is nominated")


@agents.command("sign-on")
def sign_on(
    extension: Annotated[str, typer.Option("--extension", metavar="N")],
    operator: Annotated[str, typer.Option("--operator", metavar="NAME")],
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Sign an operator on: calls of the extension are theirs from the next one on."""
    answer = ask(Home(home.resolve()), lambda client: client.sign_on(extension, operator))
    print_json(answer) if json else say(f"{operator} is signed on at {extension}")


@agents.command("sign-off")
def sign_off(
    extension: Annotated[str, typer.Option("--extension", metavar="N")],
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Sign off whoever is at an extension."""
    answer = ask(Home(home.resolve()), lambda client: client.sign_off(extension))
    print_json(answer) if json else say(f"nobody is signed on at {extension} now")


def reload(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """Bring a changed recorder.toml into force; no call is dropped."""
    answer = ask(Home(home.resolve()), lambda client: client.reload())
    if json:
        print_json(answer)
        return
    say("changed: " + (", ".join(answer["changed"]) or "nothing"))
    if answer["needs_restart"]:
        say("in force after the next start only: " + ", ".join(answer["needs_restart"]))
