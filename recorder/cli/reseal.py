"""`recorder users reseal`: makes roles count again after the audit log was started anew."""

from dataclasses import asdict

from recorder.access.accounts import usable_people
from recorder.access.database import AuditNote
from recorder.access.listening.appointments import Appointments
from recorder.access.seals import RESEALED
from recorder.cli.accounts import accounts_of
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.context import HomeContext
from recorder.cli.entries import audit
from recorder.cli.identity import people_of
from recorder.cli.output import fail
from recorder.cli.results.accounts import ResealedAccount
from recorder.common.clock import utc_now
from recorder.common.system_user import os_user
from recorder.permissions import Role


def reseal(context: HomeContext) -> None:
    """Make the stored roles count again, after the audit log was moved away and started anew.

    Needs no person, because nobody has a role then; the audit entry names the user of the operating system. Refused
    while an administrator can sign in, who can add and remove roles as usual.
    """
    people = people_of(context.home)
    if any(Role.ADMIN in person.roles for person in usable_people(people)):
        fail("an administrator can sign in: use `recorder users add-role` and `recorder users remove-role`")
    found = people.unexplained()
    if not found:
        fail("nothing to do: the audit log explains every role")
    accounts = {name: sorted(roles) for name, roles in sorted(found.items())}
    deputy = Appointments(accounts_of(context.home), now=utc_now).deputy()
    note = AuditNote(act=RESEALED, subject="", details={"accounts": accounts, "deputy": deputy, **WITHOUT_ACCOUNT})
    audit(context.home, note, actor=f"os:{os_user()}")
    context.tell(
        [asdict(ResealedAccount(name=name, roles=[*map(str, roles)])) for name, roles in accounts.items()],
        *(f"{name}: {', '.join(roles)}" for name, roles in accounts.items()),
        "these roles count again; check each of them: `recorder users list`",
    )
