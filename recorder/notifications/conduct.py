"""Conduct of people with accounts that the data protection officer looks into, as the audit log shows it. Pure.

Each act was allowed. What is told is that somebody heard very many recordings in a day, and that a role was used as
soon as it was granted: the two signs of an account in the wrong hands that the log has.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from types import MappingProxyType

from recorder.permissions import HEARS, TABLE, Act, Person, Role

HEARD_A_DAY = 40
"""So many recordings that one person heard or copied in a day are told: a day's work of complaints is far fewer."""
USED_WITHIN = timedelta(hours=1)
"""A role that is used sooner after it was granted is told."""
LOOKED_AT = timedelta(hours=26)
"""How far back the log is looked at: a day that was longer by an hour, and what was granted before its beginning."""


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
    }
)  # fmt: skip
"""Acts of the table whose entries have other names in the audit log: what was done, not what was asked."""
_OF_CASES = "case."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedAct:
    """An act, as the audit log has it.

    Attributes:
        at: When.
        act: What.
        actor: Who: an account's name.
        subject: On what: a recording.
    """

    at: datetime
    act: str
    actor: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Roles that an account was given, and when."""

    at: datetime
    account: str
    roles: frozenset[Role]


def heard_many(done: Iterable[LoggedAct], zone: tzinfo) -> frozenset[tuple[str, date]]:
    """Return who heard or copied `HEARD_A_DAY` recordings or more, and on which day of a time zone."""
    heard: dict[tuple[str, date], set[str]] = defaultdict(set)
    for one in done:
        if one.act in HEARS:
            heard[one.actor, one.at.astimezone(zone).date()].add(one.subject)
    return frozenset(key for key, recordings in heard.items() if len(recordings) >= HEARD_A_DAY)


def used_at_once(
    done: Iterable[LoggedAct], granted: Iterable[Granted], people: Mapping[str, Person]
) -> frozenset[tuple[str, datetime]]:
    """Return whose role was used within `USED_WITHIN`, and when it was granted.

    An act that another of their roles allows is no use of it.

    Args:
        done: What was done.
        granted: What was granted.
        people: Who there is, by account.
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
    """Return which act of the table an entry of the audit log is."""
    return str(Act.WORK_ON_CASES) if act.startswith(_OF_CASES) else str(_USES.get(act, act))


def _acts_of(roles: Iterable[Role]) -> frozenset[str]:
    return frozenset(str(act) for role in roles for act in TABLE[role])
