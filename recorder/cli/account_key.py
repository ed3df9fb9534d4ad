"""`recorder keys rotate-accounts` and `recorder users enrol-again`: the key that seals authenticators."""

from recorder.access.database import AuditNote
from recorder.access.sealed_secrets import LOST, SealedSecrets
from recorder.cli.accounts import accounts_of
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.context import CommandContext, HomeContext, PersonContext
from recorder.cli.entries import audit, permit
from recorder.cli.errors import said_plainly
from recorder.cli.identity import people_of
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail
from recorder.cli.results.accounts import LostAuthenticators
from recorder.cli.results.keys import RotatedAccountKey
from recorder.common.system_user import os_user
from recorder.permissions import Act


def rotate_accounts(context: PersonContext) -> None:
    """Seal authenticators and recovery codes with a new key, because the old one may be in other hands.

    People go on with the authenticators and codes that they have. After an interruption, run it again.
    """
    secrets = _secrets_of(context)
    person = context.sign_in("managing keys")
    permit(
        context.home, Act.MANAGE_KEYS, person, reason="", subject="", operator=None,
        details={"what": "rotate-accounts"},
    )  # fmt: skip
    with said_plainly("run it again"):
        note = secrets.rotate()
    audit(context.home, note, actor=person.actor)
    context.tell(
        RotatedAccountKey(fingerprint=note.details["key"], values=note.details["values"], path=str(secrets.key.path)),
        f"{note.details['values']} values are sealed with a new key, {note.details['key']}, in {secrets.key.path}",
        "back the new key up, apart from people.sqlite; backups of people.sqlite from before need the old one",
    )


def enrol_again(
    context: HomeContext,
    dry_run: DryRunOption = False,
) -> None:
    """Remove the authenticators that no key opens, after private/accounts.key was lost.

    These people sign in by password and set up a new authenticator. Needs no person, because nobody who needs a code
    can sign in then; the audit entry names the user of the operating system.
    """
    secrets = _secrets_of(context)
    lost = sorted(secrets.unopened())
    if not lost:
        fail("nothing to do: the key opens every authenticator")
    if not dry_run:
        note = AuditNote(act=LOST, subject="", details={"accounts": lost, **WITHOUT_ACCOUNT})
        audit(context.home, note, actor=f"os:{os_user()}")
        lost = sorted(secrets.forget_unopened(lost))
    what = (
        f"these {len(lost)} would set up a new authenticator; nothing was changed" if dry_run
        else f"these {len(lost)} set up a new authenticator at their next sign-in, by password alone"
    )  # fmt: skip
    context.tell(LostAuthenticators(accounts=lost, dry_run=dry_run), *lost, what)


def _secrets_of(context: CommandContext) -> SealedSecrets:
    people_of(context.home)
    return SealedSecrets(accounts_of(context.home))
