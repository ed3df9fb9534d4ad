"""Destroys recordings after a rights request for erasure, or an objection, was upheld; part of the sweep.

The age of the recording does not matter. A legal hold keeps it until the hold is over. Interrupted at any point, the
next sweep goes on.
"""

from dataclasses import replace
from datetime import datetime

from recorder.retention.rights import ClaimEvent, is_to_destroy, state_after
from recorder.retention.sweep_sharing import announced
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.claim_journal import DONE, changed_details
from storage.claims import Claims
from storage.deletion import PART, Shredder
from storage.holds import Holds
from storage.retention_types import Claim
from storage.tombstones import Tombstone
from storage.tree import files_of
from storage.types import RecordingId


def count_claims(holds: Holds, now: datetime) -> int:
    """Return how many recordings a sweep would destroy because of rights requests; changes nothing."""
    return len({claim.recording for claim in _due(holds, now)})


def kinds_keeping(holds: Holds, now: datetime) -> dict[RecordingId, tuple[str, ...]]:
    """Return the recordings that only legal holds save from rights requests, with the kinds of hold."""
    found = [claim.recording for claim in Claims(holds.database).open() if is_to_destroy(claim)]
    return holds.kinds_among(found, now)


def carry_out_claims(shredder: Shredder, holds: Holds, audit: AuditLog, now: datetime) -> int:
    """Destroy the recordings whose erasure or objection was upheld; returns how many.

    The caller prevents that holds change and recordings are rewritten.

    Raises:
        StorageError, OSError: Log, database or disk failed; the next sweep goes on.
    """
    claims, gone = Claims(holds.database), 0
    for claim in _due(holds, now):
        files = files_of(shredder.vault.root, [claim.recording])
        if any(path.endswith(PART) for path in files.get(claim.recording, ())):
            continue
        if shredder.deletions.get(claim.recording) is None:
            rule = f"claim {claim.id}"
            done = shredder.delete([Tombstone(id=claim.recording, deleted_at=now, rule=rule)], rule=rule, files=files)
            if done.problems or done.spared:
                continue
            gone += 1
        after = replace(claim, state=state_after(claim, ClaimEvent.CARRY_OUT), over_at=now)
        with announced(audit, DONE, RECORDER, claim.recording, changed_details(after, now)):
            claims.save([after])
    return gone


def _due(holds: Holds, now: datetime) -> list[Claim]:
    found = [claim for claim in Claims(holds.database).open() if is_to_destroy(claim)]
    held = holds.held_among([claim.recording for claim in found], now)
    return [claim for claim in found if claim.recording not in held]
