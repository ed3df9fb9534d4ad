"""Claims in the audit log: what their entries say, and how the table is rebuilt from them.

Each act is in the audit log before it is in the table.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from storage.audit_entry import AuditEntry
from storage.claims import Claims
from storage.retention_types import Claim, ClaimState, Right
from storage.rows import time_from_json, time_to_json
from storage.types import RecordingId

ASKED, UPHELD, DECLINED = "claim.asked", "claim.upheld", "claim.declined"
LIFTED, WITHDRAWN, DONE, USE_ALLOWED = "claim.lifted", "claim.withdrawn", "claim.done", "claim.use_allowed"
ACTS = (ASKED, UPHELD, DECLINED, LIFTED, WITHDRAWN, DONE, USE_ALLOWED)
"""Acts in the audit log that are replayed."""
ACT_OF = {
    ClaimState.UPHELD: UPHELD, ClaimState.DECLINED: DECLINED, ClaimState.LIFTED: LIFTED,
    ClaimState.WITHDRAWN: WITHDRAWN, ClaimState.DONE: DONE,
}  # fmt: skip
_STATE_OF = {act: state for state, act in ACT_OF.items()}

Text = Callable[[AuditEntry], str | None]
"""Returns the free text of an entry, or None: `storage.audit.AuditLog.text`."""


def asked_details(claim: Claim) -> dict[str, Any]:
    """Return the details of the entry of a new claim: all but its texts, recording and writer."""
    return {
        "claim": claim.id, "right": str(claim.right), "ground": claim.ground, "hold": claim.hold,
        "received_on": claim.received_on.isoformat(), "case_reference": claim.case_reference,
        "at": time_to_json(claim.asked_at),
    }  # fmt: skip


def asked_text(claim: Claim) -> str:
    """Return the text of the entry: the requester on the first line, then their reason."""
    return f"{claim.requester}\n{claim.reason}"


def changed_details(claim: Claim, at: datetime) -> dict[str, Any]:
    """Return the details of the entry of a changed claim."""
    return {
        "claim": claim.id, "at": time_to_json(at), "ground": claim.decision_ground,
        "over_at": time_to_json(claim.over_at), "use_ground": claim.use_ground,
        "use_until": time_to_json(claim.use_until),
    }  # fmt: skip


def replay_claims(entries: Iterable[AuditEntry], claims: Claims, *, text: Text = lambda _: None) -> int:
    """Bring the table to the state of the audit log; claims that the log does not mention stay.

    Args:
        entries: Entries of the audit log, at least those of `ACTS`, in order.
        claims: The table.
        text: Returns the texts of a claim that the table lacks.

    Returns:
        How many claims were missing or different.
    """
    return claims.save(journalled(entries, text).values())


def journalled(entries: Iterable[AuditEntry], text: Text = lambda _: None) -> dict[str, Claim]:
    """Return the claims by the audit log, by id."""
    said: dict[str, Claim] = {}
    for entry in entries:
        claim_id = str(entry.details.get("claim", ""))
        if entry.act == ASKED:
            said.setdefault(claim_id, _asked(entry, text(entry) or ""))
        elif entry.act in ACTS and claim_id in said:
            said[claim_id] = _changed(said[claim_id], entry, text(entry) or "")
    return said


def _asked(entry: AuditEntry, text: str) -> Claim:
    details = entry.details
    at = time_from_json(details["at"])
    assert at is not None
    requester, _, reason = text.partition("\n")
    return Claim(
        id=details["claim"], recording=RecordingId(entry.subject), right=Right(details["right"]),
        ground=details["ground"], received_on=date.fromisoformat(details["received_on"]), asked_by=entry.actor,
        asked_at=at, requester=requester, reason=reason, case_reference=details["case_reference"],
        hold=details["hold"],
    )  # fmt: skip


def _changed(claim: Claim, entry: AuditEntry, text: str) -> Claim:
    details = entry.details
    at = time_from_json(details["at"])
    words = text or claim.words
    if entry.act == USE_ALLOWED:
        return replace(
            claim, words=words, use_ground=details["use_ground"], use_by=entry.actor,
            use_until=time_from_json(details["use_until"]),
        )  # fmt: skip
    state = _STATE_OF[entry.act]
    over_at = time_from_json(details["over_at"])
    if state in (ClaimState.UPHELD, ClaimState.DECLINED):
        return replace(
            claim, state=state, words=words, decided_by=entry.actor, decided_at=at, decision_ground=details["ground"],
            over_at=over_at,
        )  # fmt: skip
    return replace(claim, state=state, words=words, over_at=over_at)
