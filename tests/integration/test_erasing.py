"""Orders to erase from the order to the silence: who waits for whom, what is audited, what failure leaves."""

import fcntl
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from recorder.common.problems import ProblemError
from recorder.permissions import Act, Application, LocalUser, Person, Scope
from recorder.retention.eraser import alarms_of, keep_erasing
from recorder.retention.erasing import forgot_recording, order_erasure
from recorder.retention.erasure_decisions import decide_erasure
from recorder.retention.erasure_repositories import refuse_locked
from storage import rewrite
from storage.erasures import new_order_id
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.runs import AUDIO, parse
from storage.types import RecordingId, SegmentKind
from storage.verify import verify
from tests.helpers.erasure_site import DORA, ENDED, LEA, MONA, OLIVE, SECONDS, ErasureSite
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID, head

CARD, OTHER = ErasureKind.CARD_DATA, ErasureKind.OTHER
OTHER_ID = RecordingId("20261124T093500Z-2001-eeeeee")


@pytest.fixture
def site(tmp_path: Path) -> ErasureSite:
    return ErasureSite(tmp_path)


def refused(status: int, match: str) -> Any:
    return pytest.raises(ProblemError, match=match, check=lambda error: error.status == status)


def audio_ticks(site: ErasureSite, begin_s: float, end_s: float) -> int:
    runs = [run for block in site.open(site.path).blocks() for run in parse(block) if run.kind == AUDIO]
    begin, end = int(begin_s * 8000), int(end_s * 8000)
    return sum(max(min(r.start + r.length, end) - max(r.start, begin), 0) for r in runs)


def test_forgotten_a_moment_ago_it_goes_at_once(site: ErasureSite) -> None:
    order = forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0), reason="card number read out")
    assert (order.state, order.start_s, order.end_s, order.kind) == (ErasureState.CONFIRMED, 1.0, 2.0, CARD)
    (done,) = site.eraser.carry_out_due()
    assert (done.id, done.state, done.done_at) == (order.id, ErasureState.DONE, site.now)
    assert audio_ticks(site, 1.0, 2.0) == 0
    assert audio_ticks(site, 0.0, 1.0) == 16_000
    row = site.index.get(ID)
    assert [s.kind for s in row.segments] == [SegmentKind.RECORDING, SegmentKind.ERASED, SegmentKind.RECORDING]
    assert (row.segments[1].reason, row.segments[1].by) == ("card_data", "olive")
    assert row.recorded_s == SECONDS - 1
    found = verify(site.path, site.node.sign_public)
    assert (found.problem, found.sha256, found.bytes) == (None, row.sha256, row.bytes)
    assert site.eraser.carry_out_due() == []


def test_how_loud_it_was_is_in_no_byte_of_the_database(site: ErasureSite) -> None:
    row = site.index.get(ID)
    site.index.save(replace(row, peaks=(b"before....CARDNUMBER".ljust(10 * SECONDS, b"."), row.peaks[1])))

    def files_with_it() -> list[str]:
        return [path.name for path in site.home.glob("index.sqlite*") if b"CARDNUMBER" in path.read_bytes()]

    assert files_with_it(), "it would not be found"
    forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    site.eraser.carry_out_due()
    assert files_with_it() == []
    assert site.index.get(ID).peaks[0].startswith(b"before....\0\0")


def test_the_audit_log_has_what_it_takes_to_replay(site: ErasureSite) -> None:
    order = order_erasure(site.repos, LEA, ID, span_s=(0.5, None), kind=OTHER, reason="somebody else's call")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    site.eraser.carry_out_due()
    ordered, confirmed, done = site.entries("erasure.")
    assert (ordered.act, ordered.actor, ordered.subject) == ("erasure.ordered", "lea", ID)
    replayed = ErasureOrder(
        id=ordered.details["order"], recording=RecordingId(ordered.subject), start_s=ordered.details["start_s"],
        end_s=ordered.details["end_s"], kind=ErasureKind(ordered.details["kind"]), ordered_by=ordered.actor,
        ordered_at=datetime.fromisoformat(ordered.details["at"]), state=ErasureState(ordered.details["state"]),
    )  # fmt: skip
    assert replayed == order
    assert (confirmed.act, confirmed.actor, confirmed.subject) == ("erasure.confirmed", "dora", ID)
    assert confirmed.details["order"] == order.id
    assert (done.act, done.actor, done.details["order"]) == ("erasure.done", "recorder", order.id)
    assert done.details["before_sha256"] == site.row.sha256
    assert done.details["sha256"] == site.index.get(ID).sha256
    assert site.audit.text(ordered) == "somebody else's call"


def test_later_or_longer_it_waits_for_a_second_person_and_is_locked(site: ErasureSite) -> None:
    site.now = ENDED + timedelta(minutes=16)
    order = forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    assert order.state is ErasureState.WAITING
    assert site.eraser.carry_out_due() == []
    with refused(409, "locked"):
        refuse_locked(site.erasures, ID)
    before = site.snapshot()
    for who, status, why in ((OLIVE, 403, "role"), (replace(MONA, teams=("Benefits",)), 404, "no such order")):
        with refused(status, why):
            decide_erasure(site.repos, who, order.id, confirm=True, reason="agreed")
    with refused(403, "own call"):
        decide_erasure(site.repos, replace(DORA, display_name="Olive Officer"), order.id, confirm=True, reason="agreed")
    assert site.snapshot() == before
    assert not site.entries("erasure.confirmed")
    assert len(site.entries("access.refused")) == 3
    decided = decide_erasure(site.repos, MONA, order.id, confirm=True, reason="agreed")
    assert (decided.decided_by, decided.decided_at) == ("mona", site.now)
    site.eraser.carry_out_due()
    assert audio_ticks(site, 1.0, 2.0) == 0
    refuse_locked(site.erasures, ID)
    with refused(409, "done"):
        decide_erasure(site.repos, MONA, order.id, confirm=False)


def test_declined_nothing_goes_and_the_lock_is_off(site: ErasureSite) -> None:
    before = site.snapshot()
    order = order_erasure(site.repos, MONA, ID, span_s=(0.0, None), kind=OTHER, reason="caller wants it gone")
    with refused(403, "yourself"):
        decide_erasure(site.repos, MONA, order.id, confirm=False)
    decide_erasure(site.repos, LEA, order.id, confirm=False, reason="we need it")
    assert site.eraser.carry_out_due() == []
    refuse_locked(site.erasures, ID)
    assert site.snapshot()[:3] == before[:3]
    assert [e.act for e in site.entries("erasure.")] == ["erasure.ordered", "erasure.declined"]


def test_the_last_seconds_and_all_of_it(site: ErasureSite) -> None:
    assert forgot_recording(site.repos, OLIVE, ID, seconds=1.5).start_s == 3.5
    assert forgot_recording(site.repos, OLIVE, ID, seconds=99).start_s == 0
    whole = forgot_recording(site.repos, OLIVE, ID)
    assert (whole.start_s, whole.end_s) == (0.0, None)
    site.eraser.carry_out_due()
    assert audio_ticks(site, 0.0, 99.0) == 0
    row = site.index.get(ID)
    assert (row.outcome, row.recorded_s) == (site.row.outcome, 0)
    assert {s.kind for s in row.segments} == {SegmentKind.ERASED}


def test_a_held_recording_loses_only_card_data_and_only_by_the_dpo(site: ErasureSite) -> None:
    site.hold()
    with refused(403, "under a legal hold"):
        order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="tidying up")
    order = forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    assert order.state is ErasureState.WAITING
    for who in (MONA, LEA):
        with refused(403, "data protection officer"):
            decide_erasure(site.repos, who, order.id, confirm=True, reason="agreed")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    assert site.eraser.carry_out_due()[0].state is ErasureState.DONE
    assert site.index.get(ID).holds == ("complaint",)


def test_a_hold_that_came_after_the_order_stops_it(site: ErasureSite) -> None:
    order = order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="caller wants it gone")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    site.hold()
    before = site.snapshot()
    (failed,) = site.eraser.carry_out_due()
    assert (failed.state, "under a legal hold" in failed.problem) == (ErasureState.FAILED, True)
    assert site.snapshot() == before
    decide_erasure(site.repos, DORA, order.id, confirm=False)
    refuse_locked(site.erasures, ID)


@pytest.mark.parametrize(
    ("recording", "span_s", "status", "match"),
    [
        (ID, (2.0, 1.0), 422, "after the beginning"),
        (ID, (2.0, 2.0), 422, "after the beginning"),
        (ID, (5.0, None), 422, "begins outside"),
        (ID, (-1.0, 2.0), 422, "begins outside"),
        (ID, (1.0, 7.0), 422, "ends outside"),
        (ID, (float("nan"), 2.0), 422, "numbers"),
        (ID, (0.0, float("inf")), 422, "numbers"),
        ("20261124T093000Z-2001-ffffff", (1.0, 2.0), 404, "no such"),
        ("20261124T09", (1.0, 2.0), 404, "no such"),
        ("../../etc/passwd", (1.0, 2.0), 404, "no such"),
        ("", (1.0, 2.0), 404, "no such"),
    ],
)
def test_bad_input_changes_nothing(
    site: ErasureSite, recording: str, span_s: tuple[float, float | None], status: int, match: str
) -> None:
    before, audited = site.snapshot(), len(list(site.audit.entries()))
    with refused(status, match):
        order_erasure(site.repos, LEA, recording, span_s=span_s, kind=CARD, reason="card number")
    with refused(status, match):
        forgot_recording(site.repos, LEA, recording, span_s=span_s)
    assert site.snapshot() == before
    assert len(list(site.audit.entries())) == audited


def test_who_may_not_order_is_refused_and_audited(site: ErasureSite) -> None:
    before = site.snapshot()
    token = Application(name="payments", scopes=frozenset(Scope))
    for who in (LocalUser(name="root"), token, replace(OLIVE, display_name="Otto Other")):
        with refused(404 if isinstance(who, Person) else 403, "."):  # not his to know of
            forgot_recording(site.repos, who, ID, span_s=(1.0, 2.0))
        with refused(403, "."):
            order_erasure(site.repos, who, ID, span_s=(1.0, 2.0), kind=CARD, reason="card number")
    with refused(422, "reason"):
        order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=CARD, reason="x")
    for seconds in (0, -5, float("nan"), float("inf")):
        with refused(422, "over 0"):
            forgot_recording(site.repos, OLIVE, ID, seconds=seconds)
    with refused(404, "no such order"):
        decide_erasure(site.repos, LEA, "ffffffff", confirm=True, reason="agreed")
    assert site.snapshot() == before
    assert {entry.act for entry in site.audit.entries()} == {"access.refused"}
    assert site.entries("access.refused")[0].details["act"] == str(Act.RETROACTIVE_PAUSE)


def test_what_cannot_be_audited_is_not_ordered(site: ErasureSite) -> None:
    before = site.snapshot()
    (site.home / "audit").write_text("in the way")
    with refused(503, "audit log"):
        forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    assert site.snapshot() == before


@pytest.mark.parametrize(
    ("change", "match"), [("gone", "deleted"), ("blocked", "Not recorded: discarded after a card payment")]
)
def test_of_what_is_not_there_nothing_can_be_erased(site: ErasureSite, change: str, match: str) -> None:
    if change == "gone":
        site.path.unlink()
    else:
        site.save(path=None, outcome="blocked", reason="discarded")
    with refused(409, match):
        forgot_recording(site.repos, OLIVE, ID, span_s=(1.0, 2.0))
    assert site.erasures.newest(9) == []


# --- carrying out


def place(site: ErasureSite, recording: RecordingId = ID) -> ErasureOrder:
    order = ErasureOrder(
        id=new_order_id(), recording=recording, start_s=0.5, end_s=1.5, kind=CARD, ordered_by="olive",
        ordered_at=site.now, state=ErasureState.CONFIRMED,
    )  # fmt: skip
    site.erasures.place(order)
    return order


def test_a_call_in_progress_is_left_alone_until_it_is_filed(site: ErasureSite) -> None:
    live = RecordingId("20261124T093100Z-2001-bbbbbb")
    opened = site.vault.create(replace(head(live), id=live))
    place(site, live)
    part = opened.path.read_bytes()
    assert site.eraser.carry_out_due() == []
    assert opened.path.read_bytes() == part
    site.index.save(replace(site.row, id=live, path=None))  # its row came first, its file is left to recovery
    assert site.eraser.carry_out_due() == []
    opened.discard()
    (done,) = site.eraser.carry_out_due()
    assert done.state is ErasureState.DONE
    assert site.entries("erasure.done")[0].details["was_kept"] is False


def test_of_a_call_of_which_nothing_was_kept_nobody_has_to_confirm(site: ErasureSite) -> None:
    gone = RecordingId("20261124T093200Z-2001-dddddd")
    waiting = replace(place(site, gone), id=new_order_id(), state=ErasureState.WAITING)
    site.erasures.place(waiting)
    site.erasures.place(replace(waiting, id=new_order_id(), recording=ID))
    site.index.save(replace(site.row, id=gone, path=None))
    assert {order.state for order in site.eraser.carry_out_due()} == {ErasureState.DONE}
    assert [order.recording for order in site.erasures.open_orders()] == [ID], "there is something to erase of that"


def test_a_damaged_recording_stays_as_it_is_and_can_be_unlocked(site: ErasureSite) -> None:
    site.path.write_bytes(site.path.read_bytes()[:-1])
    order = place(site)
    before = site.snapshot()
    (failed,) = site.eraser.carry_out_due()
    assert "not what was recorded" in failed.problem
    assert site.snapshot() == before
    with refused(409, "failed"):
        decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    decide_erasure(site.repos, DORA, order.id, confirm=False, reason="beyond repair")
    refuse_locked(site.erasures, ID)


def test_an_order_for_a_call_that_nobody_knows_yet_waits(site: ErasureSite) -> None:
    place(site, RecordingId("20261124T093100Z-2001-cccccc"))
    assert site.eraser.carry_out_due() == []


def test_a_failure_is_noted_alarmed_and_tried_again_later(site: ErasureSite, tmp_path: Path) -> None:
    before = site.snapshot()
    private = tmp_path / "private"
    private.rename(tmp_path / "away")
    order = place(site)
    (failed,) = site.eraser.carry_out_due()
    assert failed.state is ErasureState.FAILED
    assert "2026-11.key" in failed.problem
    assert site.snapshot()[:3] == before[:3]
    assert site.entries("erasure.failed")[0].details["order"] == order.id
    assert alarms_of(site.erasures, site.index, site.now) == {"erasure_failed": 1}
    with refused(409, "locked"):
        refuse_locked(site.erasures, ID)
    assert site.eraser.carry_out_due() == []
    (tmp_path / "away").rename(private)
    assert site.eraser.carry_out_due() == []
    site.now += timedelta(minutes=1)
    assert site.eraser.carry_out_due()[0].state is ErasureState.DONE
    assert alarms_of(site.erasures, site.index, site.now) == {}
    assert audio_ticks(site, 0.5, 1.5) == 0


def test_a_hold_that_another_machine_places_while_the_new_container_is_written_stops_it(
    site: ErasureSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = order_erasure(site.repos, LEA, ID, span_s=(1.0, 2.0), kind=OTHER, reason="caller wants it gone")
    decide_erasure(site.repos, DORA, order.id, confirm=True, reason="agreed")
    before, key = site.path.read_bytes(), site.vault.sealed.read(ID)
    prove = rewrite._Rewriting._prove

    def hold_first(self: Any, *words: Any) -> None:
        site.hold()  # without the lock of this home
        prove(self, *words)

    monkeypatch.setattr(rewrite._Rewriting, "_prove", hold_first)
    (failed,) = site.eraser.carry_out_due()
    assert (failed.state, "hold was placed meanwhile" in failed.problem) == (ErasureState.FAILED, True)
    assert (site.path.read_bytes(), site.vault.sealed.read(ID)) == (before, key)
    assert not list(site.path.parent.glob("*.erasing"))


def test_what_others_changed_in_the_row_meanwhile_stays(site: ErasureSite, monkeypatch: pytest.MonkeyPatch) -> None:
    place(site)
    real = site.index.get
    calls: list[str] = []

    def get(recording: str) -> Any:
        if len(calls) == 2:  # between the look at the row and its saving
            site.index.save(replace(real(ID), related=(OTHER_ID,)))
        calls.append(recording)
        return real(recording)

    monkeypatch.setattr(site.index, "get", get)
    site.eraser.carry_out_due()
    row = real(ID)
    assert len(calls) == 3
    assert (row.related, row.recorded_s) == ((OTHER_ID,), SECONDS - 1)


def test_never_in_two_processes_at_once(site: ErasureSite) -> None:
    place(site)
    site.eraser.lock.parent.mkdir(exist_ok=True)
    with site.eraser.lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert site.eraser.carry_out_due() == []
        results: list[list[ErasureOrder]] = []
        waiting = threading.Thread(target=lambda: results.append(site.eraser.carry_out_due(wait=True)))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        assert audio_ticks(site, 0.5, 1.5) > 0
    waiting.join(10)
    assert [order.state for order in results[0]] == [ErasureState.DONE]


def test_the_key_holder_goes_on_by_itself(site: ErasureSite, caplog: pytest.LogCaptureFixture) -> None:
    stopping = threading.Event()
    (site.home / "audit").write_text("in the way")
    order = place(site)
    thread = threading.Thread(target=keep_erasing, args=(site.eraser, stopping), kwargs={"every_s": 0.02})
    thread.start()
    try:
        eventually(lambda: "Carrying out orders to erase failed" in caplog.text, "the log says why")
        assert site.erasures.get(order.id).state is ErasureState.CONFIRMED
        (site.home / "audit").unlink()
        eventually(lambda: site.erasures.get(order.id).state is ErasureState.DONE, "it is carried out")
    finally:
        stopping.set()
        thread.join(10)
    assert caplog.text.count("Carrying out orders to erase failed") == 1
    assert not thread.is_alive()
    assert site.now.tzinfo is UTC
