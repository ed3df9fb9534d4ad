"""`recorder users reseal`: roles count again after the audit log was begun anew."""

from recorder.access.accounts import usable_people
from recorder.access.database import AuditNote, open_people
from recorder.access.listening.appointments import Appointments
from recorder.access.seals import RESEALED
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.context import HomeContext
from recorder.cli.shared import audit, fail, people_of, say
from recorder.common.clock import utc_now
from recorder.common.system_user import os_user
from recorder.permissions import Role


def reseal(context: HomeContext) -> None:
    """Have the roles count that the file of people has, after the audit log was moved aside and begun anew.

    Needs no person, since nobody has a right then; the entry names the user of the operating system. Refused while an
    administrator can sign in: they give and take roles as always.
    """
    people = people_of(context.home)
    if any(Role.ADMIN in person.roles for person in usable_people(people)):
        fail("an administrator can sign in, and gives or takes roles: `recorder users grant`, `recorder users revoke`")
    found = people.unexplained()
    if not found:
        fail("the audit log explains every role")
    accounts = {name: sorted(roles) for name, roles in sorted(found.items())}
    deputy = Appointments(open_people(context.home.people), now=utc_now).deputy()
    note = AuditNote(act=RESEALED, subject="", details={"accounts": accounts, "deputy": deputy, **WITHOUT_ACCOUNT})
    audit(context.home, note, actor=f"os:{os_user()}")
    for name, roles in accounts.items():
        say(f"{name}: {', '.join(roles)}")
    say("these roles count again; look whether each is as it should be: `recorder users list`")
