"""Restriction, objection and erasure: on the pages and at the shell; what is restricted is kept and not used."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from recorder.common.problems import ProblemError
from recorder.data_subjects import casework
from recorder.permissions import Role
from recorder.recordings.replay import replay
from recorder.retention.erasing import order_erasure
from recorder.retention.holding import place_hold, release_hold
from recorder.retention.restricting import ClaimChange, ClaimRepositories, ClaimWish, change_claim, write_claim
from recorder.retention.rights import ClaimEvent
from recorder.rules.holds import GRACE, HoldWish
from storage.claim_journal import asked_details, asked_text, changed_details
from storage.claims import Claims
from storage.hold_journal import UNSETTLED, steady
from storage.retention_types import Claim, ClaimState, ErasureKind, ErasureOrder, HoldKind, Right
from storage.types import RecordingId
from tests.helpers.accounts import PASSWORD, Clock, appoint_deputy
from tests.helpers.console_site import Console, console_site, signed_in
from tests.helpers.recorder_home import RecorderHome, recorder_home
from tests.helpers.storage_home import ID
from tests.helpers.sweep_site import GONE, NOW, PRESENT, SweepSite

GHOST = "20261124T093000Z-2001-ffffff"
FORM = {
    "recording": ID, "ground": "restriction/accuracy", "requester": "J. Doe", "reason": "that is not what I said",
}  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 25, 9, 0, tzinfo=UTC))


@pytest.fixture
def console(tmp_path: Path, clock: Clock) -> Iterator[Console]:
    with console_site(tmp_path, now=clock, is_daemon_up=False) as running:
        yield running


def repos(console: Console) -> ClaimRepositories:
    return casework.claim_repositories(console.deps.cases)


def only(console: Console) -> Claim:
    (claim,) = repos(console).claims.of_recording(RecordingId(ID))
    return claim


def wish(right: Right = Right.RESTRICTION, ground: str = "accuracy", **more: str) -> ClaimWish:
    return ClaimWish(right=right, ground=ground, **{"requester": "J. Doe", "reason": "in their words", **more})  # type: ignore[arg-type]


def changed(console: Console, claim: Claim, event: ClaimEvent, by: str = "dpo", **how: object) -> Claim:
    step = ClaimChange(event=event, words="looked into it", **how)  # type: ignore[arg-type]
    return change_claim(repos(console), console.person(by), claim.id, step)


def refused(act: Callable[[], object], status: int) -> str:
    with pytest.raises(ProblemError) as caught:
        act()
    assert caught.value.status == status, caught.value.detail
    return caught.value.detail


def test_a_restriction_from_the_request_to_its_end(console: Console, clock: Clock) -> None:
    console.give_leave("officer")
    with signed_in(console, "lead") as lead, signed_in(console, "dpo") as dpo, signed_in(console, "officer") as officer:
        found = re.search(r'src="(/recordings/[^"]+/audio/[^"]+)"', officer.submit(f"/recordings/{ID}/play").text)
        assert found is not None
        address = found[1]
        assert lead.submit("/rights", **FORM).status_code == 303
        claim = only(console)
        assert "This recording is restricted." in officer.get(f"/recordings/{ID}").text
        assert "J. Doe" not in officer.get(f"/recordings/{ID}").text
        for answer in (
            officer.submit(f"/recordings/{ID}/play"),
            officer.get(address),  # leave that was given before opens nothing either
            officer.submit(f"/recordings/{ID}/export", reason="a copy", format="wav"),
            officer.post(f"/api/recordings/{ID}/export", json={"reason": "a copy", "format": "wav"}),
        ):
            assert answer.status_code == 409, answer.text
            assert "restricted" in answer.text
        assert console.deps.index.get(ID).holds == ("restriction",)
        path = f"/rights/{claim.id}"
        assert f'href="{path}">J. Doe: restriction of use' in dpo.get("/rights").text
        assert f'href="{path}/uphold"' in dpo.get(path).text
        title = dpo.get(path).text.partition("<title>")[2].partition("</title>")[0]
        assert "J. Doe" not in title, "browsers keep titles"
        assert f"request {claim.id}" in title
        assert f'href="{path}/uphold"' not in lead.get(path).text
        assert lead.get(f"{path}/uphold").status_code == 403
        unsaid = dpo.submit(f"{path}/decline", words="looked into it")
        assert unsaid.status_code == 422
        assert f'href="#claim-{claim.id}-ground"' in unsaid.text
        assert "looked into it</textarea>" in unsaid.text
        assert lead.submit(f"/rights/{claim.id}/uphold", words="yes").status_code == 403
        assert dpo.submit(f"/rights/{claim.id}/uphold", words="it is contested").status_code == 303
        assert dpo.submit(f"/rights/{claim.id}/uphold", words="again").status_code == 409
        assert "before the restriction ends" in dpo.get(f"/rights/{claim.id}/letter/decision").text
        assert dpo.get(f"/rights/{claim.id}/letters/decision").content[:5] == b"%PDF-"
        assert dpo.get(f"/rights/{claim.id}/letters/gossip").status_code == 404
        allowed = {"words": "a claim in court", "use_ground": "legal_claims", "days": "2"}
        assert dpo.submit(f"/rights/{claim.id}/allow_use", **allowed).status_code == 303
        assert officer.submit(f"/recordings/{ID}/play").status_code == 200
        clock.time += timedelta(days=2, seconds=1)
    with signed_in(console, "dpo") as dpo, signed_in(console, "officer") as officer:
        assert officer.submit(f"/recordings/{ID}/play").status_code == 409
        assert dpo.submit(f"/rights/{claim.id}/lift", words="the recording is right").status_code == 303
        assert officer.submit(f"/recordings/{ID}/play").status_code == 200
    assert console.deps.index.get(ID).holds == ("restriction",), "kept for the days of grace"
    clock.time += GRACE
    assert console.deps.index.get(ID).holds == ()
    acts = [
        entry.act
        for entry in console.entries()
        if entry.act.startswith(("claim.", "hold.")) and entry.act != "claim.view"
    ]
    assert acts == ["claim.asked", "hold.placed", "claim.upheld", "claim.use_allowed", "claim.lifted", "hold.released"]
    assert not any("Doe" in json.dumps(entry.details) for entry in console.entries())


def test_ict_does_not_break_the_glass_of_what_is_restricted(console: Console) -> None:
    write_claim(repos(console), console.person("lead"), ID, wish())
    with signed_in(console, "ict") as ict:
        assert ict.submit(f"/recordings/{ID}/play", reason="is it silent?").status_code == 409
    assert console.deps.hearing.emergencies.open() == []


def test_nothing_is_erased_of_it_but_card_data_by_the_officer(console: Console) -> None:
    write_claim(repos(console), console.person("lead"), ID, wish())

    def order(kind: ErasureKind) -> ErasureOrder:
        by = console.person("lead")
        return order_erasure(console.deps.repos, by, ID, span_s=(0.0, 1.0), kind=kind, reason="asked for")

    assert "under a legal hold" in refused(lambda: order(ErasureKind.OTHER), 403)
    assert str(order(ErasureKind.CARD_DATA).state) == "waiting"


def test_its_hold_is_released_by_the_decision_and_not_by_hand(console: Console) -> None:
    claim = write_claim(repos(console), console.person("lead"), ID, wish())
    holds, dpo = console.deps.hold_repositories, console.person("dpo")
    assert claim.id in refused(lambda: release_hold(holds, dpo, claim.hold, reason="by hand"), 403)
    by_hand = HoldWish(kind=HoldKind.RESTRICTION, reason="by hand", case_reference="C 1")
    assert "rights request" in refused(lambda: place_hold(holds, dpo, ID, by_hand), 403)
    changed(console, claim, ClaimEvent.DECLINE, ground="no_ground")
    assert holds.holds.get(claim.hold).released_by == "dpo"


def test_who_writes_it_down_does_not_decide_it(console: Console) -> None:
    claim = write_claim(repos(console), console.person("dpo"), ID, wish())
    assert "deputy" in refused(lambda: changed(console, claim, ClaimEvent.UPHOLD), 403)
    appoint_deputy(console.deps.hearing.appointments, "revenues")
    assert changed(console, claim, ClaimEvent.UPHOLD, by="revenues").decided_by == "revenues"


def test_nobody_decides_about_their_own_call(console: Console) -> None:
    claim = write_claim(repos(console), console.person("lead"), ID, wish())
    console.people.add("dpo2", PASSWORD, roles={Role.DPO}, extension="2001")
    assert "own call" in refused(lambda: changed(console, claim, ClaimEvent.UPHOLD, by="dpo2"), 403)


def test_an_erasure_waits_for_holds_and_an_objection_restricts_meanwhile(console: Console) -> None:
    lead = console.person("lead")
    hold = place_hold(
        console.deps.hold_repositories,
        lead,
        ID,
        HoldWish(kind=HoldKind.COMPLAINT, reason="a complaint", case_reference="C 1"),
    )
    erase = write_claim(repos(console), lead, ID, wish(Right.ERASURE, "no_longer_needed"))
    assert erase.hold == ""
    assert "complaint" in refused(lambda: changed(console, erase, ClaimEvent.UPHOLD), 409)
    objection = write_claim(repos(console), lead, ID, wish(Right.OBJECTION, "own_situation"))
    assert console.deps.index.get(ID).holds == ("complaint", "restriction")
    release_hold(console.deps.hold_repositories, lead, hold.id, reason="procedure is over")
    assert "restriction" in refused(lambda: changed(console, erase, ClaimEvent.UPHOLD), 409), "not while it is decided"
    changed(console, objection, ClaimEvent.UPHOLD)
    assert changed(console, erase, ClaimEvent.UPHOLD).state is ClaimState.UPHELD


def test_of_two_who_decide_at_once_one_does(console: Console) -> None:
    console.people.add("dpo2", PASSWORD, roles={Role.DPO})
    claim = write_claim(repos(console), console.person("lead"), ID, wish())
    said: list[str] = []
    start = threading.Barrier(2, timeout=20)

    def decide(by: str, event: ClaimEvent, ground: str) -> None:
        start.wait()
        try:
            said.append(str(changed(console, claim, event, by=by, ground=ground).state))
        except ProblemError as error:
            said.append(str(error.status))

    threads = [
        threading.Thread(target=decide, args=("dpo", ClaimEvent.UPHOLD, "")),
        threading.Thread(target=decide, args=("dpo2", ClaimEvent.DECLINE, "no_ground")),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(said) in (["409", "declined"], ["409", "upheld"])
    assert str(only(console).state) in said


BAD = {
    "recording": ["", GHOST, "../../etc/passwd", "' OR 1=1 --", ID.lower() + "x"],
    "ground": ["", "restriction", "restriction/own_situation", "erasure/accuracy", "x/y", "<script>"],
    "requester": ["", " ", "J.\r\nBcc: x@evil.example", "x" * 201],
    "reason": ["", "x"],
    "case_reference": ["a\r\nb", "Mrs Example, who called", "x" * 41],
    "on": ["2030-01-01", "yesterday", "2026-13-01"],
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with console_site(tmp_path_factory.mktemp("rights"), is_daemon_up=False) as running:
        yield running


def test_bad_forms_are_refused_and_leave_nothing(shared: Console) -> None:
    with signed_in(shared, "lead") as lead:
        for name, value in [(name, value) for name, values in BAD.items() for value in values]:
            answer = lead.submit("/rights", **{**FORM, name: value})
            assert answer.status_code in (403, 404, 409, 422), (name, value, answer.text)
            assert answer.text.count("<script>") <= 1, "the one that the layout has"
            assert repos(shared).claims.newest() == [], (name, value)


def test_nobody_else_sees_or_decides(shared: Console) -> None:
    for name in ("officer", "revenues", "admin", "ict"):
        with signed_in(shared, name) as browser:
            answers: list[httpx2.Response] = [
                browser.get("/rights"),
                browser.submit("/rights", **FORM),
                browser.submit("/rights/1a2b3c4d/uphold", words="go on"),
                browser.submit("/rights/1a2b3c4d/withdraw", words="go on"),
                browser.get("/rights/1a2b3c4d/letter/decision"),
            ]
            assert {answer.status_code for answer in answers} == {403}, name
            assert 'href="/rights"' not in browser.get("/notifications").text
    with signed_in(shared, "dpo") as dpo:
        assert dpo.submit("/rights/1a2b3c4d/uphold", words="go on").status_code == 404
        assert dpo.submit("/rights/1a2b3c4d/carry_out", words="go on").status_code == 404
        assert dpo.post("/rights", data={**FORM, "csrf": "forged"}).status_code == 403


def test_what_somebody_typed_is_text(console: Console) -> None:
    evil = "<script>alert(1)</script>"
    write_claim(repos(console), console.person("lead"), ID, wish(requester=evil, reason=evil))
    with signed_in(console, "dpo") as dpo:
        page = dpo.get("/rights").text
        assert evil not in page
        assert "&lt;script&gt;" in page
        assert evil not in dpo.get(f"/rights/{only(console).id}/letter/acknowledgement").text


# --- killed, rebuilt, swept


def test_what_a_kill_left_in_the_log_alone_restricts_as_soon_as_anybody_acts(console: Console) -> None:
    claim = write_claim(repos(console), console.person("lead"), ID, wish())
    upheld = replace(claim, state=ClaimState.UPHELD, decided_by="dpo", decided_at=claim.asked_at, words="it is so")
    (console.deps.hold_repositories.state / UNSETTLED).write_bytes(b"")
    console.deps.hold_repositories.audit.append(
        act="claim.upheld", actor="dpo", subject=ID, details=changed_details(upheld, claim.asked_at), text="it is so"
    )
    with steady(
        console.deps.hold_repositories.state, console.deps.hold_repositories.holds, console.deps.hold_repositories.audit
    ):
        assert only(console) == upheld


@pytest.fixture
def site(tmp_path: Path, ready_url: str) -> Iterator[SweepSite]:
    made = SweepSite(tmp_path, ready_url)
    try:
        yield made
    finally:
        made.close()


def upheld(site: SweepSite, recording: RecordingId, right: Right = Right.ERASURE) -> Claim:
    """Put an upheld claim into log and table, as its acts do."""
    asked = Claim(
        id=recording[-6:] + "aa", recording=recording, right=right, ground="own_situation", received_on=NOW.date(),
        asked_by="lena", asked_at=NOW, requester="J. Doe", reason="in their words",
    )  # fmt: skip
    after = replace(asked, state=ClaimState.UPHELD, decided_by="dora", decided_at=NOW, words="yes")
    site.audit.append("claim.asked", "lena", recording, asked_details(asked), asked_text(asked))
    site.audit.append("claim.upheld", "dora", recording, changed_details(after, NOW), "yes")
    Claims(site.database).save([after])
    return after


def test_what_was_upheld_goes_with_the_next_sweep_unless_it_is_held(site: SweepSite) -> None:
    day = timedelta(days=1)
    young, held, other, restricted = (site.record(NOW - day) for _ in range(4))
    claim = upheld(site, young)
    waiting = upheld(site, held, Right.OBJECTION)
    upheld(site, restricted, Right.RESTRICTION)
    hold = site.hold(held, NOW)
    assert site.sweeper(NOW).plan().as_json()["claims_to_carry_out"] == 1
    assert site.sweep() == {"claims_carried_out": 1}
    assert [site.traces(one) for one in (young, held, other, restricted)] == [GONE, PRESENT, PRESENT, PRESENT]
    done = Claims(site.database).get(claim.id)
    assert (done.state, done.over_at) == (ClaimState.DONE, NOW)
    tombstone = site.deletions.get(young)
    assert tombstone is not None
    assert tombstone.rule == f"claim {claim.id}"
    site.release(hold, NOW)
    assert site.sweep(NOW + 13 * day) == {}
    assert site.sweep(NOW + 15 * day) == {"claims_carried_out": 1}
    assert Claims(site.database).get(waiting.id).state is ClaimState.DONE
    assert site.traces(held) == GONE


def test_a_lost_table_is_made_again_from_the_log(site: SweepSite) -> None:
    recording = site.record(NOW - timedelta(days=1))
    claim = upheld(site, recording, Right.RESTRICTION)
    used = replace(claim, use_ground="consent", use_by="dora", use_until=NOW + timedelta(days=3))
    site.audit.append("claim.use_allowed", "dora", recording, changed_details(used, NOW), "yes")
    with site.database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM claims")
    done = replay(site.audit, site.database, lambda: NOW)
    assert (done.claims, done.unknown) == (1, {})
    assert Claims(site.database).get(claim.id) == used
    assert replay(site.audit, site.database, lambda: NOW).claims == 0


# --- the shell


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path_factory.mktemp("rights-home"), next_hop="127.0.0.1:5999", is_started=False) as made:
        yield made


def test_the_shell_says_what_is_missing_and_lists(home: RecorderHome) -> None:
    def run(*words: str) -> tuple[int, str]:
        done = home.run("claims", *words, "-C", str(home.root), *home.as_admin())
        return done.returncode, done.stdout + done.stderr

    code, said = run(
        "add", GHOST, "--right", "restriction", "--ground", "accuracy", "--requester", "J", "--reason", "so it is"
    )
    assert code == 1
    assert "no recording" in said or "no such recording" in said
    assert run("uphold", "1a2b3c4d", "--reason", "so it is")[0] == 1
    assert run("allow-use", "1a2b3c4d", "--days", "31", "--reason", "so it is")[0] == 2
    assert json.loads(run("list", "--all", "--json")[1]) == []
    assert run("letter", "1a2b3c4d", "decision")[0] == 1
