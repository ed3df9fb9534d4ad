"""Closes in restored accounts what the audit log says was closed, or changed, since they were copied.

A snapshot's accounts are older than its audit log. Without this module a restore would open again what somebody closed
in between: accounts, roles, teams, tokens, grants, PINs, authenticators, identities, the deputy, nodes. Nothing is
opened here: what the log says was given since is left to people, who are told of it. Where the log cannot be read,
everything that it could have closed is closed.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from recorder.access.account_rows import is_usable, person_of, power_lost
from recorder.access.database import open_people
from recorder.access.granting import CONFIRMING, ProposalState
from recorder.access.listening.asking import DECLINED, GRANTED, WITHDRAWN
from recorder.access.password_hashes import CLOSED
from recorder.access.pins import PinError, PinFile
from recorder.access.removal import BESIDE
from recorder.access.sealed_secrets import LOST
from recorder.access.seals import Explained
from recorder.access.tables import (
    absences,
    accounts,
    break_glass,
    deputies,
    identities,
    mail_addresses,
    proposals,
    recovery_codes,
    requests,
    second_factors,
    sessions,
    sweep_consents,
    team_changes,
    tokens,
)
from recorder.access.teams import plan_change, settle_changes
from recorder.backups.lost_cases import bring_cases_back
from recorder.common.home import Home
from recorder.permissions import Act, Role
from recorder.rules.cases import CaseEvent
from recorder.rules.requesting import RequestState
from recorder.site_keys.membership import expel_again
from recorder.site_keys.node_records import read_records
from recorder.site_keys.publishing import has_nodes
from storage.audit_entry import AuditEntry
from storage.errors import StorageError
from storage.rows import time_from_json

SLACK = timedelta(seconds=60)
"""How long before a snapshot an act may have been written to the log, and not yet to the accounts that were copied."""
_SAME_ACT = timedelta(seconds=5)
"""At most so long after a change is its entry in the log, or before it."""


@dataclass(slots=True)
class Told:
    """What the audit log says of access, at its end.

    Attributes:
        since: Acts from this moment on may be missing in the accounts that were copied.
        explained: Roles, deputy and acknowledgements.
        added: When each account was last added; one that was removed since is not in it.
        removed: Accounts that were removed and not added again.
        disabled: By account from when it is disabled; None if it was enabled again.
        teams: The last change of each team that a person answers for.
        passwords: When a password was last set.
        factors: When an authenticator was last set up, removed or lost.
        identities: When an account was last connected to an identity, or disconnected.
        present: When a team leader was last marked present.
        requests: The last state of each request, who decided and when.
        revoked: Tokens that were revoked.
        spent: Accounts that used up a recovery code since.
        pins: Accounts whose PIN was set or removed since.
        mail: Accounts whose address for mail was changed since.
        acknowledged: Break-glass acts that were acknowledged: by whom, when.
        nodes: By node that was removed, the serial numbers of its certificates.
        gone: Those of them that were not added again.
        cases: By case the entries that were written since, in order.
    """

    since: datetime
    explained: Explained = field(default_factory=Explained)
    added: dict[str, datetime] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    disabled: dict[str, datetime | None] = field(default_factory=dict)
    teams: dict[tuple[str, str], tuple[bool, datetime]] = field(default_factory=dict)
    passwords: dict[str, datetime] = field(default_factory=dict)
    factors: dict[str, datetime] = field(default_factory=dict)
    identities: dict[str, datetime] = field(default_factory=dict)
    present: dict[str, datetime] = field(default_factory=dict)
    requests: dict[str, tuple[RequestState, str, datetime]] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    spent: set[str] = field(default_factory=set)
    pins: set[str] = field(default_factory=set)
    mail: set[str] = field(default_factory=set)
    acknowledged: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    nodes: dict[str, frozenset[int]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    cases: dict[str, list[AuditEntry]] = field(default_factory=dict)

    def take(self, entry: AuditEntry) -> None:
        """Add an entry of `ACTS`."""
        self.explained.take(entry)
        at = time_from_json(entry.at)
        assert at is not None, "every entry has a time"
        if (taken := ACTS.get(entry.act)) is not None:
            taken(self, entry, at)


_Taken = Callable[[Told, AuditEntry, datetime], None]


def _take_added(told: Told, entry: AuditEntry, at: datetime) -> None:
    told.added[entry.subject] = at
    told.removed.discard(entry.subject)
    told.disabled.pop(entry.subject, None)
    for key in [key for key in told.teams if key[0] == entry.subject]:
        del told.teams[key]


def _take_removed(told: Told, entry: AuditEntry, _at: datetime) -> None:
    told.removed.add(entry.subject)
    told.added.pop(entry.subject, None)


def _take_disabled(told: Told, entry: AuditEntry, at: datetime) -> None:
    told.disabled[entry.subject] = _moment(entry.details.get("from")) or at


def _take_enabled(told: Told, entry: AuditEntry, _at: datetime) -> None:
    told.disabled[entry.subject] = None


def _take_team(told: Told, entry: AuditEntry, at: datetime) -> None:
    from_ = _moment(entry.details.get("from")) or at
    told.teams[entry.subject, str(entry.details.get("team"))] = (bool(entry.details.get("answers")), from_)


def _take_sign_in(told: Told, entry: AuditEntry, at: datetime) -> None:
    if entry.details.get("second_factor") == "recovery_code" and at >= told.since:
        told.spent.add(entry.subject)


def _take_lost(told: Told, entry: AuditEntry, at: datetime) -> None:
    listed = entry.details.get("accounts")
    told.factors.update(dict.fromkeys(map(str, listed) if isinstance(listed, list) else (), at))


def _take_by_explained(_told: Told, _entry: AuditEntry, _at: datetime) -> None:
    """Leave it to `Explained`, which has roles, deputy and break-glass."""


def _take_acknowledged(told: Told, entry: AuditEntry, at: datetime) -> None:
    told.acknowledged[entry.subject] = (entry.actor, at)


def _take_node_removed(told: Told, entry: AuditEntry, _at: datetime) -> None:
    listed = entry.details.get("serials")
    serials = frozenset(int(str(one), 16) for one in listed) if isinstance(listed, list) else frozenset[int]()
    told.nodes[entry.subject] = told.nodes.get(entry.subject, frozenset()) | serials
    told.gone.add(entry.subject)


def _take_case(told: Told, entry: AuditEntry, at: datetime) -> None:
    if at >= told.since:
        told.cases.setdefault(entry.subject, []).append(entry)


def _take_case_back(told: Told, entry: AuditEntry, _at: datetime) -> None:
    if found := told.cases.get(entry.subject):
        found.pop()  # it was written just before, by the same act


def _take_last(name: str) -> _Taken:
    def take(told: Told, entry: AuditEntry, at: datetime) -> None:
        getattr(told, name)[entry.subject] = at

    return take


def _take_since(name: str) -> _Taken:
    def take(told: Told, entry: AuditEntry, at: datetime) -> None:
        if at >= told.since:
            getattr(told, name).add(entry.subject)

    return take


def _take_request(state: RequestState) -> _Taken:
    def take(told: Told, entry: AuditEntry, at: datetime) -> None:
        told.requests[entry.subject] = (state, entry.actor, at)

    return take


ACTS: Mapping[str, _Taken] = MappingProxyType(
    {
        "people.add": _take_added,
        "people.remove": _take_removed,
        "people.disable": _take_disabled,
        "people.enable": _take_enabled,
        "people.set_team": _take_team,
        "people.granted": _take_by_explained,
        "people.revoked": _take_by_explained,
        "people.resealed": _take_by_explained,
        str(Act.NAME_DEPUTY): _take_by_explained,
        "people.set_password": _take_last("passwords"),
        "people.second_factor_set": _take_last("factors"),
        "people.second_factor_removed": _take_last("factors"),
        LOST: _take_lost,
        "people.sign_in": _take_sign_in,
        "people.connected": _take_last("identities"),
        "people.disconnected": _take_last("identities"),
        "people.back": _take_last("present"),
        "people.set_pin": _take_since("pins"),
        "people.remove_pin": _take_since("pins"),
        "people.mail_address": _take_since("mail"),
        "tokens.revoke": lambda told, entry, _at: told.revoked.add(entry.subject),
        GRANTED: _take_request(RequestState.GRANTED),
        DECLINED: _take_request(RequestState.DECLINED),
        WITHDRAWN: _take_request(RequestState.WITHDRAWN),
        str(Act.ACKNOWLEDGE): _take_acknowledged,
        str(Act.PLAY): _take_by_explained,
        "node.removed": _take_node_removed,
        **{f"case.{step}": _take_case for step in CaseEvent},
        **{f"case.{step}.not_stored": _take_case_back for step in CaseEvent},
        "node.added": lambda told, entry, _at: told.gone.discard(entry.subject),
    }
)
"""What each act of the log means for access."""

LEFT: Mapping[str, str] = MappingProxyType(
    {
        "people.proposed": "every proposal that waits is closed",
        "people.declined": "every proposal that waits is closed",
        "people.deputy.asked": "every proposal that waits is closed",
        "tokens.confirm": "a token whose confirmation is not in the snapshot stays closed",
        "tokens.add": "a token that is not in the snapshot cannot be made again: only its hash was stored",
        "people.told_of_recording": "gives no access",
        "people.vouched": "read from the log itself",
        "people.openid_accepted": "every sign-in is ended",
        "people.password_accepted": "every sign-in is ended",
        "people.second_factor_missing": "nothing changed",
        "people.sign_in_refused": "nothing changed",
        "people.sign_out": "every sign-in is ended",
        "people.sign_out_everywhere": "every sign-in is ended",
        "accounts.moved": "where the accounts were; the restored ones are in a file",
        "erasure.approved": "the orders to erase are replayed in the index",
        "retention.confirmed": "every confirmation that was not used is deleted",
        "retention.people_swept": "what was deleted after its period is deleted again by the next sweep",
    }
)
"""Acts about accounts that need nothing here, and why."""


@dataclass(slots=True, kw_only=True)
class Closed:
    """What was closed, and what people have to decide.

    Attributes:
        sessions: How many sign-ins were ended.
        closed: Sentences on what was closed.
        decide: Sentences on what people have to do or decide.
    """

    sessions: int = 0
    closed: list[str] = field(default_factory=list)
    decide: list[str] = field(default_factory=list)


def told_by(entries: Iterable[AuditEntry], copied_at: datetime) -> Told:
    """Return what an audit log says of access.

    Args:
        entries: Of `ACTS`, in order.
        copied_at: When the accounts began to be copied, aware.
    """
    told = Told(since=copied_at - SLACK)
    for entry in entries:
        told.take(entry)
    return told


def close_access(home: Home, told: Told, *, is_unsure: bool, now: datetime) -> Closed:
    """Make the accounts, PINs and nodes of a home no wider than the audit log says; safe to run again.

    Args:
        home: A restored home; nothing else uses it.
        told: What its audit log says.
        is_unsure: Entries of the log are missing or unreadable, so that everything they could have closed is closed.
        now: The time, UTC.

    Raises:
        OSError, DatabaseError: The accounts cannot be read or written.
    """
    done = Closed()
    if home.people.exists():
        engine = open_people(home.people)
        try:
            with engine.begin() as connection:
                done.sessions = connection.execute(sa.delete(sessions)).rowcount
                _Closing(connection, told, done, is_unsure=is_unsure, now=now).run()
        finally:
            engine.dispose()
    _close_pins(home, told, done, is_unsure=is_unsure, now=now)
    _close_nodes(home, told, done, is_unsure=is_unsure, now=now)
    return done


class _Closing:
    """The changes of one transaction."""

    def __init__(self, connection: Connection, told: Told, done: Closed, *, is_unsure: bool, now: datetime) -> None:
        self._connection = connection
        self._told = told
        self._done = done
        self._is_unsure = is_unsure
        self._now = now

    def run(self) -> None:
        settle_changes(self._connection, self._now)
        self._remove_accounts()
        for row in self._connection.execute(sa.select(accounts).order_by(accounts.c.name)).mappings().all():
            self._close_account(row)
            self._close_roles(row)
            self._close_teams(row)
        self._close_passwords()
        self._close_factors()
        self._close_identities()
        self._close_appointments()
        self._close_mail()
        self._close_tokens()
        self._close_requests()
        self._close_proposals()
        self._acknowledge()
        closed, decide = bring_cases_back(self._connection, self._told.cases, SLACK)
        self._done.closed += closed
        self._done.decide += decide

    # --- accounts

    def _remove_accounts(self) -> None:
        names = {row["name"]: row for row in self._connection.execute(sa.select(accounts)).mappings()}
        for name, row in names.items():
            added = self._told.added.get(name)
            is_anothers = added is not None and row["created_s"] < (added - SLACK).timestamp()
            if name in self._told.removed or is_anothers:
                for table in BESIDE:
                    self._connection.execute(sa.delete(table).where(table.c.account == name))
                self._connection.execute(sa.delete(accounts).where(accounts.c.name == name))
                self._closed(f"account {name}: removed")
        there = set(self._connection.execute(sa.select(accounts.c.name)).scalars())
        for name, at in sorted(self._told.added.items()):
            if name not in there and at >= self._told.since:
                self._decide(f"account {name} was added after the snapshot: add it again (`recorder users add`)")

    def _close_account(self, row: Any) -> None:  # noqa: ANN401 - a RowMapping
        name = row["name"]
        if name not in self._told.disabled:
            return
        at = self._told.disabled[name]
        if at is None:
            if not is_usable(row, self._now):
                self._decide(f"account {name} was enabled after the snapshot: `recorder users enable {name}`")
        elif row["disabled_s"] is None or row["disabled_s"] > at.timestamp():
            self._update(name, disabled_s=at.timestamp())
            self._closed(f"account {name}: disabled from {at:%Y-%m-%d %H:%M} UTC")

    def _close_roles(self, row: Any) -> None:  # noqa: ANN401 - a RowMapping
        name, before = row["name"], person_of(row).roles
        if name not in self._told.explained.roles:
            return
        explained = self._told.explained.roles[name]
        if taken := before - explained:
            kept = ",".join(sorted(before & explained))
            self._update(name, roles=kept, **power_lost(taken & CONFIRMING, self._now))
            self._closed(f"account {name}: without the roles {', '.join(sorted(taken))}")
        if missing := explained - before:
            self._decide(
                f"account {name} got the roles {', '.join(sorted(missing))} after the snapshot: give them again"
            )

    def _close_teams(self, row: Any) -> None:  # noqa: ANN401 - a RowMapping
        name, there = row["name"], person_of(row).teams
        for (account, team), (answers, at) in sorted(self._told.teams.items()):
            if account != name:
                continue
            if answers:
                if team not in there and at <= self._now:
                    self._decide(f"account {name} got the team {team} after the snapshot: give it again")
                continue
            column = team_changes.c
            later = (column.account == name) & (column.team == team) & (column.is_done == 0)
            given = self._connection.execute(sa.delete(team_changes).where(later & (column.answers == 1)))
            if team in there or given.rowcount:
                plan_change(self._connection, name, team, answers=False, at=at)
                settle_changes(self._connection, self._now)
                self._closed(f"account {name}: without the team {team} from {at:%Y-%m-%d %H:%M} UTC")

    def _close_passwords(self) -> None:
        """Close passwords that were changed since; not those of administrators, if none could sign in otherwise."""
        closes: dict[str, str] = {}
        rows = self._connection.execute(sa.select(accounts).order_by(accounts.c.name)).mappings().all()
        for row in rows:
            at = self._told.passwords.get(row["name"])
            if at is not None and (row["password_set_s"] or 0.0) < (at - _SAME_ACT).timestamp():
                closes[row["name"]] = "was changed after the snapshot"
            elif self._is_unsure:
                closes[row["name"]] = "may have been changed after the snapshot"
        admins = {row["name"] for row in rows if Role.ADMIN in person_of(row).roles and is_usable(row, self._now)}
        kept = admins if admins <= closes.keys() else frozenset()
        for name, why in closes.items():
            if name in kept:
                self._decide(
                    f"administrator {name} keeps the password of the snapshot, although it {why}, because no "
                    "administrator could sign in otherwise: change it at once"
                )
                continue
            self._update(name, password_hash=CLOSED)
            self._closed(f"account {name}: its password")
            self._decide(
                f"account {name} has no password, because it {why}: an administrator sets another one "
                f"(`recorder users password {name}`)"
            )

    def _update(self, name: str, **values: Any) -> None:  # noqa: ANN401 - of the columns
        self._connection.execute(sa.update(accounts).where(accounts.c.name == name).values(**values))

    # --- what stands beside accounts

    def _close_factors(self) -> None:
        for row in self._connection.execute(sa.select(second_factors)).mappings().all():
            name, at = row["account"], self._told.factors.get(row["account"])
            if at is not None and row["enrolled_s"] < (at - _SAME_ACT).timestamp():
                for table in (second_factors, recovery_codes):
                    self._connection.execute(sa.delete(table).where(table.c.account == name))
                self._closed(f"account {name}: its authenticator, which was replaced or removed")
                self._decide(f"account {name} sets up an authenticator at the next sign-in: have it done at once")
        for name in sorted(self._told.spent):
            codes = self._connection.execute(sa.delete(recovery_codes).where(recovery_codes.c.account == name))
            if codes.rowcount:
                self._closed(f"account {name}: its recovery codes, of which one was used up")

    def _close_identities(self) -> None:
        for row in self._connection.execute(sa.select(identities)).mappings().all():
            name, at = row["account"], self._told.identities.get(row["account"])
            is_older = at is not None and row["connected_s"] < (at - _SAME_ACT).timestamp()
            if is_older or self._is_unsure:
                self._connection.execute(sa.delete(identities).where(identities.c.account == name))
                self._closed(f"account {name}: its connection to the identity provider")

    def _close_appointments(self) -> None:
        for row in self._connection.execute(sa.select(deputies)).mappings().all():
            if row["account"] != self._told.explained.deputy or self._is_unsure:
                self._connection.execute(sa.delete(deputies).where(deputies.c.account == row["account"]))
                self._closed(f"the deputy of the data protection officer: {row['account']}")
        if (deputy := self._told.explained.deputy) and not self._connection.execute(sa.select(deputies)).first():
            self._decide(f"{deputy} was the deputy of the data protection officer: name a deputy again")
        for row in self._connection.execute(sa.select(absences)).mappings().all():
            at = self._told.present.get(row["account"])
            if (at is not None and row["since_s"] < at.timestamp()) or self._is_unsure:
                self._connection.execute(sa.delete(absences).where(absences.c.account == row["account"]))
                self._closed(f"the absence of {row['account']}: their requests go to them")

    def _close_mail(self) -> None:
        for name in self._connection.execute(sa.select(mail_addresses.c.account)).scalars().all():
            if name in self._told.mail or self._is_unsure:
                self._connection.execute(sa.delete(mail_addresses).where(mail_addresses.c.account == name))
                self._closed(f"account {name}: its address for mail")
                self._decide(f"account {name} gets no mail until its address is set again")

    # --- tokens, grants, proposals, break-glass

    def _close_tokens(self) -> None:
        open_ = tokens.c.revoked_s.is_(None)
        for name in self._connection.execute(sa.select(tokens.c.name).where(open_)).scalars().all():
            waits = tokens.c.proposal.is_not(None)
            is_waiting = self._connection.execute(sa.select(tokens.c.name).where(tokens.c.name == name, waits)).first()
            if name in self._told.revoked or self._is_unsure or is_waiting is not None:
                mine = tokens.c.name == name
                self._connection.execute(sa.update(tokens).where(mine).values(revoked_s=self._now.timestamp()))
                self._closed(f"token {name}: revoked")
                if name not in self._told.revoked:
                    self._decide(f"token {name} is closed: make another one if it is needed")

    def _close_requests(self) -> None:
        granted = str(RequestState.GRANTED)
        for row in self._connection.execute(sa.select(requests)).mappings().all():
            state, by, at = self._told.requests.get(row["id"], (RequestState(row["state"]), "", self._now))
            if state is RequestState.GRANTED and row["state"] != granted:
                self._decide(f"request {row['id']} of {row['account']} was granted after the snapshot: decide it again")
                continue
            if self._is_unsure and row["state"] == granted and (row["until_s"] or 0.0) > self._now.timestamp():
                state, by = RequestState.WITHDRAWN, "restore"
            if str(state) != row["state"]:
                values = {"state": str(state), "decided_by": by, "decided_s": at.timestamp(), "until_s": None}
                self._connection.execute(sa.update(requests).where(requests.c.id == row["id"]).values(**values))
                self._closed(f"request {row['id']} of {row['account']}: {state}")

    def _close_proposals(self) -> None:
        waits = proposals.c.state == str(ProposalState.WAITING)
        values = {"state": str(ProposalState.DECLINED), "decided_s": self._now.timestamp(), "password_hash": None}
        found = self._connection.execute(sa.update(proposals).where(waits).values(**values)).rowcount
        if found:
            self._closed(f"proposals that waited for a second person: {found}")
            self._decide(f"{found} proposals that waited were declined: propose again what is still wanted")
        self._connection.execute(sa.delete(sweep_consents).where(sweep_consents.c.used_s.is_(None)))

    def _acknowledge(self) -> None:
        for name, (by, at) in sorted(self._told.acknowledged.items()):
            mine = (break_glass.c.id == name) & break_glass.c.acknowledged_s.is_(None) & (break_glass.c.account != by)
            values = {"acknowledged_by": by, "acknowledged_s": at.timestamp()}
            self._connection.execute(sa.update(break_glass).where(mine).values(**values))
        there = set(self._connection.execute(sa.select(break_glass.c.id)).scalars())
        for name, heard in sorted(self._told.explained.heard.items()):
            if name not in there and name not in self._told.explained.acknowledged and heard.at >= self._told.since:
                self._decide(f"{heard.account} heard {heard.recording} by break-glass, and nobody has acknowledged it")

    def _closed(self, sentence: str) -> None:
        self._done.closed.append(sentence)

    def _decide(self, sentence: str) -> None:
        self._done.decide.append(sentence)


def _close_pins(home: Home, told: Told, done: Closed, *, is_unsure: bool, now: datetime) -> None:
    """Remove the PINs that were set or removed since, and those of people who may use none any more."""
    pins = PinFile(home.pins)
    try:
        names = pins.names() if home.pins.exists() else frozenset()
    except PinError:
        home.pins.unlink()
        done.closed.append("every PIN: the file of PINs was damaged")
        return
    disabled = {name for name, at in told.disabled.items() if at is not None and at <= now}
    for name in sorted(names):
        if is_unsure or name in (told.pins | disabled | told.removed):
            pins.remove(name)
            done.closed.append(f"account {name}: its PIN")
            done.decide.append(f"account {name} has no PIN: set one if it is needed (`recorder users pin {name}`)")


def _close_nodes(home: Home, told: Told, done: Closed, *, is_unsure: bool, now: datetime) -> None:
    """Revoke again the certificates of nodes that were removed; a key holder with nodes only."""
    if not has_nodes(home):
        return
    try:
        expelled = expel_again(home, told.nodes, told.gone, now) if told.nodes else []
        left = [name for name, one in read_records(home).items() if one.removed_at is None]
    except (StorageError, OSError, ValueError) as error:
        names = ", ".join(sorted(told.gone)) or "no node that is known"
        done.decide.append(f"the keys of nodes cannot be used ({error}): remove again {names}")
        return
    done.closed += [f"node {name}: its certificates, and its place in the key list" for name in expelled]
    if is_unsure and left:
        done.decide.append(
            f"a node may have been removed since: look whether {', '.join(left)} are still nodes of the site "
            "(`recorder nodes remove NODE`)"
        )


def _moment(value: object) -> datetime | None:
    return time_from_json(value) if isinstance(value, str) else None
