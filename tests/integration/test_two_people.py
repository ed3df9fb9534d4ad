"""Two accounts that only one person vouched for are not two people: tried at the shell and over HTTP (P11)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recorder.access.database import AuditNote
from recorder.access.listening.appointing import acknowledge, break_glass
from recorder.access.listening.asking import ask, decide
from recorder.common.problems import ProblemError
from recorder.data_subjects import casework
from recorder.permissions import DeniedError
from recorder.retention.restricting import ClaimChange, ClaimWish, change_claim, write_claim
from recorder.retention.rights import ClaimEvent
from recorder.retention.sweep_consent import Consent, check_consent
from recorder.retention.sweep_safeguards import Stop
from recorder.rules.cases import CaseEvent, CaseKind
from recorder.rules.requesting import Category, RequestWish
from storage.retention_types import Right
from storage.types import RecordingId
from tests.helpers.accounts import PASSWORD
from tests.helpers.console_site import Console, console_site, refused, signed_in
from tests.helpers.recorder_commands import must, run
from tests.helpers.storage_home import ID

WHY = "the card number is read out"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    with console_site(tmp_path, is_daemon_up=False) as running:
        running.home.config.write_text('[console]\nsecond_factor = "off"\n')
        yield running


def shell(console: Console, name: str, *words: str) -> tuple[str, ...]:
    return (*words, "-C", str(console.home.root), "--as", name, "--password-file", str(secret(console)))


def secret(console: Console) -> Path:
    return console.home.root.parent / "password"


def make(console: Console, name: str, *more: str, by: str = "admin") -> None:
    """Have an administrator add a manager at the shell."""
    words = ("users", "add", name, "--role", "manager", "--new-password-file", str(secret(console)), *more)
    must(*shell(console, by, *words))


def order(console: Console, by: str) -> str:
    with signed_in(console, by) as browser:
        wish = {"from_s": 0.0, "to_s": 2.0, "kind": "card_data", "reason": WHY}
        answer = browser.post(f"/api/recordings/{ID}/erase", json=wish)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def confirmed(console: Console, by: str, one: str) -> str:
    """Confirm an order; returns the refusal, empty if it was not refused."""
    with signed_in(console, by) as browser:
        answer = browser.post(f"/api/erasures/{one}/confirm", json={"reason": WHY})
    return "" if answer.status_code == 200 else refused(answer, 403)


@pytest.fixture
def twins(console: Console) -> Console:
    """A site where one administrator made two managers of a team."""
    index = console.deps.copy_repositories.index
    index.save(replace(index.get(ID), team="Revenues"))
    for name in ("mia", "max"):
        make(console, name, "--team", "Revenues")
    return console


def test_two_managers_of_one_maker_do_not_erase(twins: Console) -> None:
    one = order(twins, "mia")
    said = confirmed(twins, "max", one)
    assert "Only admin vouched for mia and max" in said
    assert "recorder users vouch max" in said, "it says what to do"
    with signed_in(twins, "max") as browser:
        (listed,) = browser.get("/api/erasures").json()["erasures"]
        assert listed["state"] == "waiting"
    assert confirmed(twins, "revenues", one) == "", "somebody from before this was noted is another person"


def test_another_person_vouches_for_one_of_them_and_it_goes_on(twins: Console) -> None:
    one = order(twins, "mia")
    assert "You vouched for max already" in run(*shell(twins, "admin", "users", "vouch", "max")).stderr
    assert "not allow" in run(*shell(twins, "mia", "users", "vouch", "max")).stderr
    assert "Nobody needs to vouch" in run(*shell(twins, "dpo", "users", "vouch", "revenues")).stderr
    must(*shell(twins, "dpo", "users", "vouch", "max"))
    assert [(entry.actor, entry.subject) for entry in twins.entries("people.vouched")] == [("dpo", "max")]
    assert confirmed(twins, "max", one) == ""


def test_an_account_that_was_removed_is_remembered(twins: Console) -> None:
    one = order(twins, "mia")
    must(*shell(twins, "admin", "users", "disable", "mia"))
    must(*shell(twins, "admin", "users", "remove", "mia", "--yes"))
    assert "Only admin vouched" in confirmed(twins, "max", one)


def test_who_removes_an_authenticator_could_be_its_user(twins: Console) -> None:
    must(*shell(twins, "dpo", "users", "vouch", "max"))
    twins.enter(AuditNote(act="people.second_factor_removed", subject="max", details={"vouched_by": ["admin"]}))
    assert "Only admin vouched" in confirmed(twins, "max", order(twins, "mia"))


def test_who_sets_the_only_secret_of_an_account_could_be_its_user(twins: Console) -> None:
    must(*shell(twins, "admin", "users", "password", "revenues", "--new-password-file", str(secret(twins))))
    said = confirmed(twins, "revenues", order(twins, "mia"))
    assert "Only admin vouched for mia and revenues" in said
    must(*shell(twins, "mia", "users", "password", "mia", "--new-password-file", str(secret(twins))))
    assert twins.deps.people.vouched().by["mia"] == {"admin"}, "one's own new password says nothing about who it is"


def test_who_connects_an_account_to_an_identity_could_be_its_user(twins: Console) -> None:
    openid = 'issuer = "https://id.council.example"\nclient_id = "recorder"\nconsole_url = "http://127.0.0.1:8080"\n'
    twins.home.config.write_text(f"{twins.home.config.read_text()}[openid]\n{openid}")
    must(*shell(twins, "admin", "users", "connect", "revenues", "--subject", "whoever-signs-in-there"))
    said = confirmed(twins, "revenues", order(twins, "mia"))
    assert "Only admin vouched for mia and revenues" in said
    by_claim = AuditNote(act="people.connected", subject="benefits", details={"by": "provider"})
    twins.enter(by_claim)
    twins.enter(replace(by_claim, details={"by": "benefits"}))
    assert "benefits" not in twins.deps.people.vouched().by, "its owner's, or the provider's claim"


def test_a_request_is_not_granted_by_the_only_one_who_vouched_for_its_author(twins: Console) -> None:
    hearing = twins.deps.hearing
    twins.enter(AuditNote(act="people.add", subject="mia", details={"roles": ["manager"], "vouched_by": ["lead"]}))
    wish = RequestWish(recordings=(RecordingId(ID),), category=Category.COMPLAINT, reason="what was said")
    waiting = ask(hearing, twins.person("mia"), wish)
    with pytest.raises(ProblemError, match="Only lead vouched for mia"):
        decide(hearing, twins.person("lead"), waiting.id, granted=True)
    decide(hearing, twins.person("lead"), waiting.id, granted=False, words="not needed for this")


def test_break_glass_claims_and_cases_take_two_people_too(twins: Console) -> None:
    hearing = twins.deps.hearing
    for name in ("ict", "dpo", "lead"):
        twins.enter(AuditNote(act="people.add", subject=name, details={"roles": [name.replace("lead", "team_leader")],
                                                                      "vouched_by": ["admin"]}))  # fmt: skip
    heard = break_glass(hearing, twins.person("ict"), RecordingId(ID), WHY, enter=lambda _: None)
    with pytest.raises(ProblemError, match="Only admin vouched for ict and dpo"):
        acknowledge(hearing, twins.person("dpo"), heard.id)
    claims = casework.claim_repositories(twins.deps.cases)
    wish = ClaimWish(right=Right.ERASURE, ground="no_longer_needed", requester="J. Doe", reason="it is not needed")
    claim = write_claim(claims, twins.person("lead"), ID, wish)
    with pytest.raises(ProblemError, match="Only admin vouched for lead and dpo"):
        change_claim(claims, twins.person("dpo"), claim.id, ClaimChange(event=ClaimEvent.UPHOLD, words="it is so"))
    case = casework.open_case(
        twins.deps.cases, twins.person("lead"), kind=CaseKind.SUBJECT_ACCESS, requester="J. Doe", form="letter", text=""
    )
    with pytest.raises(ProblemError, match="Only admin vouched for lead and dpo"):
        casework.add_event(
            twins.deps.cases,
            twins.person("dpo"),
            case.id,
            CaseEvent.DECIDED,
            text="none",
            details={"decision": "refuse"},
        )
    approvers = hearing.approvers
    first = Consent(id="0a0a0a0a", what=Stop.SHARE, due=3, first_by="lead", first_at=datetime.now(UTC))
    with pytest.raises(DeniedError, match="Only admin vouched for lead and dpo"):
        check_consent(twins.person("dpo"), approvers, first)


def test_a_proposal_is_not_confirmed_by_who_only_its_author_vouched_for(twins: Console) -> None:
    twins.enter(AuditNote(act="people.add", subject="dpo", details={"roles": ["dpo"], "vouched_by": ["admin"]}))
    must(*shell(twins, "admin", "users", "add-role", "max", "--role", "team_leader", "--reason", "she takes over"))
    (proposal,) = twins.deps.proposals.waiting()
    said = run(*shell(twins, "dpo", "proposals", "confirm", proposal.id)).stderr
    assert "Only admin vouched for dpo" in said
    assert "recorder users vouch dpo" in said
    assert run(*shell(twins, "dpo", "proposals", "decline", proposal.id)).returncode == 0


def test_the_first_people_of_a_site_count(twins: Console) -> None:
    """While nobody else could confirm, one administrator gives a powerful role: a site begins with one account."""
    founded = {"roles": ["dpo"], "alone": True}
    twins.enter(AuditNote(act="people.add", subject="dpo", details={"roles": [], "vouched_by": ["admin"]}))
    assert twins.deps.people.vouched().maker_of("dpo") == "admin"
    twins.enter(AuditNote(act="people.granted", subject="dpo", details=founded))
    assert twins.deps.people.vouched().problem("admin", "dpo") is None


def test_a_role_by_two_people_vouches(twins: Console) -> None:
    must(*shell(twins, "admin", "users", "add-role", "max", "--role", "team_leader", "--reason", "she takes over"))
    (proposal,) = twins.deps.proposals.waiting()
    must(*shell(twins, "dpo", "proposals", "confirm", proposal.id))
    assert twins.deps.people.vouched().by == {"mia": {"admin"}, "max": {"admin", "dpo"}}
