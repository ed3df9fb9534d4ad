"""Whether the recording of a call in progress may be discarded: claims, holds by search, and a hold in that moment."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.common.problems import ProblemError
from recorder.recordings.kept_live import FOLDER, Discards, is_kept
from recorder.retention.hold_repositories import steady_holds
from recorder.retention.holding import place_hold
from recorder.rules.holds import HoldWish
from storage.claims import Claims
from storage.database import Database
from storage.query_holds import QueryHold, QueryHolds
from storage.retention_types import Claim, ClaimState, HoldKind, Right
from storage.types import RecordingId
from storage.vault import destroy
from tests.helpers.console_site import console_site, refused, signed_in
from tests.helpers.erasure_site import LEA, ErasureSite
from tests.helpers.storage_home import Site, head

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
ONE, OTHER = RecordingId("20261128T090000Z-2001-0a1b2c"), RecordingId("20261128T090000Z-2002-0a1b2c")
LIVE = RecordingId("20261124T093100Z-2001-bbbbbb")
WISH = HoldWish(kind=HoldKind.COMPLAINT, reason="the caller complained", case_reference="C-17")


@pytest.mark.parametrize("state", ClaimState)
def test_what_is_claimed_is_kept_while_something_follows(database: Database, state: ClaimState, tmp_path: Path) -> None:
    claim = Claim(
        id="1a2b3c4d", recording=ONE, right=Right.RESTRICTION, ground="accuracy", received_on=NOW.date(),
        asked_by="lena", asked_at=NOW, requester="Jane Doe-Smith", reason="that is not what I said", state=state,
    )  # fmt: skip
    Claims(database).save([claim])
    vault = Site(tmp_path).vault
    assert is_kept(database, vault, ONE, NOW) is (state in {ClaimState.ASKED, ClaimState.UPHELD})
    assert not is_kept(database, vault, OTHER, NOW)


@pytest.fixture
def site(tmp_path: Path) -> ErasureSite:
    made = ErasureSite(tmp_path)
    made.begin(LIVE)
    return made


def discards(site: ErasureSite) -> Discards:
    return Discards(site.home / "state", site.index.database, site.audit, site.vault, now=lambda: site.now)


@pytest.mark.parametrize(
    ("number", "may_go"), [("020 7946 0000", False), ("442079460000", False), ("020 7946 0999", True)]
)
def test_a_call_that_fits_an_open_request_is_not_discarded(site: ErasureSite, number: str, may_go: bool) -> None:
    query = QueryHold(
        id="1a2b3c4d", case_reference="SAR-2026-0001", kind=HoldKind.SAR, owner="lea", placed_by="lea",
        placed_at=site.now, number=number,
    )  # fmt: skip
    QueryHolds(site.index.database).save([query])
    assert discards(site).decide(LIVE) is may_go


def test_a_call_whose_file_cannot_be_read_is_not_discarded_while_an_open_request_holds_by_search(
    site: ErasureSite,
) -> None:
    (path,) = site.vault.files_of(LIVE)
    content = path.read_bytes()
    path.write_bytes(b"\0" * len(content))
    assert discards(site).decide(LIVE), "nothing holds anything"
    discards(site).settle(LIVE)
    query = QueryHold(
        id="1a2b3c4d", case_reference="SAR-2026-0001", kind=HoldKind.SAR, owner="lea", placed_by="lea",
        placed_at=site.now, number="020 7946 0000",
    )  # fmt: skip
    QueryHolds(site.index.database).save([query])
    assert not discards(site).decide(LIVE), "it may be one of those that are asked for"


def test_a_hold_is_seen_or_refused_and_never_lost(site: ErasureSite) -> None:
    assert discards(site).decide(LIVE)
    with pytest.raises(ProblemError, match="being discarded"):
        place_hold(site.hold_repositories, LEA, LIVE, WISH)
    assert site.holds.of_recording(LIVE) == []
    discards(site).settle(LIVE)  # it was opted out meanwhile, say, and not discarded
    place_hold(site.hold_repositories, LEA, LIVE, WISH)
    assert not discards(site).decide(LIVE)


@pytest.mark.parametrize(("number", "is_refused"), [("020 7946 0000", True), ("020 7946 0999", False)])
def test_a_case_that_fits_what_is_being_discarded_is_refused_until_it_is_gone(
    tmp_path: Path, number: str, is_refused: bool
) -> None:
    """It would hold a recording that goes in the next moment, and nobody would know."""
    with console_site(tmp_path, is_daemon_up=False) as console:
        holds = console.deps.hold_repositories
        holds.vault.create(head(LIVE))
        discards = Discards(holds.state, holds.index.database, holds.audit, holds.vault, now=holds.now)
        assert discards.decide(LIVE)
        with signed_in(console, "lead") as lead:
            wish = {"requester": "J. Doe", "search": {"number": number}, "hold": 0}
            answer = lead.post("/api/cases", json=wish)
            if not is_refused:
                assert answer.status_code == 200, answer.text
                return
            assert "is being discarded" in refused(answer, 409)
            assert console.deps.cases.cases.all() == [], "and nothing of it is kept"
            discards.settle(LIVE)
            assert lead.post("/api/cases", json=wish).status_code == 200
        assert not discards.decide(LIVE)


def test_whoever_decides_waits_for_whoever_places_a_hold(site: ErasureSite) -> None:
    answers: list[bool] = []
    deciding = threading.Thread(target=lambda: answers.append(discards(site).decide(LIVE)))
    with steady_holds(site.hold_repositories):
        deciding.start()
        deciding.join(0.3)  # without the lock it would have decided long before
        assert deciding.is_alive()
        site.hold(recording=LIVE)
        assert not (site.home / "state" / FOLDER).exists()
    deciding.join(60)
    assert answers == [False]


def test_what_was_marked_is_forgotten_a_day_later(site: ErasureSite) -> None:
    assert discards(site).decide(LIVE)
    destroy(site.vault, LIVE)
    (mark,) = (site.home / "state" / FOLDER).iterdir()
    old = (site.now - timedelta(days=2)).timestamp()
    os.utime(mark, (old, old))
    assert discards(site).decide(ONE)
    assert [path.name for path in (site.home / "state" / FOLDER).iterdir()] == [ONE]
