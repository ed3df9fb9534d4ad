"""`recorder agents`: which officer is at which extension. Talks to the daemon's socket."""

from typing import Annotated

import typer

from recorder.access.accounts import is_anothers_extension
from recorder.access.database import AuditNote
from recorder.cli import completion
from recorder.cli.context import LazyPersonContext
from recorder.cli.entries import audit, refuse
from recorder.cli.identity import people_of
from recorder.cli.live import ask, sign_in_for
from recorder.cli.output import print_json, say
from recorder.permissions import Act

SeatOption = Annotated[
    str, typer.Option("--extension", metavar="N", help="The phone's extension.", autocompletion=completion.extensions)
]


def list_agents(context: LazyPersonContext) -> None:
    """List the nominated extensions, and who is signed on at each."""
    person = sign_in_for(context, Act.SEE_LIVE, "a list of agents", subject="")
    audit(context.home, AuditNote(act=Act.SEE_LIVE.value, subject="", details={"listed": "agents"}), actor=person.actor)
    rows = ask(context.home, lambda client: client.agents())
    for row in rows:
        if row.get("not_at"):
            say(f"{row['extension']}: {row['operator']} is not signed on at {', '.join(row['not_at'])} yet")
    columns = [
        ("extension", "Extension"),
        ("operator", "Operator"),
        ("service", "Service"),
        ("is_signed_on", "On"),
        ("until", "Until"),
    ]
    context.print_rows(rows, columns, empty="no extension is nominated")


def sign_on(
    context: LazyPersonContext,
    extension: SeatOption,
    operator: Annotated[str | None, typer.Option("--operator", hidden=True)] = None,
) -> None:
    """Sign on at an extension, so that its calls from the next one on are recorded under your name.

    If the phone has no fixed officer, belongs to your team and is free, you are signed on at once. Otherwise you get a
    code to key on that phone.
    """
    person = context.sign_in("to sign on at a phone")
    if operator not in (None, person.display_name):
        said = f"you can only sign on as yourself, {person.display_name}"
        refuse(context.home, Act.SIGN_ON, person, "it is another person's name", subject=extension, said=said)
    is_anothers = is_anothers_extension(people_of(context.home), person, extension)
    answer = ask(context.home, lambda client: client.sign_on(extension, person=person, is_anothers=is_anothers))
    if context.json:
        print_json(answer)
    elif "code" in answer:
        if answer["instead_of"]:
            say(f"{answer['instead_of']} is signed on at {extension}: continue only if they have left that phone")
        say(f"during a recorded call at extension {extension}, key {answer['keys']} on the phone")
        say(f"the code is valid until {answer['good_until']}")
    else:
        say(f"{answer['operator']} is signed on at {extension} until {answer['until']}")


def sign_off(context: LazyPersonContext, extension: SeatOption) -> None:
    """Sign off from an extension."""
    person = context.sign_in("to sign off from a phone")
    answer = ask(context.home, lambda client: client.sign_off(extension, person=person))
    context.tell(answer, f"you are signed off from {extension}")
