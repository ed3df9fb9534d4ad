"""A claim from which something follows keeps the recording of a call in progress, on both engines."""

from datetime import UTC, datetime

import pytest

from recorder.keeping.kept_live import is_kept
from storage.claims import Claims
from storage.database import Database
from storage.types import Claim, ClaimState, RecordingId, Right

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)
ONE, OTHER = RecordingId("20261128T090000Z-2001-0a1b2c"), RecordingId("20261128T090000Z-2002-0a1b2c")


@pytest.mark.parametrize("state", ClaimState)
def test_what_is_claimed_is_kept_while_something_follows(database: Database, state: ClaimState) -> None:
    claim = Claim(
        id="1a2b3c4d", recording=ONE, right=Right.RESTRICTION, ground="accuracy", received_on=NOW.date(),
        asked_by="lena", asked_at=NOW, requester="Jane Doe-Smith", reason="that is not what I said", state=state,
    )  # fmt: skip
    Claims(database).save([claim])
    assert is_kept(database, ONE, NOW) is (state in {ClaimState.ASKED, ClaimState.UPHELD})
    assert not is_kept(database, OTHER, NOW)
