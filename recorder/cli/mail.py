"""`recorder mail`: mail addresses of accounts, test mails, and the state of the mail queue."""

from typing import Annotated, Any

import typer

from recorder.access.granting import who_confirms
from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import HomeContext, PersonContext
from recorder.cli.entries import permit, shell_audit
from recorder.cli.identity import people_of
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail, print_json, print_table, say
from recorder.cli.proposals import open_proposals
from recorder.cli.results.site import MailAddress, SentMail
from recorder.common.clock import utc_now
from recorder.common.smtp import MailError, send_mail
from recorder.common.smtp_options import is_mail_address
from recorder.notifications.addresses import Addresses, change_address
from recorder.notifications.box import Box
from recorder.notifications.mail_retries import STUCK_AFTER
from recorder.notifications.mails import trial
from recorder.permissions import Act
from storage.rows import time_to_json

TIMEOUT_S = 10.0


def test(context: HomeContext, address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Recipient.")]) -> None:
    """Send a test email now and show the server's answer."""
    server = context.config.mail.server
    if server is None or context.config.mail.sender is None:
        fail("no mail server is configured: set smtp and sender in [mail]", 2)
    if not is_mail_address(address):
        fail("that is not an email address: it must look like name@council.example", 2)
    message = trial(address, sender=context.config.mail.sender, site=context.config.site.name, now=utc_now())
    try:
        send_mail(server, message, [address], timeout_s=TIMEOUT_S)
    except MailError as error:
        fail(str(error))
    name = f"{server.host}:{server.port}"
    context.tell(SentMail(address=address, server=name), f"{name} accepted the email")


def address(
    context: PersonContext,
    account: Annotated[str, typer.Argument(metavar="NAME", help="An account.", autocompletion=completion.accounts)],
    to: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="Email address; leave it out to remove it.")
    ] = None,
    reason: ReasonOption = "",
) -> None:
    """Set or remove the email address of an account. Needs an administrator.

    Another address, or none, for somebody who decides (manager, team leader, dpo, admin, ict) needs --reason and a
    second person's `recorder proposals confirm`; that can be its owner.
    """
    person = context.sign_in("an address")
    proposal = change_address(
        open_proposals(context.home), people_of(context.home), shell_audit(context.home), person, account=account,
        address=to, reason=reason,
    )  # fmt: skip
    done = f"{account} gets email at {to}" if to else f"{account} gets no email"
    if proposal is None:
        context.tell(MailAddress(account=account, address=to), done)
        return
    context.tell(
        MailAddress(account=account, address=to, is_done=False, proposal=proposal.id),
        f"proposed: {done}; {who_confirms(proposal.change)} confirms it until {context.day(proposal.until)}: "
        f"`recorder proposals confirm {proposal.id}`",
    )


def status(context: PersonContext) -> None:
    """Show addresses and the email queue. Exit 1 if an email has waited for a day."""
    person = context.sign_in("the state of mail")
    details = {"what": "mail"}
    permit(context.home, Act.SEE_SYSTEM, person, reason="", subject="", operator=None, details=details)
    people = people_of(context.home)
    engine = accounts_of(context.home)
    queue = Box(engine, now=utc_now).queue()
    addresses = Addresses(engine).all()
    accounts = [one.person.name for one in people.list() if not one.is_disabled]
    is_stuck = queue.oldest_at is not None and utc_now() - queue.oldest_at >= STUCK_AFTER
    found: dict[str, Any] = {
        "server": context.config.mail.smtp, "waiting": queue.waiting, "oldest_at": time_to_json(queue.oldest_at),
        "given_up": queue.given_up, "problem": queue.problem, "is_stuck": is_stuck,
        "addresses": {one: addresses.get(one) for one in accounts},
    }  # fmt: skip
    if context.json:
        print_json(found)
    else:
        say(f"mail server: {context.config.mail.smtp or 'none, notifications are shown in the console only'}")
        say(f"{queue.waiting} waiting, {queue.given_up} given up{'; ' + queue.problem if queue.problem else ''}")
        rows = [{"account": one, "address": addresses.get(one) or "none"} for one in accounts]
        print_table(rows, [("account", "Account"), ("address", "Address")], empty="there are no accounts")
    if is_stuck:
        fail("emails have waited for a day")
