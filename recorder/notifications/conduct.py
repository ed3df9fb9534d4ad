"""Use of accounts that the data protection officer should check, found in the audit log. Pure.

Each act was allowed. Two patterns suggest that somebody else uses an account: one person hears very many recordings in
a day, or a role is used as soon as it is granted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from types import MappingProxyType

from recorder.permissions import HEARS, TABLE, Act, Person, Role

HEARD_A_DAY = 40
"""Notify when one person hears or copies this many recordings in a day; handling complaints takes far fewer."""
USED_WITHIN = timedelta(hours=1)
"""Notify when a role is used within this time after it was granted."""
LOOKED_AT = timedelta(hours=26)
"""How far back the log is read: a 25-hour day, and an hour more for roles that were granted before it began."""


_USES: Mapping[str, Act] = MappingProxyType(
    {
        **dict.fromkeys(("request.granted", "request.declined"), Act.DECIDE),
        **dict.fromkeys(("erasure.confirmed", "erasure.approved", "erasure.declined"), Act.CONFIRM_ERASURE),
        **dict.fromkeys(("hold.placed", "hold.reviewed", "hold.reinstated"), Act.PLACE_HOLD),
        **dict.fromkeys(("claim.upheld", "claim.declined", "claim.lifted", "claim.use_allowed"), Act.DECIDE_CLAIM),
        **dict.fromkeys(("people.add", "people.proposed", "people.revoked", "people.disable", "people.enable",
                         "people.set_team"), Act.MANAGE_PEOPLE),
        **dict.fromkeys(("tokens.add", "tokens.revoke"), Act.MANAGE_TOKENS),
        "erasure.ordered": Act.ERASE,
        "hold.released": Act.RELEASE_HOLD,
        "claim.asked": Act.WRITE_CLAIM,
        "retention.confirmed": Act.CONFIRM_SWEEP,
        "index.reconciled": Act.RECONCILE,
        "people.vouched": Act.CONFIRM_GRANT,
    }
)  # fmt: skip
"""Permission that each of these acts of the audit log used: the log names what was done, not the permission."""
_OF_CASES = "case."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedAct:
    """An act in the audit log.

    Attributes:
        at: When it was done.
        act: Name of the act.
        actor: The account that did it.
        subject: The recording or other thing that it was done to.
    """

    at: datetime
    act: str
    actor: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Roles that were granted to an account, and when."""

    at: datetime
    account: str
    roles: frozenset[Role]


def heard_many(done: Iterable[LoggedAct], zone: tzinfo) -> frozenset[tuple[str, date]]:
    """Return accounts that heard or copied `HEARD_A_DAY` recordings or more in a day of a time zone, with that day."""
    heard: dict[tuple[str, date], set[str]] = defaultdict(set)
    for one in done:
        if one.act in HEARS:
            heard[one.actor, one.at.astimezone(zone).date()].add(one.subject)
    return frozenset(key for key, recordings in heard.items() if len(recordings) >= HEARD_A_DAY)


def used_at_once(
    done: Iterable[LoggedAct], granted: Iterable[Granted], people: Mapping[str, Person]
) -> frozenset[tuple[str, datetime]]:
    """Return accounts that used a new role within `USED_WITHIN`, with the time when the role was granted.

    An act that another role of the account allows does not count.

    Args:
        done: Acts from the audit log.
        granted: Grants of roles.
        people: Account holders, by account.
    """
    acts = [(one, _use_of(one.act)) for one in done if one.actor in people]
    return frozenset(
        (grant.account, grant.at)
        for grant in granted
        if grant.account in people
        for allowed in (_acts_of(grant.roles) - _acts_of(people[grant.account].roles - grant.roles),)
        if any(
            one.actor == grant.account and use in allowed and grant.at <= one.at <= grant.at + USED_WITHIN
            for one, use in acts
        )
    )


def _use_of(act: str) -> str:
    return str(Act.WORK_ON_CASES) if act.startswith(_OF_CASES) else str(_USES.get(act, act))


def _acts_of(roles: Iterable[Role]) -> frozenset[str]:
    return frozenset(str(act) for role in roles for act in TABLE[role])
