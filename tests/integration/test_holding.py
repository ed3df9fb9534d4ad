"""Holds from the act to the audit log and the table: who is refused, what refusals leave alone, what erasures meet."""

import threading
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.common.problems import ProblemError
from recorder.permissions import Act, Application, LocalUser, Person, Role, Scope
from recorder.retention.erasing import forgot_recording, order_erasure
from recorder.retention.erasure_decisions import decide_erasure
from recorder.retention.hold_lists import hold_to_json, holds_listed, holds_shown
from recorder.retention.holding import place_hold, reinstate_hold, release_hold, review_hold, settle_holds
from recorder.rules.holds import HoldWish
from storage.database import Database, sqlite_url
from storage.erase import erase_spans
from storage.hold_journal import replay_holds, steady
from storage.holds import Holds
from storage.retention_types import ErasureKind, ErasureState, Hold, HoldKind
from storage.spans import Span
from storage.tombstones import Deletions, Tombstone
from storage.types import RecordingHead, RecordingId
from tests.helpers.erasure_site import DORA, LEA, MONA, OLIVE, ErasureSite
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID, STARTED, row

WHY = "the caller complained"
MIKE = Person(name="mike", display_name="Mike", roles=frozenset({Role.MANAGER}), teams=("Revenues",))
CARD, OTHER = ErasureKind.CARD_DATA, ErasureKind.OTHER
LIVE = RecordingId("20261124T093100Z-2001-bbbbbb")


@pytest.fixture
def site(tmp_path: Path) -> ErasureSite:
    site = ErasureSite(tmp_path)
    site.people.append(MIKE)
    return site


def refused(status: int, match: str) -> Any:
    return pytest.raises(ProblemError, match=match, check=lambda error: error.status == status)


def wish(kind: HoldKind = HoldKind.COMPLAINT, **changes: Any) -> HoldWish:
    return replace(HoldWish(kind=kind, reason=WHY, case_reference="C-17"), **changes)


def place(site: ErasureSite, who: Person = MONA, recording: str = ID, **changes: Any) -> Hold:
    return place_hold(site.hold_repositories, who, recording, wish(**changes))


def release(site: ErasureSite, who: Person, hold: Hold, why: str = "procedure is over") -> Hold:
    return release_hold(site.hold_repositories, who, hold.id, reason=why)


def table(site: ErasureSite) -> list[Hold]:
    return site.holds.all_in_effect(site.now)


def test_placed_released_and_taken_back(site: ErasureSite) -> None:
    hold = place(site, against=("Mike", "olive officer"), review_on=date(2027, 2, 1), owner="lea")
    assert (hold.placed_by, hold.owner, hold.against) == ("mona", "lea", ("mike", "olive"))
    assert (hold.placed_at, hold.review_on, hold.reason) == (site.now, date(2027, 2, 1), WHY)
    assert site.holds.get(hold.id) == hold
    assert site.index.get(ID).holds == ("complaint",)
    site.now += timedelta(days=3)
    gone = release(site, DORA, hold)
    assert (gone.released_by, gone.released_at) == ("dora", site.now)
    assert gone.grace_until == site.now + timedelta(days=14)
    assert site.holds.get(hold.id) == gone
    site.now += timedelta(days=13)
    assert site.index.get(ID).holds == ("complaint",)
    with refused(409, "released on 2026-11-27 already"):
        release(site, DORA, hold)
    with refused(409, "nothing to review"):
        review_hold(site.hold_repositories, DORA, hold.id, reason=WHY)
    assert reinstate_hold(site.hold_repositories, MIKE, hold.id, reason="an appeal came in") == hold
    site.now += timedelta(days=300)
    assert site.index.get(ID).holds == ("complaint",)
    with refused(409, "stands"):
        reinstate_hold(site.hold_repositories, MONA, hold.id, reason="an appeal came in")
    release(site, DORA, hold)
    site.now += timedelta(days=14)
    assert site.index.get(ID).holds == ()
    with refused(409, "ended on"):
        reinstate_hold(site.hold_repositories, MONA, hold.id, reason="an appeal came in")


def test_the_audit_log_comes_first_and_has_what_it_takes_to_replay(site: ErasureSite) -> None:
    hold = place(site, against=("mike",))
    training = place(site, MIKE, kind=HoldKind.TRAINING, case_reference="")
    reviewed = review_hold(
        site.hold_repositories, DORA, hold.id, reason="still open", review_on=date(2027, 3, 1), owner="Dora"
    )
    assert (reviewed.review_on, reviewed.owner) == (date(2027, 3, 1), "dora")
    gone = release(site, LEA, training)
    acts = [(entry.act, entry.actor, entry.subject) for entry in site.entries("hold.")]
    assert acts == [
        ("hold.placed", "mona", ID), ("hold.placed", "mike", ID), ("hold.reviewed", "dora", ID),
        ("hold.released", "lea", ID),
    ]  # fmt: skip
    assert [site.audit.text(e) for e in site.entries("hold.")] == [WHY, WHY, "still open", "procedure is over"]
    site.index.close()
    for path in site.home.glob("index.sqlite*"):
        path.unlink()
    with closing(Database(sqlite_url(site.home / "index.sqlite"))) as database:
        fresh = Holds(database)
        assert fresh.of_recording(ID) == []
        assert replay_holds(site.audit.entries(), fresh, text=site.audit.text) == 2
        assert fresh.of_recording(ID) == sorted([reviewed, gone], key=lambda one: (one.placed_at, one.id))


def test_several_stand_and_all_must_be_released(site: ErasureSite) -> None:
    first, second = place(site), place(site, DORA, kind=HoldKind.SAR, case_reference="SAR 4")
    assert site.index.get(ID).holds == ("complaint", "sar")
    assert site.holds.held_among([ID], site.now) == {ID}
    release(site, LEA, first)
    site.now += timedelta(days=14)
    assert site.index.get(ID).holds == ("sar",)
    with refused(403, "data protection officer"):
        release(site, LEA, second)
    release(site, DORA, second)
    site.now += timedelta(days=14)
    assert site.holds.held_among([ID], site.now) == set()


def test_never_the_one_complained_about(site: ErasureSite) -> None:
    hold = place(site, LEA, against=("Mike",))
    with refused(403, "about you"):
        release(site, MIKE, hold)
    with refused(403, "about you"):
        review_hold(site.hold_repositories, MIKE, hold.id, reason="sooner", review_on=date(2026, 11, 26))
    own = replace(MONA, display_name="Olive Officer")
    with refused(403, "own call"):
        release(site, own, hold)
    with refused(422, "cannot own"):
        place(site, LEA, against=("mike",), owner="mike")
    with refused(422, "cannot own"):
        review_hold(site.hold_repositories, LEA, hold.id, reason="hand over", owner="mike")
    assert holds_shown(site.hold_repositories, MIKE, site.index.get(ID)) == []
    assert holds_listed(site.hold_repositories, MIKE, is_due=False) == []
    assert [h.id for h in holds_listed(site.hold_repositories, MONA, is_due=False)] == [hold.id]
    assert site.holds.get(hold.id) == hold
    assert release(site, MONA, hold).released_by == "mona"


def test_refusals_change_nothing(site: ErasureSite) -> None:
    outsider = replace(MIKE, teams=("Benefits",))
    token, shell = Application(name="crm", scopes=frozenset(Scope)), LocalUser(name="root")
    for who, kind, match in (
        (OLIVE, HoldKind.COMPLAINT, "role"), (outsider, HoldKind.COMPLAINT, "no such recording"),
        (MONA, HoldKind.SAR, "subject access"), (MONA, HoldKind.DISCLOSURE, "disclosure"),
        (DORA, HoldKind.TRAINING, "training"),
        (token, HoldKind.COMPLAINT, "person"), (shell, HoldKind.COMPLAINT, "person"),
    ):  # fmt: skip
        with refused(404 if who is outsider else 403, match):
            place_hold(site.hold_repositories, who, ID, wish(kind))
    assert [e.details["act"] for e in site.entries("access.refused")] == [str(Act.PLACE_HOLD)] * 7
    for status, match, changes in (
        (422, "reason", {"reason": "x"}),
        (422, "reference", {"case_reference": ""}),
        (422, "future", {"review_on": site.now.date()}),
        (422, "or earlier", {"review_on": date(2028, 1, 1)}),
        (422, "owner", {"owner": "nobody"}),
        (422, "olive cannot own", {"owner": "olive"}),
        (422, "account", {"against": ("Nobody Known",)}),
    ):
        with refused(status, match):
            place(site, LEA, **changes)
    for hold_id in ("ffffffff", "", "../etc"):
        for act in (release_hold, reinstate_hold, review_hold):
            with refused(404, "no such hold"):
                act(site.hold_repositories, DORA, hold_id, reason=WHY)
    assert site.entries("hold.") == []
    assert table(site) == []
    assert not (site.home / "state" / "holds.unsettled").exists()


def test_what_is_not_there_cannot_be_held(site: ErasureSite) -> None:
    for wrong in ("20261124T093000Z-2001-ffffff", "20261124T09", "../../etc/passwd", ""):
        with refused(404, "no such recording"):
            place(site, recording=wrong)
    site.index.save(replace(site.row, id=LIVE, path=None))
    with refused(409, "it cannot be held. Recorded: ended"):
        place(site, recording=LIVE)
    Deletions(site.index.database).settle([Tombstone(id=LIVE, deleted_at=site.now, rule="retention")])
    with refused(409, "deleted on 24 November 2026"):
        place(site, LEA, recording=LIVE)
    with refused(404, "no such recording"):  # nobody knows of which team it was
        place(site, MIKE, recording=LIVE)
    site.path.unlink()
    with refused(409, "its file is gone"):
        place(site)
    assert site.entries("hold.") == []


def test_a_call_in_progress_can_be_held_by_the_manager_of_its_team(site: ErasureSite) -> None:
    head = RecordingHead(
        id=LIVE, started_at=STARTED, operator_key="k7",
        index_row=row(LIVE, operator="Olive Officer", team="Revenues", extension="2001"),
    )  # fmt: skip
    opened = site.vault.create(head)
    with refused(404, "no such recording"):
        place(site, replace(MIKE, teams=("Benefits",)), LIVE)
    hold = place(site, MIKE, LIVE)
    assert [h.id for h in holds_listed(site.hold_repositories, MIKE, is_due=False)] == [hold.id]
    opened.discard()
    site.index.save(replace(site.row, id=LIVE))
    assert site.index.get(LIVE).holds == ("complaint",)


def test_what_cannot_be_audited_is_not_held(site: ErasureSite) -> None:
    (site.home / "audit").write_text("in the way")
    with refused(503, "audit log"):
        place(site)
    assert table(site) == []


def fails(_hold: Hold) -> None:
    raise OSError(5, "the disk failed")


def test_the_database_fails_in_between_and_the_hold_stands_later(
    site: ErasureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(site.holds, "place", fails)
        with refused(503, "takes effect once the database answers"):
            place(site)
    assert table(site) == []
    settle_holds(site.home / "state", site.holds, site.audit)
    assert [h.reason for h in table(site)] == [WHY]


def test_due_for_review(site: ErasureSite) -> None:
    late = place(site, review_on=date(2026, 12, 1))
    place(site, review_on=date(2027, 3, 1))
    site.now += timedelta(days=30)
    assert [h.id for h in holds_listed(site.hold_repositories, DORA, is_due=True)] == [late.id]
    assert len(holds_listed(site.hold_repositories, DORA, is_due=False)) == 2
    assert holds_listed(site.hold_repositories, replace(MIKE, teams=("Benefits",)), is_due=False) == []
    with refused(403, "role"):
        holds_listed(site.hold_repositories, OLIVE, is_due=True)
    done = review_hold(site.hold_repositories, MONA, late.id, reason="the appeal runs")
    assert done.review_on == site.now.date() + timedelta(days=90)
    assert holds_listed(site.hold_repositories, DORA, is_due=True) == []
    assert len(site.entries("hold.view")) == 4
    assert hold_to_json(done, site.now)["state"] == "standing"


def test_no_hold_slips_in_between_a_look_and_a_deletion(site: ErasureSite) -> None:
    placed: list[object] = []

    def later() -> None:
        try:
            placed.append(place(site))
        except ProblemError as error:
            placed.append(error.status)

    waiting = threading.Thread(target=later)
    with steady(site.home / "state", Holds(site.index.database), site.audit):
        assert site.holds.held_among([ID], site.now) == set()
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        site.path.unlink()
        site.index.remove(ID)
    eventually(lambda: placed, "an answer")
    waiting.join()
    assert placed == [404]
    assert table(site) == []


# --- erasures meet holds


def test_of_a_held_recording_only_card_data_goes_and_only_by_the_dpo(site: ErasureSite) -> None:
    hold = place(site)
    with refused(403, "under a legal hold"):
        order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="tidying up")
    order = forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    assert order.state is ErasureState.WAITING
    for who in (MONA, LEA):
        with refused(403, "data protection officer"):
            decide_erasure(site.repos, who, order.id, confirm=True, reason="agreed")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    assert site.eraser.carry_out_due()[0].state is ErasureState.DONE
    release(site, LEA, hold)
    with refused(403, "under a legal hold"):
        order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="tidying up")
    site.now += timedelta(days=14)
    assert order_erasure(site.repos, LEA, ID, span_s=(3.0, 4.0), kind=OTHER, reason="tidying up")


def test_a_hold_between_order_and_carrying_out_stops_what_is_no_card_data(site: ErasureSite) -> None:
    order = order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="caller wants it gone")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    place(site)
    before = site.snapshot()
    (failed,) = site.eraser.carry_out_due()
    assert (failed.state, "under a legal hold" in failed.problem) == (ErasureState.FAILED, True)
    assert site.snapshot() == before
    decide_erasure(site.repos, DORA, order.id, confirm=False)


def test_a_hold_between_order_and_carrying_out_asks_the_dpo_about_card_data(site: ErasureSite) -> None:
    order = forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    assert order.state is ErasureState.CONFIRMED, "a moment ago it needed nobody"
    site.now += timedelta(seconds=1)
    place(site)
    before = site.snapshot()
    (back,) = site.eraser.carry_out_due()
    assert (back.state, back.decided_by, back.decided_at) == (ErasureState.WAITING, None, None)
    assert site.snapshot() == before
    assert site.entries("erasure.sent_back")[0].details["order"] == order.id
    assert site.eraser.carry_out_due() == []
    with refused(403, "data protection officer"):
        decide_erasure(site.repos, LEA, order.id, confirm=True, reason="agreed")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    assert site.eraser.carry_out_due()[0].state is ErasureState.DONE
    assert site.index.get(ID).recorded_s == 4.0


@pytest.mark.parametrize("is_saved", [False, True])
def test_what_was_erased_before_the_hold_is_not_asked_for_again(site: ErasureSite, is_saved: bool) -> None:
    order = forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    span = Span(start_s=1.0, end_s=2.0, reason="card_data", by="olive")
    erased = erase_spans(site.vault, site.epochs, site.row, [span], speech=lambda *_: 0.0)  # and was killed
    if is_saved:
        site.index.save(erased)
    site.now += timedelta(seconds=1)
    place(site)
    (done,) = site.eraser.carry_out_due()
    assert (done.id, done.state) == (order.id, ErasureState.DONE)
    assert site.entries("erasure.sent_back") == []
    (entry,) = site.entries("erasure.done")
    assert (entry.details["order"], entry.details["sha256"]) == (order.id, erased.sha256)
    row = site.index.get(ID)
    assert (row.sha256, row.segments, row.peaks) == (erased.sha256, erased.segments, erased.peaks)


def test_a_hold_that_only_the_audit_log_has_stops_an_erasure_too(
    site: ErasureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="caller wants it gone")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    monkeypatch.setattr(site.holds, "place", fails)
    with refused(503, "takes effect once the database answers"):
        place(site)
    (failed,) = site.eraser.carry_out_due()
    assert "under a legal hold" in failed.problem
    assert site.index.get(ID).holds == ("complaint",)


def test_of_a_call_of_which_nothing_was_kept_a_hold_stops_no_order(site: ErasureSite) -> None:
    order = order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="caller wants it gone")
    place(site)
    site.path.unlink()
    site.save(path=None, outcome="blocked", reason="discarded")
    (done,) = site.eraser.carry_out_due()
    assert (done.id, done.state) == (order.id, ErasureState.DONE)
