"""`recorder proposals list`, `confirm` and `decline`: changes to accounts that need a second person."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import typer

from recorder.access.database import AuditNote
from recorder.access.granting import LatelySet, Proposal, who_confirms
from recorder.access.proposals import Enter, Proposals
from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.entries import audit, permit, refuse
from recorder.cli.identity import people_of
from recorder.cli.output import fail
from recorder.cli.results.accounts import AccountChange, DecidedProposal
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import Act, Allowed, DeniedError
from recorder.rules import times
from recorder.rules.authorisation import may
from storage.rows import time_to_json

Ask = Callable[[Proposals, Enter], tuple[AuditNote, Proposal | None]]
"""Makes a change, or proposes it."""


def list_proposals(context: PersonContext) -> None:
    """List proposals that wait for a second person. Needs a person who changes accounts or confirms changes."""
    sign_in_reader(context, "proposals")
    known = open_proposals(context.home)
    lately, nothing = known.lately_set(), LatelySet(password_at=None, password_by=None, authenticator_at=None)
    rows = [
        {
            "id": one.id, "account": one.account, "change": one.change, "roles": sorted(one.roles),
            "reason": one.reason, "proposed_by": one.proposed_by, "until": one.until.isoformat(),
            "address": one.address,
            **_set_to_json(lately.get(one.id, nothing)),
        }
        for one in known.waiting()
    ]  # fmt: skip
    columns = [("id", "Proposal"), ("account", "Account"), ("change", "What"), ("roles", "Roles, address"),
               ("proposed_by", "Proposed by"), ("until", "Until"), ("reason", "Reason"),
               ("set", "Set lately")]  # fmt: skip
    shown = [{**row, "roles": row["address"] or ", ".join(row["roles"]), "set": _set_in_words(row)} for row in rows]
    context.print_rows(rows, columns, empty="no proposal waits for a second person", lines=shown)


def _set_to_json(lately: LatelySet) -> dict[str, Any]:
    """Return recent changes of an account's credentials; a person who confirms more power asks its owner about them."""
    return {
        "password_set_at": time_to_json(lately.password_at),
        "password_set_by": lately.password_by if lately.password_at else None,
        "authenticator_set_at": time_to_json(lately.authenticator_at),
    }


def _set_in_words(row: dict[str, Any]) -> str:
    by = f"password by {row['password_set_by']}" if row["password_set_by"] else "first password"
    password = [f"{by} {_day(row['password_set_at'])}"] if row["password_set_at"] else []
    authenticator = [f"authenticator {_day(row['authenticator_set_at'])}"] if row["authenticator_set_at"] else []
    return ", ".join(password + authenticator)


def _day(text: str) -> str:
    return times.short_day(date.fromisoformat(text[:10]))


def sign_in_reader(context: CommandContext, what: str) -> None:
    """Sign in a person who changes accounts or confirms changes; exit if refused."""
    person = context.sign_in("a list of accounts")
    changes = isinstance(may(person, Act.MANAGE_PEOPLE), Allowed)
    act = Act.MANAGE_PEOPLE if changes else Act.CONFIRM_GRANT
    permit(context.home, act, person, reason="", subject="", operator=None, details={"listed": what})


ProposalArgument = Annotated[
    str, typer.Argument(metavar="PROPOSAL", help="From `recorder proposals list`.", autocompletion=completion.proposals)
]


def confirm(context: PersonContext, proposal: ProposalArgument) -> None:
    """Confirm a proposal by somebody else. Needs another administrator, or the data protection officer.

    A deputy is not confirmed by a data protection officer, but by a team leader if there is no other administrator.
    """
    _decided(context, proposal, is_confirmed=True)


def decline(context: PersonContext, proposal: ProposalArgument) -> None:
    """Decline a proposal by somebody else."""
    _decided(context, proposal, is_confirmed=False)


def _decided(context: CommandContext, proposal: str, *, is_confirmed: bool) -> None:
    person = context.sign_in("a decision")
    try:
        decided = open_proposals(context.home).decide(
            person,
            proposal,
            is_confirmed=is_confirmed,
            enter=lambda note: audit(context.home, note, actor=person.actor),
        )
    except DeniedError as error:
        refuse(context.home, Act.CONFIRM_GRANT, person, str(error), subject=proposal)
    done = "confirmed and done" if is_confirmed else "declined; nothing was changed"
    state = "confirmed" if is_confirmed else "declined"
    document = DecidedProposal(id=decided.id, account=decided.account, change=str(decided.change), state=state)
    context.tell(document, f"proposal {decided.id} about {decided.account}: {done}")


def open_proposals(home: Home) -> Proposals:
    """Open the proposals of a home."""
    return Proposals(accounts_of(home), now=utc_now, vouched=people_of(home).vouched)


def proposed(context: CommandContext, actor: str, reason: str, ask: Ask) -> None:
    """Make a change, or propose it if it needs a second person, and print which; exit if refused."""
    context.tell(*changed(context, actor, reason, ask))


def changed(context: CommandContext, actor: str, reason: str, ask: Ask) -> tuple[AccountChange, str]:
    """Make a change, or propose it if it needs a second person; return which, and a sentence about it."""
    try:
        note, proposal = ask(
            open_proposals(context.home), lambda note: audit(context.home, note, actor=actor, text=reason)
        )
    except DeniedError as error:
        fail(str(error))
    if proposal is None:
        alone = "; nobody could confirm it, so one person was enough" if note.details.get("alone") else ""
        return AccountChange(account=note.subject), f"{note.subject}: done{alone}"
    what = note.details.get("token", note.subject)
    return (
        AccountChange(account=note.subject, is_done=False, proposal=proposal.id),
        f"{what}: proposed; {who_confirms(proposal.change)} confirms it until "
        f"{context.day(proposal.until)}: `recorder proposals confirm {proposal.id}`",
    )
