"""The table of claims: data subjects' requests for restriction, objection or erasure, in the database of the index.

Each act is in the audit log first (`storage.claim_journal`), so the table can be rebuilt from it. Safe from any thread
and from several processes. Who may decide is checked by `recorder.retention`.
"""

import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storage.database import Database
from storage.errors import NotFoundError
from storage.retention_types import Claim, ClaimState, Right
from storage.rows import time_from_json, time_to_json
from storage.tables import claims as _claims
from storage.tables import microseconds
from storage.types import RecordingId

_ASKED_AT_ONCE = 500
"""Ids in one statement; every SQLite takes at least 999 values."""
OPEN = (ClaimState.ASKED, ClaimState.UPHELD)
"""States in which a claim has effect or awaits a decision."""
LISTED = 500


def new_claim_id() -> str:
    """Return a fresh id of a claim: 8 hex."""
    return secrets.token_hex(4)


class Claims:
    """The claims in one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, claim_id: str) -> Claim:
        """Return a claim.

        Raises:
            NotFoundError: No claim has that id.
        """
        found = self._select(_claims.c.id == claim_id)
        if not found:
            raise NotFoundError("There is no such claim.")
        return found[0]

    def of_recording(self, recording: RecordingId) -> list[Claim]:
        """Return all claims on one recording, oldest first."""
        return sorted(self._select(_claims.c.recording == recording), key=lambda claim: (claim.asked_at, claim.id))

    def open(self) -> list[Claim]:
        """Return the claims in a state of `OPEN`, oldest first."""
        states = [str(state) for state in OPEN]
        return sorted(self._select(_claims.c.state.in_(states)), key=lambda claim: (claim.asked_at, claim.id))

    def newest(self, limit: int = LISTED) -> list[Claim]:
        """Return claims in any state, the newest first."""
        found = self._select(sa.true())
        return sorted(found, key=lambda claim: (claim.asked_at, claim.id), reverse=True)[:limit]

    def save(self, claims: Iterable[Claim]) -> int:
        """Store claims, all or none; returns how many were missing or different. Stored texts are kept."""
        changed = 0
        with self._database.begin() as connection:
            for one in claims:
                found = connection.execute(_claims.select().where(_claims.c.id == one.id)).one_or_none()
                if found is None:
                    connection.execute(_claims.insert().values(_columns(one)))
                    changed += 1
                    continue
                known = _claim(found)
                claim = replace(one, requester=known.requester, reason=known.reason, words=one.words or known.words)
                if claim != known:
                    connection.execute(_claims.update().where(_claims.c.id == claim.id).values(_columns(claim)))
                    changed += 1
        return changed

    def forget_texts(self, claim_ids: Sequence[str]) -> int:
        """Delete the texts of claims; returns how many had any."""
        had = sa.or_(_claims.c.requester != "", _claims.c.reason != "", _claims.c.words != "")
        forgotten = 0
        with self._database.begin() as connection:
            for start in range(0, len(claim_ids), _ASKED_AT_ONCE):
                some = claim_ids[start : start + _ASKED_AT_ONCE]
                query = _claims.update().where(_claims.c.id.in_(some), had)
                forgotten += connection.execute(query.values(requester="", reason="", words="")).rowcount
        return forgotten

    def with_texts(self, *, before: datetime) -> list[Claim]:
        """Return the claims that were over before a moment and still have a text."""
        had = sa.or_(_claims.c.requester != "", _claims.c.reason != "", _claims.c.words != "")
        return self._select(sa.and_(_claims.c.over_us < microseconds(before), had))

    def _select(self, condition: sa.ColumnElement[bool]) -> list[Claim]:
        with self._database.connect() as connection:
            return [_claim(found) for found in connection.execute(_claims.select().where(condition))]


def _columns(claim: Claim) -> dict[str, Any]:
    document = {
        "right": str(claim.right), "ground": claim.ground, "received_on": claim.received_on.isoformat(),
        "asked_by": claim.asked_by, "asked_at": time_to_json(claim.asked_at), "case_reference": claim.case_reference,
        "hold": claim.hold, "decided_by": claim.decided_by, "decided_at": time_to_json(claim.decided_at),
        "decision_ground": claim.decision_ground, "over_at": time_to_json(claim.over_at),
        "use_ground": claim.use_ground, "use_by": claim.use_by, "use_until": time_to_json(claim.use_until),
    }  # fmt: skip
    return {
        "id": claim.id, "recording": claim.recording, "state": str(claim.state),
        "over_us": None if claim.over_at is None else microseconds(claim.over_at), "document": json.dumps(document),
        "requester": claim.requester, "reason": claim.reason, "words": claim.words,
    }  # fmt: skip


def _claim(found: sa.Row[Any]) -> Claim:
    document = json.loads(found.document)
    asked_at = time_from_json(document["asked_at"])
    assert asked_at is not None
    return Claim(
        id=found.id, recording=RecordingId(found.recording), right=Right(document["right"]), ground=document["ground"],
        received_on=date.fromisoformat(document["received_on"]), asked_by=document["asked_by"], asked_at=asked_at,
        requester=found.requester, reason=found.reason, case_reference=document["case_reference"],
        state=ClaimState(found.state), hold=document["hold"], decided_by=document["decided_by"],
        decided_at=time_from_json(document["decided_at"]), decision_ground=document["decision_ground"],
        words=found.words, over_at=time_from_json(document["over_at"]), use_ground=document["use_ground"],
        use_by=document["use_by"], use_until=time_from_json(document["use_until"]),
    )  # fmt: skip
