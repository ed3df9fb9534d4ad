"""A call that rings at 23:59:59 and is answered after midnight: its id says one day, its container lies in the next."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.access.database import open_people
from recorder.access.listening.requests import Requests
from recorder.common.problems import ProblemError
from recorder.exports.copy_orders import CopyOrder, CopyRepositories, check_order
from recorder.permissions import Act
from recorder.recordings.inspection import Inspector
from recorder.retention.eraser import Eraser
from recorder.retention.erasure_repositories import ErasureRepositories, row_of
from recorder.retention.hold_repositories import HoldRepositories
from recorder.retention.holding import place_hold
from recorder.rules.holds import HoldWish
from storage.encoding import CopyFormat
from storage.erasures import new_order_id
from storage.reader import open_recording
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState, HoldKind
from storage.rows import row_from_json
from storage.types import RecordingHead, RecordingId
from tests.helpers.audit_services import audit_service
from tests.helpers.erasure_site import DORA, LEA
from tests.helpers.grants import keep_leave
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.storage_home import block, row
from tests.helpers.sweep_site import GONE

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)
RANG = MIDNIGHT - timedelta(seconds=1)
ANSWERED = MIDNIGHT + timedelta(seconds=4)
OPEN = RecordingId("20261124T235959Z-2001-abc123")
"""A call that goes on."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RebuildSite]:
    made = RebuildSite(tmp_path)
    made.now = MIDNIGHT + timedelta(minutes=5)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def recording(site: RebuildSite) -> RecordingId:
    made = site.record(ANSWERED + timedelta(seconds=1), rang_at=RANG)
    assert made.startswith("20261124T235959Z")
    assert site.index.get(made).path == f"2026/11/25/k7/{made}.rec"
    return made


@pytest.fixture
def going_on(site: RebuildSite) -> Iterator[RecordingId]:
    """A call that goes on; its container is open, and the index does not know it."""
    site.epochs.ensure_epochs(ANSWERED, months_ahead=0)
    fields = row(OPEN, started_at=ANSWERED.isoformat(), operator="Olive Officer", team="Revenues")
    opened = site.vault.create(RecordingHead(id=OPEN, started_at=ANSWERED, operator_key="k7", index_row=fields))
    opened.append(block(0))
    yield OPEN
    opened.discard()


def copy_repositories(site: RebuildSite) -> CopyRepositories:
    requests = Requests(open_people(site.home.people), now=lambda: site.now)
    return CopyRepositories(
        index=site.index, requests=requests, vault=site.vault, audit=site.audit, site="Council",
        audit_service=audit_service(site.audit, site.home.state),
        timezone="Europe/London",
        open=lambda one: open_recording(site.vault.locate(str(one.path)), site.home.root, site.epochs),
        now=lambda: site.now,
    )  # fmt: skip


def erasure_books(site: RebuildSite) -> ErasureRepositories:
    return ErasureRepositories(
        index=site.index, erasures=site.erasures, audit=site.audit, vault=site.vault, forgot_s=300.0,
        audit_service=audit_service(site.audit, site.home.state), now=lambda: site.now,
    )  # fmt: skip


def test_its_files_are_found(site: RebuildSite, recording: RecordingId, going_on: RecordingId) -> None:
    assert site.vault.files_of(recording) == [site.vault.root / f"2026/11/25/k7/{recording}.rec"]
    assert [path.suffix for path in site.vault.files_of(going_on)] == [".part"]


def test_it_is_verified(site: RebuildSite, recording: RecordingId) -> None:
    assert [(one.id, one.problem) for one in Inspector(vault=site.vault, index=site.index).all()] == [(recording, None)]


def test_it_is_copied_and_while_it_goes_on_that_is_said(
    site: RebuildSite, recording: RecordingId, going_on: RecordingId
) -> None:
    order = CopyOrder(form=CopyFormat.WAV, reason="asked for")
    repos = copy_repositories(site)
    keep_leave(repos.requests, DORA.name, recording, going_on, until=site.now + timedelta(days=1))
    assert check_order(repos, DORA, recording, order).row.id == recording
    with pytest.raises(ProblemError, match="is still in progress or not filed yet"):
        check_order(repos, DORA, going_on, order)


def test_part_of_it_is_erased_and_while_it_goes_on_that_is_said(
    site: RebuildSite, recording: RecordingId, going_on: RecordingId
) -> None:
    with pytest.raises(ProblemError, match="in progress or not filed yet"):
        row_of(erasure_books(site), DORA, Act.ERASE, going_on)
    site.index.save(row_from_json(row(going_on, outcome="partial", started_at=ANSWERED.isoformat())))
    eraser = Eraser(
        vault=site.vault, keys=site.epochs, index=site.index, erasures=site.erasures, holds=site.holds,
        audit=site.audit, lock=site.home.erasing_lock, now=lambda: site.now,
    )  # fmt: skip
    for one in (recording, going_on):
        order = ErasureOrder(
            id=new_order_id(), recording=one, start_s=0.0, end_s=0.5, kind=ErasureKind.CARD_DATA, ordered_by="olive",
            ordered_at=site.now, state=ErasureState.CONFIRMED,
        )  # fmt: skip
        site.erasures.place(order)
    done = [(one.recording, one.state, one.problem) for one in eraser.carry_out_due()]
    assert done == [(recording, ErasureState.DONE, "")], "the other one waits until its container is closed"


def test_it_is_held_while_it_goes_on(site: RebuildSite, going_on: RecordingId) -> None:
    repos = HoldRepositories(
        index=site.index, holds=site.holds, audit=site.audit, vault=site.vault, people=lambda: [LEA],
        audit_service=audit_service(site.audit, site.home.state), state=site.home.state, now=lambda: site.now,
    )  # fmt: skip
    wish = HoldWish(kind=HoldKind.COMPLAINT, reason="complaint 17", case_reference="C-17")
    assert place_hold(repos, LEA, going_on, wish).recording == going_on


def test_it_is_swept(site: RebuildSite, recording: RecordingId) -> None:
    site.sweep(ANSWERED + timedelta(days=91))
    assert site.traces(recording) == GONE
