"""Powerful roles, which no person alone gives (P11). Pure.

One administrator proposes. Another one or the data protection officer confirms, or a team leader if there is neither;
never the person who gets the role. While nobody else could confirm, one person is enough, because a council begins with
one account, added by `recorder init`. It is not enough if somebody else could confirm until lately: otherwise an
administrator could first remove the others' power, for which one person is enough.
"""

import enum
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.permissions import (
    MAX_REASON_CHARACTERS,
    MIN_REASON_CHARACTERS,
    TABLE,
    Act,
    Allowed,
    DeniedError,
    Fault,
    Person,
    Role,
)
from recorder.rules import times
from recorder.rules.authorisation import combines_admin, may
from recorder.rules.requesting import may_be_deputy

POWERFUL = frozenset({Role.DPO, Role.TEAM_LEADER, Role.ADMIN, Role.ICT})
"""Roles that decide on others' requests, add accounts, or hear without approval (break-glass)."""
MAILED_BY_TWO = POWERFUL | {Role.MANAGER}
"""Roles whose notifications ask for decisions, so that another person alone does not send them elsewhere."""
CONFIRMING = frozenset(role for role, acts in TABLE.items() if Act.CONFIRM_GRANT in acts)
"""Roles that confirm proposals."""
STANDS_FOR = timedelta(days=7)
"""How long a proposal can be confirmed, and how long nobody acts alone after somebody else could confirm."""


SHOWN_FOR = timedelta(days=30)
"""How long people who confirm are shown that a password or an authenticator was set."""


class ProposedChange(enum.StrEnum):
    """Changes that take a second person."""

    GRANT = "grant"
    """Powerful roles for an account."""
    RESET = "reset_authenticator"
    """Removing the authenticator of a person with powerful roles; with a new password, their power would follow."""
    PASSWORD = "set_password"  # noqa: S105 - a kind of change, not a secret
    """A new password for a person with powerful roles, set by somebody else, who could then sign in as them."""
    TOKEN = "add_token"  # noqa: S105 - a kind of change, not a secret
    """A token for another system. Its maker could see and pause by it what their own role does not allow."""
    DEPUTY = "deputy"
    """The deputy of the data protection officer, who decides that officer's own requests (P14)."""
    MAIL = "mail_address"
    """Another email address, or none, for a person who decides; they would hear of nothing any more."""


class ProposalState(enum.StrEnum):
    """The states of a proposal; an expired one stays WAITING but cannot be confirmed."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSet:
    """An account's password was set: when, and by which account."""

    account: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A change that takes a second person.

    Attributes:
        account: The account that changes; for a TOKEN, its maker.
        roles: Of a GRANT.
        proposed_at: When, UTC.
        until: When it expires, UTC.
        address: Of a MAIL: the new address, empty for none; None in other changes and after the decision.
    """

    id: str
    account: str
    change: ProposedChange
    roles: frozenset[Role]
    reason: str
    proposed_by: str
    proposed_at: datetime
    until: datetime
    state: ProposalState = ProposalState.WAITING
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatelySet:
    """Recent changes of an account, shown to the person who confirms: its user may have changed with them.

    Attributes:
        password_at: When its password was set, if lately; or None.
        password_by: By whom; None for the account's first password.
        authenticator_at: When its authenticator was set up, if lately; or None.
    """

    password_at: datetime | None
    password_by: str | None
    authenticator_at: datetime | None


def takes_two(change: ProposedChange, person: Person, roles: Iterable[Role], *, is_deputy: bool = False) -> bool:
    """Tell whether a change takes a second person.

    Args:
        change: Which change.
        person: Owner of the account.
        roles: Roles to be granted.
        is_deputy: They are the deputy of the data protection officer, whatever their roles.
    """
    if change in (ProposedChange.TOKEN, ProposedChange.DEPUTY):
        return True
    if change is ProposedChange.GRANT:
        return bool((frozenset(roles) - person.roles) & POWERFUL)
    return is_deputy or bool(person.roles & (MAILED_BY_TWO if change is ProposedChange.MAIL else POWERFUL))


def combination_problem(account: str, roles: frozenset[Role], more: frozenset[Role]) -> str | None:
    """Return why an account cannot get roles, or None: `admin` excludes every role that hears (P11)."""
    if not more - roles or not combines_admin(roles | more):
        return None
    return (
        f"{account} cannot be {' and '.join(sorted(roles | more))}: "
        "a person who changes accounts may have no role that hears recordings. Use accounts of two people."
    )


def confirmers(people: Iterable[Person], *, proposer: str, account: str, change: ProposedChange) -> frozenset[str]:
    """Return the accounts that may confirm a proposal: not its author, nor the person it is about.

    No data protection officer may choose who decides their own requests. An email address its owner confirms too, who
    knows best whether it is theirs.
    """
    is_mail = change is ProposedChange.MAIL
    others = [
        person
        for person in people
        if person.name != proposer
        and (is_mail or person.name != account)
        and isinstance(may(person, Act.CONFIRM_GRANT), Allowed)
        and not (change is ProposedChange.DEPUTY and Role.DPO in person.roles)
    ]
    first = [
        person for person in others if person.roles & {Role.ADMIN, Role.DPO} or (is_mail and person.name == account)
    ]
    return frozenset(person.name for person in first or others)


def deputy_problem(account: str, roles: frozenset[Role]) -> str | None:
    """Return why an account cannot be the deputy of the data protection officer, or None."""
    if not may_be_deputy(roles):
        return f"{account} is an administrator or ICT, whom the data protection officer watches over: choose another."
    if not any(Act.ASK in TABLE[role] for role in roles):
        return f"{account} has no role with access requests: choose an officer or a manager."
    return None


def who_confirms(change: ProposedChange) -> str:
    """Return who confirms a change, in words."""
    if change is ProposedChange.DEPUTY:
        return "another administrator, or where there is none a team leader, and no data protection officer"
    if change is ProposedChange.MAIL:
        return "its owner if they confirm changes, another administrator or the data protection officer"
    return "another administrator or the data protection officer"


def check_names_deputy(person: Person) -> None:
    """Refuse a data protection officer who proposes or confirms the deputy for their own requests.

    Raises:
        DeniedError: They are one.
    """
    if Role.DPO in person.roles:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "The deputy decides on the data protection officer's requests, so two other people must choose the deputy.",
        )


def check_password_is_theirs(account: str, set_by: str | None, deciders: Collection[str]) -> None:
    """Refuse more power for an account whose password the proposer or the confirmer knows.

    Args:
        account: The account.
        set_by: Who last set its password; None for its first password.
        deciders: Who proposes, and who confirms.

    Raises:
        DeniedError: One of them set it.
    """
    if set_by in deciders:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            f"{set_by} set the password of {account}, who must change it first: on the page "
            "of their account or with `recorder users password`.",
        )


def check_alone(lately: Collection[str], now: datetime) -> None:
    """Refuse to do alone what somebody else could have confirmed until lately.

    Args:
        lately: Accounts that could, and lost that power or were disabled within `STANDS_FOR`.
        now: The time.

    Raises:
        DeniedError: There is such an account.
    """
    if lately:
        who, until = " and ".join(sorted(lately)), now + STANDS_FOR
        raise DeniedError(
            Fault.NOT_ALLOWED,
            f"This takes two people, and {who} could have confirmed it until lately. One person is enough only if "
            f"nobody else could for {STANDS_FOR.days} days, from {times.day(until)} at the latest. Next time, "
            "give the successor a role before you remove one.",
        )


def check_reason(reason: str) -> None:
    """Refuse a proposal without a reason.

    Raises:
        DeniedError: It has none, or one that is too long.
    """
    if not MIN_REASON_CHARACTERS <= len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise DeniedError(
            Fault.INCOMPLETE,
            f"Enter a reason of {MIN_REASON_CHARACTERS} to {MAX_REASON_CHARACTERS} characters.",
            "reason",
        )


def check_decision(decider: Person, proposal: Proposal, people: Iterable[Person], now: datetime) -> None:
    """Check whether a person may confirm or decline a proposal now.

    Raises:
        DeniedError: They may not, or it is too late.
    """
    if proposal.state is not ProposalState.WAITING:
        raise DeniedError(Fault.TOO_LATE, f"Proposal {proposal.id} is already {proposal.state}.")
    if now >= proposal.until:
        raise DeniedError(Fault.TOO_LATE, f"Proposal {proposal.id} has expired: propose it again.")
    usable = {person.name: person for person in people}
    author = usable.get(proposal.proposed_by)
    if author is None or not isinstance(may(author, Act.MANAGE_PEOPLE), Allowed):
        raise DeniedError(Fault.TOO_LATE, f"{proposal.proposed_by} may not change accounts any more: propose it again.")
    if proposal.account not in usable:
        raise DeniedError(Fault.TOO_LATE, f"The account {proposal.account} is disabled.")
    about = () if proposal.change is ProposedChange.MAIL else (proposal.account,)
    if decider.name in (proposal.proposed_by, *about):
        raise DeniedError(Fault.NOT_ALLOWED, "You proposed this, or it is about you: somebody else has to decide.")
    if proposal.change is ProposedChange.DEPUTY:
        check_names_deputy(author)
        check_names_deputy(decider)
    allowed = confirmers(
        usable.values(), proposer=proposal.proposed_by, account=proposal.account, change=proposal.change
    )
    if decider.name not in allowed:
        raise DeniedError(Fault.NOT_ALLOWED, "Another administrator or the data protection officer decides this.")
