"""Commands for who sits at which extension; they talk to the daemon's socket."""

from typing import Annotated

import typer

from recorder.access.accounts import is_anothers_extension
from recorder.access.database import AuditNote
from recorder.cli.context import LazyPersonJsonContext
from recorder.cli.live import ask, sign_in_for
from recorder.cli.shared import (
    audit,
    fail,
    people_of,
    print_json,
    say,
)
from recorder.permissions import Act

agents = typer.Typer(no_args_is_help=True, help="Who sits at which extension.")
SeatOption = Annotated[str, typer.Option("--extension", metavar="N")]


@agents.command("list")
def list_agents(context: LazyPersonJsonContext) -> None:
    """List nominated extensions and who is at them."""
    person = sign_in_for(context, Act.SEE_LIVE, "a list of agents", subject="")
    audit(context.home, AuditNote(act=Act.SEE_LIVE.value, subject="", details={"listed": "agents"}), actor=person.actor)
    rows = ask(context.home, lambda client: client.agents())
    columns = [
        ("extension", "Extension"),
        ("operator", "Operator"),
        ("service", "Service"),
        ("is_signed_on", "On"),
        ("until", "Until"),
    ]
    context.print_rows(rows, columns, empty="no extension is nominated")


@agents.command("sign-on")
def sign_on(
    context: LazyPersonJsonContext,
    extension: SeatOption,
    operator: Annotated[str | None, typer.Option("--operator", hidden=True)] = None,
) -> None:
    """Sign on at an extension, as yourself: its calls are yours from the next one on.

    A phone that is nobody's, of your team and free, you sign on to at once. For any other you get a code to key there.
    """
    person = context.sign_in("to sign on at a phone")
    if operator not in (None, person.display_name):
        fail(f"you sign on as yourself, {person.display_name}; nobody signs somebody else on")
    is_anothers = is_anothers_extension(people_of(context.home), person, extension)
    answer = ask(context.home, lambda client: client.sign_on(extension, person=person, is_anothers=is_anothers))
    if context.json:
        print_json(answer)
    elif "code" in answer:
        if answer["instead_of"]:
            say(f"{answer['instead_of']} is at extension {extension}: take over only if they have left that phone")
        say(f"in a recorded call at extension {extension}, key {answer['keys']} on the phone")
        say(f"the code is good until {answer['good_until']}")
    else:
        say(f"{answer['operator']} is signed on at {extension} until {answer['until']}")


@agents.command("sign-off")
def sign_off(context: LazyPersonJsonContext, extension: SeatOption) -> None:
    """Sign off from an extension, as yourself."""
    person = context.sign_in("to sign off from a phone")
    answer = ask(context.home, lambda client: client.sign_off(extension, person=person))
    context.tell(answer, f"you are not signed on at {extension} any more")
