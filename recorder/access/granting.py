"""Roles that one person alone gives nobody (P11). Pure.

One administrator proposes, another one or the data protection officer confirms, or a team leader where there is
neither; never whoever gets the role. While there is nobody else who could confirm, one is enough: a council begins with
one account, made by `recorder init`. It is not enough where somebody could until lately: one administrator would take
the others' power away first, for which one person is enough.
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
from recorder.rules.authorisation import combines_admin, may
from recorder.rules.requesting import may_be_deputy

POWERFUL = frozenset({Role.DPO, Role.TEAM_LEADER, Role.ADMIN, Role.ICT})
"""Who decides on others' requests, makes accounts, or hears without approval (break-glass)."""
CONFIRMING = frozenset(role for role, acts in TABLE.items() if Act.CONFIRM_GRANT in acts)
"""Who confirms what others propose."""
STANDS_FOR = timedelta(days=7)
"""How long a proposal can be confirmed, and how long nobody decides alone after somebody else could have confirmed."""


SHOWN_FOR = timedelta(days=30)
"""How long whoever confirms is shown that a password or an authenticator was set."""


class ProposedChange(enum.StrEnum):
    """What takes a second person."""

    GRANT = "grant"
    """Powerful roles for an account."""
    RESET = "reset_authenticator"
    """The authenticator of somebody with powerful roles is taken away: a new password more, and their power is too."""
    PASSWORD = "set_password"  # noqa: S105 - a kind of change, not a secret
    """A new password for somebody with powerful roles, by somebody else: who has no authenticator yet is them then."""
    TOKEN = "add_token"  # noqa: S105 - a kind of change, not a secret
    """A token for another system: whoever makes it could see and pause by it what their own role keeps from them."""
    DEPUTY = "deputy"
    """Somebody stands in for the data protection officer and decides that officer's own requests (P14)."""


class ProposalState(enum.StrEnum):
    """Where a proposal stands; one whose time is over is WAITING still, and of no use."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSet:
    """That an account's password was set anew: when, and by whose account."""

    account: str
    at: datetime
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Something that takes a second person.

    Attributes:
        id: Eight hexadecimal digits.
        account: Whose; of a TOKEN, whoever makes it.
        change: What.
        roles: Of a GRANT.
        reason: Why, in words.
        proposed_by: An account.
        proposed_at: When, UTC.
        until: When it cannot be confirmed any more, UTC.
        state: Where it stands.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LatelySet:
    """What whoever confirms is shown of an account: by it somebody else may be its owner.

    Attributes:
        password_at: When its password was set, lately; or None.
        password_by: By whom; None is that it is the account's first one.
        authenticator_at: When its authenticator was set up, lately; or None.
    """

    password_at: datetime | None
    password_by: str | None
    authenticator_at: datetime | None


def takes_two(change: ProposedChange, person: Person, roles: Iterable[Role], *, is_deputy: bool = False) -> bool:
    """Tell whether a change takes a second person.

    Args:
        change: What.
        person: Whose account it is.
        roles: Those that are granted.
        is_deputy: They stand in for the data protection officer, whatever their roles are.
    """
    if change in (ProposedChange.TOKEN, ProposedChange.DEPUTY):
        return True
    if change is ProposedChange.GRANT:
        return bool((frozenset(roles) - person.roles) & POWERFUL)
    return is_deputy or bool(person.roles & POWERFUL)


def combination_problem(account: str, roles: frozenset[Role], more: frozenset[Role]) -> str | None:
    """Return why an account cannot get roles, or None: `admin` excludes every role that hears (P11).

    Args:
        account: Whose.
        roles: Those that it has.
        more: Those that it is to get.
    """
    if not more - roles or not combines_admin(roles | more):
        return None
    return (
        f"{account} cannot be {' and '.join(sorted(roles | more))}: "
        "whoever changes accounts has no role that hears recordings. Use two accounts of two people."
    )


def confirmers(people: Iterable[Person], *, proposer: str, account: str, change: ProposedChange) -> frozenset[str]:
    """Return the accounts that may confirm a proposal: neither its author nor whoever it is about.

    No data protection officer chooses who decides on their own requests.
    """
    others = [
        person
        for person in people
        if person.name not in (proposer, account)
        and isinstance(may(person, Act.CONFIRM_GRANT), Allowed)
        and not (change is ProposedChange.DEPUTY and Role.DPO in person.roles)
    ]
    first = [person for person in others if person.roles & {Role.ADMIN, Role.DPO}]
    return frozenset(person.name for person in first or others)


def deputy_problem(account: str, roles: frozenset[Role]) -> str | None:
    """Return why somebody cannot stand in for the data protection officer, or None.

    Args:
        account: Whose.
        roles: Those that it has.
    """
    if not may_be_deputy(roles):
        return f"{account} is an administrator or ICT, whom the data protection officer watches over: choose another."
    if not any(Act.ASK in TABLE[role] for role in roles):
        return f"{account} has no role that has to do with requests: choose an officer or a manager."
    return None


def who_confirms(change: ProposedChange) -> str:
    """Return in words who confirms a change."""
    if change is ProposedChange.DEPUTY:
        return "another administrator, or where there is none a team leader, and no data protection officer"
    return "another administrator or the data protection officer"


def check_names_deputy(person: Person) -> None:
    """Refuse that a data protection officer proposes or confirms who decides on that officer's own requests.

    Raises:
        DeniedError: They are one.
    """
    if Role.DPO in person.roles:
        raise DeniedError(
            Fault.NOT_ALLOWED, "The deputy decides on the data protection officer's requests: two others choose them."
        )


def check_password_is_theirs(account: str, set_by: str | None, deciders: Collection[str]) -> None:
    """Refuse more power for an account of which whoever proposes or confirms it knows the password.

    Args:
        account: Whose.
        set_by: Who last set its password; None is that it is its first.
        deciders: Who proposes, and who confirms.

    Raises:
        DeniedError: One of them set it.
    """
    if set_by in deciders:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            f"{set_by} set the password of {account}, who has not changed it since: they change it first, on the page "
            "of their account or with `recorder users password`.",
        )


def check_alone(lately: Collection[str], now: datetime) -> None:
    """Refuse to do alone what somebody else could have confirmed until lately.

    Args:
        lately: Accounts that could, and lost that or were disabled since `STANDS_FOR` before now.
        now: The time.

    Raises:
        DeniedError: There is such an account.
    """
    if lately:
        who, until = " and ".join(sorted(lately)), now + STANDS_FOR
        raise DeniedError(
            Fault.NOT_ALLOWED,
            f"This takes two people, and {who} could have confirmed it until lately. It takes one alone only where "
            f"nobody else could for {STANDS_FOR.days} days, at the latest from {until:%Y-%m-%d} on: "
            "grant a role to who comes before you take one from who goes.",
        )


def check_reason(reason: str) -> None:
    """Refuse a proposal without a reason.

    Raises:
        DeniedError: It has none, or one that is too long.
    """
    if not MIN_REASON_CHARACTERS <= len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise DeniedError(
            Fault.INCOMPLETE, f"This takes a reason of {MIN_REASON_CHARACTERS} to {MAX_REASON_CHARACTERS} characters."
        )


def check_decision(decider: Person, proposal: Proposal, people: Iterable[Person], now: datetime) -> None:
    """Decide whether somebody may confirm or decline a proposal now.

    Args:
        decider: Who decides.
        proposal: What.
        people: Everybody with an account that can be used.
        now: The time.

    Raises:
        DeniedError: They may not, or it is too late.
    """
    if proposal.state is not ProposalState.WAITING:
        raise DeniedError(Fault.TOO_LATE, f"Proposal {proposal.id} is {proposal.state} already.")
    if now >= proposal.until:
        raise DeniedError(Fault.TOO_LATE, f"Proposal {proposal.id} is over: propose it again.")
    usable = {person.name: person for person in people}
    author = usable.get(proposal.proposed_by)
    if author is None or not isinstance(may(author, Act.MANAGE_PEOPLE), Allowed):
        raise DeniedError(Fault.TOO_LATE, f"{proposal.proposed_by} changes no accounts any more: propose it again.")
    if proposal.account not in usable:
        raise DeniedError(Fault.TOO_LATE, f"The account {proposal.account} cannot be used any more.")
    if decider.name in (proposal.proposed_by, proposal.account):
        raise DeniedError(Fault.NOT_ALLOWED, "Somebody else decides: not who proposed it, nor whoever it is about.")
    if proposal.change is ProposedChange.DEPUTY:
        check_names_deputy(author)
        check_names_deputy(decider)
    allowed = confirmers(
        usable.values(), proposer=proposal.proposed_by, account=proposal.account, change=proposal.change
    )
    if decider.name not in allowed:
        raise DeniedError(Fault.NOT_ALLOWED, "Another administrator or the data protection officer decides this.")
