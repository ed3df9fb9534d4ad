"""What was closed after a snapshot stays closed in what is restored from it: accounts, roles, tokens, grants, PINs."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from recorder.access.accounts import People, SignedIn
from recorder.access.database import AuditNote, open_people
from recorder.access.listening.appointments import Appointments
from recorder.access.pins import Costs, PinFile
from recorder.access.proposals import Proposals
from recorder.access.removal import check_removable, remove_account
from recorder.access.signing import ensure_key
from recorder.access.tables import (
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
)
from recorder.access.tokens import TokenRefused, Tokens
from recorder.access.tokens import keep as keep_token
from recorder.backups import closing
from recorder.backups.restore import Restored
from recorder.common.home import Home
from recorder.data_subjects.case_repository import CaseRepository
from recorder.permissions import Act, Role, Scope
from recorder.recordings.replay import NOT_STATE
from recorder.rules.cases import CaseEntry, CaseEvent
from recorder.site_keys.key_list import revoked_serials
from recorder.site_keys.membership import admit, plan_admission
from recorder.site_keys.node_request import make_request, read_request
from recorder.site_keys.publishing import stored_list
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.backup_site import LATER, BackupSite
from tests.helpers.sweep_site import NOW

DAY = timedelta(days=1)
OLD = NOW - 30 * DAY
REQUEST, EMERGENCY = "aaaa1111", "bbbb2222"
_ENTRY = {"account": "mara", "category": "complaint", "reason": "", "leave": "listen", "reference": "", "words": ""}


class AccessSite(BackupSite):
    """A site with accounts: adam and ada (admin), dora (DPO), lena and mara (lead teams), olive (officer)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.now = OLD
        self.book = self.people_of(self.home)
        for name, roles, teams in (
            ("adam", {Role.ADMIN}, ()), ("ada", {Role.ADMIN}, ()), ("dora", {Role.DPO}, ()),
            ("lena", {Role.TEAM_LEADER}, ()), ("mara", {Role.MANAGER}, ("Revenues", "Benefits")),
            ("olive", {Role.OFFICER}, ()), ("nora", {Role.OFFICER}, ()),
        ):  # fmt: skip
            self.note(self.book.add(name, PASSWORD, roles=roles, teams=teams))
        self.token = self._make_token()
        at = OLD.timestamp()
        self.write(second_factors, account="mara", secret="sealed", last_step=1, enrolled_s=at)
        self.write(recovery_codes, code_hash="sealed", account="mara")
        self.write(identities, account="olive", issuer="i", subject="s", connected_s=at, connected_by="olive")
        self.write(mail_addresses, account="mara", address="mara@example.org")
        until = (NOW + 30 * DAY).timestamp()
        decided = {"state": "granted", "decided_by": "lena", "decided_s": at, "until_s": until}
        self.write(requests, id=REQUEST, **_ENTRY, asked_s=at, **decided)
        self.write(requests, id="cccc3333", **_ENTRY, asked_s=at, state="waiting")
        self.write(
            proposals, id="dddd4444", account="olive", change="grant", roles="dpo", reason="", proposed_by="adam",
            proposed_s=at, until_s=until, state="waiting",
        )  # fmt: skip
        self.write(break_glass, id=EMERGENCY, account="nora", recording="r", reason="", at_s=at, until_s=at + 1800)
        self.write(sweep_consents, id="e", what="calls", due=1, first_by="dora", first_s=at)
        self.write(sessions, secret_hash="h", account="mara", csrf="c", created_s=at, seen_s=at)
        Appointments(self.engine, now=lambda: self.now).mark_absent("lena", by="dora")
        self.audit.append(str(Act.NAME_DEPUTY), "lena", "ada", {"proposal": "p", "proposed_by": "adam"})
        self.write(deputies, account="ada", since_s=at, named_by="adam", confirmed_by="lena")
        self.pins_of(self.home).set(self.person("mara"), "482913")
        ensure_key(self.home.root)
        self.serials = {name: self._add_node(name) for name in ("north", "south")}
        self.now = NOW

    @property
    def engine(self) -> Engine:
        return open_people(self.home.people)

    def people_of(self, home: Home) -> People:
        return People(open_people(home.people), now=lambda: self.now, hasher=CHEAP)

    @staticmethod
    def pins_of(home: Home) -> PinFile:
        return PinFile(home.pins, costs=Costs(passes=1, memory_kib=8))

    def _make_token(self) -> str:
        made = Tokens(self.engine, now=lambda: self.now).prepare("wall", scopes=[Scope.RECORDINGS_READ])
        with self.engine.begin() as connection:
            keep_token(connection, made.row, now=self.now)
        self.note(made.note)
        return made.secret

    def _add_node(self, name: str) -> int:
        request, _ = make_request(Home(self.folder / name), name, None, self.now)
        certificate, _ = admit(
            self.home, plan_admission(self.home, read_request(request), {}), site="Town", by="adam", now=self.now
        )
        self.audit.append("node.added", "adam", name, {})
        return certificate.serial_number

    def person(self, name: str) -> Any:
        return self.book.find(name)

    def write(self, table: sa.Table, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.insert(table).values(**values))

    def note(self, note: AuditNote, actor: str = "adam") -> None:
        self.audit.append(note.act, actor, note.subject, dict(note.details))

    def entry(self, act: str, subject: str, actor: str = "adam", **details: object) -> None:
        self.audit.append(act, actor, subject, details)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[AccessSite]:
    made = AccessSite(tmp_path)
    try:
        yield made
    finally:
        made.close()


class Opened:
    """The restored home, asked as the console would."""

    def __init__(self, site: AccessSite, done: Restored) -> None:
        self.home = Home(site.folder / "restored")
        self.site = site
        self.closed, self.decide = done.settled.access.closed, done.settled.access.decide
        self.site.now = LATER
        self.people = site.people_of(self.home)

    def signs_in(self, name: str) -> bool:
        return isinstance(self.people.verify(name, PASSWORD), SignedIn)

    def rows(self, table: sa.Table, **values: object) -> list[Any]:
        query = sa.select(table).where(*(table.c[name] == value for name, value in values.items()))
        with open_people(self.home.people).begin() as connection:
            return list(connection.execute(query).mappings())

    def is_token_good(self) -> bool:
        known = Tokens(open_people(self.home.people), now=lambda: LATER).identify(self.site.token, "127.0.0.1")
        return not isinstance(known, TokenRefused)

    def nodes(self) -> set[str]:
        """Return the nodes whose certificates are good and that the key list has."""
        listed = stored_list(self.home)
        assert listed is not None
        revoked = revoked_serials(listed.content)
        good = {name for name, serial in self.site.serials.items() if serial not in revoked}
        return {name for name in good if listed.content.nodes[name]["removed_at"] is None}

    def pins(self) -> frozenset[str]:
        return self.site.pins_of(self.home).names()


def remove(site: AccessSite) -> None:
    site.note(site.book.disable("nora"))
    site.note(check_removable(site.engine, "nora", site.now))
    remove_account(site.engine, "nora")


def add_again(site: AccessSite) -> None:
    remove(site)
    with site.engine.begin() as connection:
        connection.execute(sa.delete(break_glass))
    site.note(site.book.add("nora", "another good password", roles={Role.OFFICER}))


def revoke_role(site: AccessSite) -> None:
    site.entry("people.revoked", "dora", roles=["dpo"])


def set_password(site: AccessSite) -> None:
    site.note(site.book.set_password("mara", "a rather new password"), "mara")


def set_planned(site: AccessSite) -> None:
    site.note(site.book.set_team("mara", "Benefits", answers=False, from_=LATER - timedelta(minutes=1)))


def remove_node_and_add_it(site: AccessSite) -> None:
    site.entry("node.removed", "north", serials=[f"{site.serials['north']:x}"])
    site.entry("node.added", "north", is_renewed=True)


Check = Callable[[Opened], bool]
CLOSED: dict[str, tuple[Callable[[AccessSite], None], Check]] = {
    "people.disable": (
        lambda site: site.note(site.book.disable("olive")), lambda new: not new.signs_in("olive")
    ),
    "people.disable, planned": (
        lambda site: site.note(site.book.disable("olive", from_=LATER - timedelta(minutes=1))),
        lambda new: not new.signs_in("olive"),
    ),
    "people.remove": (remove, lambda new: new.rows(accounts, name="nora") == []),
    "people.add": (add_again, lambda new: new.rows(accounts, name="nora") == []),
    "people.revoked": (revoke_role, lambda new: new.rows(accounts, name="dora")[0]["roles"] == ""),
    "people.set_team": (
        lambda site: site.note(site.book.set_team("mara", "Revenues", answers=False)),
        lambda new: (found := new.people.find("mara")) is not None and found.teams == ("Benefits",),
    ),
    "people.set_team, planned": (
        set_planned, lambda new: (found := new.people.find("mara")) is not None and found.teams == ("Revenues",)
    ),
    "people.set_password": (
        set_password,
        lambda new: not new.signs_in("mara") and any("mara has no password" in one for one in new.decide),
    ),
    "people.second_factor_removed": (
        lambda site: site.entry("people.second_factor_removed", "mara"),
        lambda new: new.rows(second_factors) == [] and new.rows(recovery_codes) == [],
    ),
    "people.second_factor_set": (
        lambda site: site.entry("people.second_factor_set", "mara", "mara"), lambda new: new.rows(second_factors) == []
    ),
    "people.second_factors_lost": (
        lambda site: site.entry("people.second_factors_lost", "", accounts=["mara"]),
        lambda new: new.rows(second_factors) == [],
    ),
    "people.sign_in": (
        lambda site: site.entry("people.sign_in", "mara", "mara", second_factor="recovery_code"),
        lambda new: new.rows(recovery_codes) == [] and len(new.rows(second_factors)) == 1,
    ),
    "people.disconnected": (
        lambda site: site.entry("people.disconnected", "olive"), lambda new: new.rows(identities) == []
    ),
    "people.connected": (
        lambda site: site.entry("people.connected", "olive", issuer="i", identity="another"),
        lambda new: new.rows(identities) == [],
    ),
    "people.set_pin": (lambda site: site.entry("people.set_pin", "mara"), lambda new: new.pins() == frozenset()),
    "people.remove_pin": (lambda site: site.entry("people.remove_pin", "mara"), lambda new: new.pins() == frozenset()),
    "people.mail_address": (
        lambda site: site.entry("people.mail_address", "mara"), lambda new: new.rows(mail_addresses) == []
    ),
    "people.back": (
        lambda site: site.entry("people.back", "lena", "dora"),
        lambda new: Appointments(open_people(new.home.people), now=lambda: LATER).absent() == frozenset(),
    ),
    "people.deputy": (lambda site: site.entry("people.deputy", "", "dora"), lambda new: new.rows(deputies) == []),
    "tokens.revoke": (
        lambda site: site.note(Tokens(site.engine, now=lambda: site.now).revoke("wall")),
        lambda new: not new.is_token_good(),
    ),
    "request.withdrawn": (
        lambda site: site.entry("request.withdrawn", "cccc3333", "mara"),
        lambda new: new.rows(requests, id="cccc3333")[0]["state"] == "withdrawn",
    ),
    "request.declined": (
        lambda site: site.entry("request.declined", "cccc3333", "lena", account="mara"),
        lambda new: new.rows(requests, id="cccc3333")[0]["state"] == "declined",
    ),
    "node.removed": (
        lambda site: site.entry("node.removed", "north", serials=[f"{site.serials['north']:x}"]),
        lambda new: new.nodes() == {"south"},
    ),
    "node.removed, and added again": (remove_node_and_add_it, lambda new: new.nodes() == {"south"}),
    "break_glass.acknowledge": (
        lambda site: site.entry("break_glass.acknowledge", EMERGENCY, "dora", account="nora"),
        lambda new: new.rows(break_glass, id=EMERGENCY)[0]["acknowledged_by"] == "dora",
    ),
}  # fmt: skip


@pytest.mark.parametrize("act", CLOSED)
def test_what_was_closed_after_the_snapshot_stays_closed(site: AccessSite, act: str) -> None:
    site.back_up()
    site.now += timedelta(minutes=10)
    do, is_closed = CLOSED[act]
    do(site)
    assert site.follow() == ""
    new = Opened(site, site.restore())
    assert is_closed(new), (new.closed, new.decide)
    assert new.rows(sessions) == []


def test_what_was_closed_before_the_accounts_were_copied_is_not_closed_twice(site: AccessSite) -> None:
    set_password(site)
    site.now += timedelta(minutes=10)
    site.at = site.now
    site.back_up()
    new = Opened(site, site.restore())
    assert isinstance(new.people.verify("mara", "a rather new password"), SignedIn)
    assert [one for one in new.closed if "mara" in one] == []


def test_what_nobody_closed_stays_open_but_for_what_waits_for_a_second_person(site: AccessSite) -> None:
    site.back_up()
    new = Opened(site, site.restore())
    assert all(new.signs_in(name) for name in ("adam", "dora", "lena", "mara", "olive"))
    assert new.is_token_good()
    assert new.pins() == {"mara"}
    assert new.nodes() == {"north", "south"}
    assert new.rows(requests, id=REQUEST)[0]["state"] == "granted"
    assert (len(new.rows(deputies)), len(new.rows(identities)), len(new.rows(mail_addresses))) == (1, 1, 1)
    assert new.rows(proposals)[0]["state"] == "declined"
    assert new.rows(sweep_consents) == []
    assert [one.split(":")[0] for one in new.closed] == ["proposals that waited for a second person"]


@pytest.mark.parametrize(
    ("act", "subject", "details", "sentence"),
    [
        ("people.granted", "olive", {"roles": ["manager"]}, "olive got the roles manager after the snapshot"),
        ("people.set_team", "mara", {"team": "Housing", "answers": True}, "mara got the team Housing after"),
        ("request.granted", "cccc3333", {"account": "mara", "until": None}, "cccc3333 of mara was granted after"),
        ("people.deputy", "nora", {"proposal": "q", "proposed_by": "ada"}, "nora was the deputy"),
        ("people.add", "zoe", {"roles": ["officer"]}, "zoe was added after the snapshot"),
    ],
)
def test_what_was_given_after_the_snapshot_is_left_to_people(
    site: AccessSite, act: str, subject: str, details: dict[str, object], sentence: str
) -> None:
    site.back_up()
    site.now += timedelta(minutes=10)
    site.audit.append(act, "adam", subject, details)
    assert site.follow() == ""
    new = Opened(site, site.restore())
    assert any(sentence in one for one in new.decide), new.decide
    assert new.rows(accounts, name="olive")[0]["roles"] == "officer"
    assert new.rows(requests, id="cccc3333")[0]["state"] == "waiting"
    assert new.rows(accounts, name="mara")[0]["teams"] == "Revenues,Benefits"


def test_where_the_log_cannot_say_everything_is_closed(site: AccessSite) -> None:
    site.back_up()
    site.now += timedelta(minutes=10)
    site.entry("people.of_a_newer_version", "mara")
    assert site.follow() == ""
    new = Opened(site, site.restore())
    assert not any(new.signs_in(name) for name in ("dora", "lena", "mara", "olive"))
    assert new.signs_in("adam"), "somebody has to set passwords"
    assert not new.is_token_good()
    assert new.pins() == frozenset()
    assert new.rows(requests, id=REQUEST)[0]["state"] == "withdrawn"
    assert new.rows(identities) == new.rows(deputies) == new.rows(mail_addresses) == []
    assert any("mara has no password, because it may have been changed" in one for one in new.decide)
    assert any("adam keeps the password of the snapshot" in one for one in new.decide)
    assert any("look whether north, south are still nodes" in one for one in new.decide)


def test_an_administrator_sets_a_password_alone_while_nobody_else_can_sign_in(site: AccessSite) -> None:
    site.back_up()
    site.now += timedelta(minutes=10)
    for name in ("ada", "dora", "lena"):
        site.entry("people.set_password", name, name)
    assert site.follow() == ""
    new = Opened(site, site.restore())
    assert (new.signs_in("adam"), new.signs_in("ada"), new.signs_in("dora")) == (True, False, False)
    known = Proposals(open_people(new.home.people), now=lambda: LATER)
    password_hash = new.people.hash_of("dora", "a rather new password")
    entered: list[AuditNote] = []
    _, waits = known.set_password("adam", "dora", password_hash, reason="after the restore", enter=entered.append)
    assert waits is None
    assert entered[0].details == {"alone": True}
    assert isinstance(new.people.verify("dora", "a rather new password"), SignedIn)


CASE = "SAR-2026-0001"


def work(site: AccessSite, case: str, *steps: tuple[str, str], is_stored: bool) -> None:
    """Write entries of a case into the log and, unless that was lost, the accounts."""
    cases = CaseRepository(site.engine, now=lambda: site.now)
    for number, (step, by) in enumerate(steps):
        details = {"kind": "sar"} if step == "opened" else {}
        site.entry(f"case.{step}", case, by, **details, on="2026-11-20")
        if is_stored:
            entry = CaseEntry(
                step=CaseEvent(step),
                at=site.now,
                by=by,
                on=date(2026, 11, 20),
                details={**details, "requester": "J. Doe"},
            )
            cases.append(case, number, entry)


def test_a_doubt_that_was_raised_after_the_snapshot_stays_and_other_entries_are_named(site: AccessSite) -> None:
    work(site, CASE, ("opened", "lena"), ("identity_checked", "lena"), is_stored=True)
    site.now += timedelta(minutes=10)
    site.at = site.now
    site.back_up()
    site.now += timedelta(minutes=10)
    work(site, CASE, ("noted", "lena"), ("identity_doubted", "mara"), is_stored=False)
    work(site, "SAR-2026-0002", ("opened", "lena"), ("identity_checked", "lena"), is_stored=False)
    site.entry("case.noted", CASE, "dora")
    site.entry("case.noted.not_stored", CASE, "dora")
    assert site.follow() == ""
    new = Opened(site, site.restore())
    cases = CaseRepository(open_people(new.home.people), now=lambda: LATER)
    one, two = cases.get(CASE), cases.get("SAR-2026-0002")
    assert one is not None and two is not None
    assert (one.is_in_doubt, one.requester) == (True, "J. Doe")
    assert one.doubted_by == {"mara"}
    assert (two.opened_by, two.is_identified, two.course.received_on) == ("lena", False, date(2026, 11, 20))
    assert cases.next_id(two.kind, 2026) == "SAR-2026-0003", "no reference is given twice"
    (first, second) = (one for one in new.decide if one.startswith("case"))
    assert first.endswith("(noted by lena)")
    assert second.endswith("(identity checked by lena)")


def test_a_doubt_that_was_lifted_again_and_what_is_in_the_snapshot_are_left(site: AccessSite) -> None:
    work(site, CASE, ("opened", "lena"), ("noted", "lena"), is_stored=True)
    site.back_up()
    work(site, "SAR-2026-0002", ("opened", "lena"), is_stored=True)
    site.now += timedelta(minutes=10)
    work(site, CASE, ("identity_doubted", "mara"), ("identity_checked", "dora"), is_stored=False)
    assert site.follow() == ""
    new = Opened(site, site.restore())
    one = CaseRepository(open_people(new.home.people), now=lambda: LATER).get(CASE)
    assert one is not None
    assert (len(one.entries), one.is_in_doubt) == (2, False)
    assert any("(identity doubted by mara, identity checked by dora)" in one for one in new.decide)


def test_every_act_about_accounts_is_replayed_or_needs_nothing() -> None:
    about = {act for act, why in NOT_STATE.items() if "recorder.backups.closing" in why and not act.startswith("case.")}
    assert about - set(closing.ACTS) - set(closing.LEFT) == set()
    assert set(closing.ACTS) & set(closing.LEFT) == set()
    tried = {act.partition(",")[0] for act in CLOSED}
    cases = {act for act in closing.ACTS if act.startswith("case.")}  # tried in tests of their own
    given = cases | {
        "node.added",
        "people.granted",
        "people.enable",
        "people.resealed",
        "request.granted",
        "recording.play",
    }
    assert set(closing.ACTS) - tried == given, "each act that closes is tried above"
