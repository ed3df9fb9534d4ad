"""Changes to others' accounts, and new tokens: done at once, or proposed and then confirmed by a second person.

Each is written to the audit log first, by ``enter`` in the transaction. If that fails nothing has changed.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, insert, select, update

from recorder.access.account_rows import (
    MAIL_CHANGED,
    PeopleError,
    address_of,
    check_combination,
    check_other_admin,
    confirmed_lately,
    is_deputy,
    is_usable,
    keep_address,
    one,
    person_of,
    power_lost,
    renew_password,
    row_of,
)
from recorder.access.database import AuditNote, from_s
from recorder.access.deputies import appoint
from recorder.access.granting import (
    POWERFUL,
    SHOWN_FOR,
    STANDS_FOR,
    LatelySet,
    Proposal,
    ProposalState,
    ProposedChange,
    check_alone,
    check_decision,
    check_names_deputy,
    check_password_is_theirs,
    check_reason,
    confirmers,
    deputy_problem,
    takes_two,
)
from recorder.access.identities import disconnect_unless_own
from recorder.access.password_hashes import CLOSED
from recorder.access.proposal_rows import columns_of_proposal, details_of_proposal, proposal_of
from recorder.access.second_factor import has_factor, remove_factor
from recorder.access.tables import accounts, proposals, second_factors, tokens
from recorder.access.tokens import NewToken, end_unconfirmed, keep
from recorder.permissions import Act, DeniedError, Fault, Person, Role
from recorder.rules import times
from recorder.rules.vouching import NOBODY, VOUCHED_BY, Vouched

_GIVES_POWER = (ProposedChange.GRANT, ProposedChange.DEPUTY)
Enter = Callable[[AuditNote], None]
"""Writes a note to the audit log; raises if it cannot."""


class Proposals:
    """Grants of roles, new passwords, removed authenticators, tokens, deputies: done at once if one person is enough.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
        vouched: Returns who vouched for each account.
    """

    def __init__(
        self, engine: Engine, *, now: Callable[[], datetime], vouched: Callable[[], Vouched] = lambda: NOBODY
    ) -> None:
        self._engine = engine
        self._now = now
        self._vouched = vouched

    def grant(
        self, by: str, account: str, roles: Iterable[Role], *, reason: str, enter: Enter
    ) -> tuple[AuditNote, Proposal | None]:
        """Add roles to an account, or propose it.

        Args:
            by: An account that may change accounts.
            account: The account.
            roles: The roles.
            reason: Why.
            enter: Writes the audit entry.

        Returns:
            The audit note, and the proposal that a second person must confirm, or None.

        Raises:
            PeopleError: There is no such account, or it is disabled.
            DeniedError: It needs a reason, or a person who could have confirmed it until lately.
        """
        return self._ask(ProposedChange.GRANT, by, account, roles=frozenset(roles), reason=reason, enter=enter)

    def reset_authenticator(
        self, by: str, account: str, *, reason: str, enter: Enter
    ) -> tuple[AuditNote, Proposal | None]:
        """Remove an account's authenticator, or propose it, as `grant` does.

        Raises:
            PeopleError: There is no such account, or it has no authenticator.
            DeniedError: It needs a reason.
        """
        return self._ask(ProposedChange.RESET, by, account, roles=frozenset(), reason=reason, enter=enter)

    def set_password(
        self, by: str, account: str, password_hash: str, *, reason: str, enter: Enter
    ) -> tuple[AuditNote, Proposal | None]:
        """Set a new password for another person's account, or propose it, as `grant` does.

        Args:
            by: An account that may change accounts.
            account: The account.
            password_hash: From `recorder.access.accounts.People.hash_of`.
            reason: Why.
            enter: Writes the audit entry.

        Raises:
            PeopleError: There is no such account, or it is disabled.
            DeniedError: It needs a reason.
        """
        return self._ask(
            ProposedChange.PASSWORD,
            by,
            account,
            roles=frozenset(),
            reason=reason,
            enter=enter,
            password_hash=password_hash,
        )

    def mail_address(
        self, by: str, account: str, address: str | None, *, reason: str, enter: Enter
    ) -> tuple[AuditNote, Proposal | None]:
        """Set or remove (None) an email address, or propose it, as `grant` does.

        One person is enough for their own, and for the first address of an account: no mail goes elsewhere by that.

        Raises:
            PeopleError: There is no such account, or it is disabled.
            DeniedError: It needs a reason, or a person who could have confirmed it until lately.
        """
        return self._ask(
            ProposedChange.MAIL, by, account, roles=frozenset(), reason=reason, enter=enter, address=address or ""
        )

    def token(self, by: str, token: NewToken, *, reason: str, enter: Enter) -> tuple[AuditNote, Proposal | None]:
        """Store a new token, valid at once or waiting for its proposal, as `grant` does.

        The reason begins with the token's permissions, so that the person who confirms has read them.

        Args:
            by: An account that may change tokens.
            token: From `Tokens.prepare`.
            reason: Why.
            enter: Writes the audit entry.

        Raises:
            TokenError: Its name was used before.
            DeniedError: It needs a reason, or a person who could have confirmed it until lately.
        """
        check_reason(reason)
        return self._ask(ProposedChange.TOKEN, by, by, roles=frozenset(), reason=reason, enter=enter, token=token)

    def name_deputy(self, by: str, account: str, *, reason: str, enter: Enter) -> tuple[AuditNote, Proposal | None]:
        """Propose the deputy of the data protection officer, as `grant` does, but never alone.

        Raises:
            PeopleError: There is no such account, or its roles exclude it.
            DeniedError: It needs a reason, another person to propose it, or a person who could confirm it.
        """
        return self._ask(ProposedChange.DEPUTY, by, account, roles=frozenset(), reason=reason, enter=enter)

    def _ask(
        self, change: ProposedChange, by: str, account: str, *, roles: frozenset[Role], reason: str, enter: Enter,
        password_hash: str | None = None, token: NewToken | None = None, address: str | None = None,
    ) -> tuple[AuditNote, Proposal | None]:  # fmt: skip
        now = self._now()
        with self._engine.begin() as connection:
            _forget_passwords(connection, proposals.c.until_s <= now.timestamp())
            row = one(connection, account)
            if not is_usable(row, now):
                raise PeopleError(f"The account {account} is disabled.")
            person = person_of(row)
            check_combination(account, person.roles, roles)
            if change is ProposedChange.DEPUTY:
                _check_deputy(connection, by, person)
            proposal = Proposal(
                id=secrets.token_hex(4), account=account, change=change, roles=roles - person.roles,
                reason=reason.strip(), proposed_by=by, proposed_at=now, until=now + STANDS_FOR,
                address=address,
            )  # fmt: skip
            if token is not None:
                proposal = replace(proposal, reason=_propose_token(connection, token, proposal))
            is_for_two = takes_two(change, person, roles, is_deputy=is_deputy(connection, account))
            if change is ProposedChange.MAIL and (by == account or address_of(connection, account) is None):
                is_for_two = False
            if is_for_two:
                check_reason(reason)
            if not is_for_two or not confirmers(_usable(connection, now), proposer=by, account=account, change=change):
                if change is ProposedChange.DEPUTY:
                    raise DeniedError(
                        Fault.NOT_ALLOWED,
                        "Nobody could confirm it. That takes another administrator, or a team leader, who is neither "
                        "the deputy nor a data protection officer.",
                    )
                if is_for_two:
                    check_alone(confirmed_lately(connection, (by, account), now), now)
                decided = {
                    "state": ProposalState.CONFIRMED, "decided_by": by, "decided_s": now.timestamp(), "address": None,
                }  # fmt: skip
                connection.execute(insert(proposals).values(**(columns_of_proposal(proposal) | decided)))
                note = _apply(connection, proposal, now, password_hash, {"alone": True} if is_for_two else {})
                _enter(enter, token, note)
                return note, None
            if change in _GIVES_POWER:
                check_password_is_theirs(account, row["password_set_by"], {by})
            connection.execute(insert(proposals).values(**columns_of_proposal(proposal), password_hash=password_hash))
            about = details_of_proposal(proposal) | ({"token": token.note.subject} if token else {})
            note = AuditNote(act="people.proposed", subject=account, details=about)
            _enter(enter, token, note)
        return note, proposal

    def waiting(self) -> list[Proposal]:
        """Return the proposals that can be confirmed now, oldest first."""
        query = select(proposals).where(
            proposals.c.state == ProposalState.WAITING, proposals.c.until_s > self._now().timestamp()
        )
        with self._engine.begin() as connection:
            rows = connection.execute(query.order_by(proposals.c.proposed_s)).mappings().all()
        return [proposal_of(row) for row in rows]

    def lately_set(self) -> dict[str, LatelySet]:
        """Return, by proposal, recent changes of accounts that are to get more power."""
        waiting = [one for one in self.waiting() if one.change in _GIVES_POWER]
        with self._engine.begin() as connection:
            rows = {one.id: row_of(connection, one.account) for one in waiting}
            found = {
                proposal: _lately_set(connection, row, self._now() - SHOWN_FOR) for proposal, row in rows.items() if row
            }
        return {proposal: lately for proposal, lately in found.items() if lately.password_at or lately.authenticator_at}

    def resets_since(self, moment: datetime) -> list[Proposal]:
        """Return the proposals by which an authenticator was removed since a moment."""
        query = select(proposals).where(
            proposals.c.change == ProposedChange.RESET, proposals.c.state == ProposalState.CONFIRMED,
            proposals.c.decided_s >= moment.timestamp(),
        )  # fmt: skip
        with self._engine.begin() as connection:
            return [proposal_of(row) for row in connection.execute(query).mappings()]

    def decide(self, by: Person, proposal_id: str, *, is_confirmed: bool, enter: Enter) -> Proposal:
        """Confirm a proposal and carry it out, or decline it.

        Raises:
            DeniedError: They may not, it is too late, or there is no such proposal.
            PeopleError: It cannot be done any more.
        """
        now = self._now()
        state = ProposalState.CONFIRMED if is_confirmed else ProposalState.DECLINED
        vouched = self._vouched()  # read the log before the write lock is taken
        with self._engine.begin() as connection:
            query = select(proposals).where(proposals.c.id == proposal_id)
            row = connection.execute(query).mappings().first()
            if row is None:
                raise DeniedError(Fault.TOO_LATE, "There is no such proposal.")
            proposal = proposal_of(row)
            check_decision(by, proposal, _usable(connection, now), now)
            if is_confirmed:
                vouched.check({proposal.proposed_by}, by.name)
            values = {"state": state, "decided_by": by.name, "decided_s": now.timestamp()}
            connection.execute(update(proposals).where(proposals.c.id == proposal_id).values(**values))
            about = details_of_proposal(proposal)
            if not is_confirmed and proposal.change is ProposedChange.TOKEN:
                about["token"] = end_unconfirmed(connection, now, proposal=proposal.id)
            note = AuditNote(act="people.declined", subject=proposal.account, details=about)
            if is_confirmed:
                if proposal.change in _GIVES_POWER:
                    set_by = one(connection, proposal.account)["password_set_by"]
                    check_password_is_theirs(proposal.account, set_by, {proposal.proposed_by, by.name})
                about = {"proposal": proposal.id, "proposed_by": proposal.proposed_by}
                note = _apply(connection, proposal, now, row["password_hash"], about, confirmed_by=by.name)
            _forget_passwords(connection, proposals.c.id == proposal_id)
            enter(note)
        return proposal

    def revoke(self, account: str, roles: Iterable[Role], *, enter: Enter) -> None:
        """Remove roles from an account; one person is enough for that.

        Raises:
            PeopleError: There is no such account, it has none of them, or nobody could change accounts any more.
        """
        taken = frozenset(roles)
        with self._engine.begin() as connection:
            person = person_of(one(connection, account))
            if not person.roles & taken:
                raise PeopleError(f"{account} has none of these roles.")
            if Role.ADMIN in taken & person.roles:
                check_other_admin(connection, account)
            _set_roles(connection, account, person.roles - taken)
            lost = power_lost(taken & person.roles, self._now())
            if lost:
                connection.execute(update(accounts).where(accounts.c.name == account).values(**lost))
            enter(AuditNote(act="people.revoked", subject=account, details={"roles": sorted(person.roles & taken)}))


def _apply(
    connection: Connection, proposal: Proposal, now: datetime, password_hash: str | None, about: dict[str, Any],
    *, confirmed_by: str | None = None,
) -> AuditNote:  # fmt: skip
    account, roles = proposal.account, proposal.roles
    if proposal.change is ProposedChange.DEPUTY:
        assert confirmed_by is not None, "a deputy takes two people"
        _check_deputy(connection, proposal.proposed_by, person_of(one(connection, account)))
        if appoint(connection, account, named_by=proposal.proposed_by, confirmed_by=confirmed_by, now=now):
            about = {**about, "disconnected": True}
        return AuditNote(act=Act.NAME_DEPUTY, subject=account, details=about)
    if proposal.change is ProposedChange.MAIL:
        keep_address(connection, account, proposal.address or None)
        about = {"has_address": bool(proposal.address), **about}
        return AuditNote(act=MAIL_CHANGED, subject=account, details=about)
    if proposal.change is ProposedChange.RESET:
        remove_factor(connection, account)
        about = {**about, **_in_hand(proposal, confirmed_by, about)}
        return AuditNote(act="people.second_factor_removed", subject=account, details=about)
    if proposal.change is ProposedChange.TOKEN:
        return AuditNote(act="tokens.confirm", subject=_confirm_token(connection, proposal), details=about)
    if proposal.change is ProposedChange.PASSWORD:
        assert password_hash is not None, "the hash is stored with its proposal"
        renew_password(connection, account, password_hash, by=proposal.proposed_by, now=now)
        if not has_factor(connection, account):  # the new password is all that it takes to be its user
            about = {**about, **_in_hand(proposal, confirmed_by, about)}
        return AuditNote(act="people.set_password", subject=account, details=about)
    before = person_of(one(connection, account)).roles
    check_combination(account, before, roles)  # its roles may have changed since
    _set_roles(connection, account, before | roles)
    if roles & POWERFUL and disconnect_unless_own(connection, account):
        about = {**about, "disconnected": True}
    return AuditNote(act="people.granted", subject=account, details={"roles": sorted(roles), **about})


def _in_hand(proposal: Proposal, confirmed_by: str | None, about: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the detail that whoever made a change could use the account now; empty if nobody else could confirm it."""
    if about.get("alone"):
        return {}
    return {VOUCHED_BY: sorted({proposal.proposed_by, confirmed_by or proposal.proposed_by})}


def _enter(enter: Enter, token: NewToken | None, note: AuditNote) -> None:
    if token is not None:
        enter(token.note)
    enter(note)


def _propose_token(connection: Connection, token: NewToken, proposal: Proposal) -> str:
    """Store a token that waits for a proposal; returns its permissions and the reason, as text."""
    row = {**token.row, "proposal": proposal.id, "created_s": proposal.proposed_at.timestamp()}
    keep(connection, row, now=proposal.proposed_at)
    until = from_s(row["expires_s"])
    good_for = (
        row["scopes"].replace(",", ", "), f"extensions {row['extensions'] or 'all'}",
        f"from {row['networks'] or 'anywhere'}", f"until {times.day(until)}" if until else "for good",
    )  # fmt: skip
    return f"token {row['name']} ({'; '.join(good_for)}): {proposal.reason}"


def _confirm_token(connection: Connection, proposal: Proposal) -> str:
    """Make the token of a proposal valid; returns its name."""
    is_it = (tokens.c.proposal == proposal.id) & tokens.c.revoked_s.is_(None)
    name: str | None = connection.execute(select(tokens.c.name).where(is_it)).scalar()
    if name is None:
        raise PeopleError("The token has been revoked: add another one.")
    connection.execute(update(tokens).where(is_it).values(proposal=None))
    return name


def _lately_set(connection: Connection, row: Any, since: datetime) -> LatelySet:  # noqa: ANN401 - a RowMapping
    enrolled = select(second_factors.c.enrolled_s).where(second_factors.c.account == row["name"])
    password_s = row["password_set_s"] or row["created_s"]
    authenticator_s: float | None = connection.execute(enrolled).scalar()
    return LatelySet(
        password_at=from_s(password_s) if password_s >= since.timestamp() else None,
        password_by=row["password_set_by"],
        authenticator_at=from_s(authenticator_s) if (authenticator_s or 0.0) >= since.timestamp() else None,
    )


def _check_deputy(connection: Connection, by: str, person: Person) -> None:
    proposer = row_of(connection, by)
    if proposer is not None:
        check_names_deputy(person_of(proposer))
    problem = deputy_problem(person.name, person.roles)
    if problem is not None:
        raise PeopleError(problem)


def _set_roles(connection: Connection, account: str, roles: frozenset[Role]) -> None:
    connection.execute(update(accounts).where(accounts.c.name == account).values(roles=",".join(sorted(roles))))


def _forget_passwords(connection: Connection, which: ColumnElement[bool]) -> None:
    connection.execute(update(proposals).where(which).values(password_hash=None, address=None))


def _usable(connection: Connection, now: datetime) -> list[Person]:
    """Return everybody who can sign in: nobody whose password a restore has closed."""
    rows = connection.execute(select(accounts)).mappings().all()
    return [person_of(row) for row in rows if is_usable(row, now) and row["password_hash"] != CLOSED]
