"""Makes a restored home agree with its audit log, before anything starts in it; then verifies every recording."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.backups.closing import ACTS, Closed, close_access, told_by
from recorder.backups.restore_plan import RestorePlan
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.agreement import set_mark
from recorder.recordings.home_stores import open_vault
from recorder.recordings.inspection import Inspector
from recorder.recordings.keyring import months_without_key, private_folder
from recorder.recordings.recovery import index_container
from recorder.recordings.replay import readable, replay
from recorder.recordings.resurrection_guard import destroy_returned
from storage.audit import AuditLog
from storage.database import Database
from storage.errors import NotFoundError
from storage.index import Index
from storage.rows import time_to_json
from storage.types import Verification
from storage.vault import Vault

RESTORED = "backup.restored"
"""Act of the audit log."""

Progress = Callable[[str, int, int], None]


@dataclass(slots=True, kw_only=True)
class Settled:
    """What was done to a restored home.

    Attributes:
        replayed: What was replayed from the audit log, as `recorder.recordings.replay.Replayed` counts it.
        destroyed: Recordings that had been deleted, and were in the snapshot or the index.
        indexed: Recordings whose row was made from the container.
        access: What was closed of accounts, tokens and grants, and what people have to decide.
        verified: Recordings that were verified.
        problems: What does not verify, by id.
        months_without_key: Months to which recordings are sealed, and whose private key is not there.
    """

    replayed: dict[str, Any] = field(default_factory=dict)
    destroyed: int = 0
    indexed: int = 0
    access: Closed = field(default_factory=Closed)
    verified: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    months_without_key: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return {
            "replayed": dict(self.replayed), "deleted_again": self.destroyed, "rows_made": self.indexed,
            "sessions_ended": self.access.sessions, "access_closed": list(self.access.closed),
            "to_decide": list(self.access.decide), "verified": self.verified, "problems": dict(self.problems),
            "months_without_private_key": list(self.months_without_key),
        }  # fmt: skip


def settle(
    home: Home,
    config: Config,
    database: Database,
    plan: RestorePlan,
    done: Settled,
    *,
    by: str,
    now: Callable[[], datetime],
    progress: Progress,
) -> None:
    """Replay the audit log, close what was closed and destroy what was deleted since, complete the index, and verify.

    It may be interrupted anywhere and run again. Until the data protection officer has compared
    (`recorder index reconcile`) the sweep deletes nothing.

    Args:
        home: The restored home; nothing else uses it.
        config: Its configuration.
        database: Its index.
        plan: What was restored.
        done: Filled in.
        by: Who restored, for the audit log.
        now: The clock, UTC.
        progress: Called while recordings are verified.

    Raises:
        StorageError, OSError: From disk or database.
    """
    index = Index(database)
    vault, audit = open_vault(home, config, index), AuditLog(home.audit, now=now)
    why = f"this recorder was restored from snapshot {plan.snapshot.id}, made at {time_to_json(plan.snapshot.at)}"
    set_mark(home.state, now(), [why, plan.gap] if plan.gap else [why])
    details = {**plan.as_json(), "restored_at": time_to_json(now())}
    audit.append(RESTORED, by, "", details)
    done.indexed = _complete_index(vault, index, plan)
    replayed = replay(audit, database, now)
    done.replayed = replayed.as_json()
    told = told_by(readable(audit, ACTS), plan.snapshot.at)
    done.access = close_access(home, told, is_unsure=bool(plan.gap) or replayed.is_unsure_of_access, now=now())
    done.destroyed = len(destroy_returned(home, vault, database, now)) + len(plan.deleted)
    done.months_without_key = months_without_key(private_folder(home, config), vault)
    total = sum(1 for _ in vault.finished())
    for number, found in enumerate(Inspector(vault=vault, index=index).all(), 1):
        _note(found, done)
        progress("verifying", min(number, total), total)


def _note(found: Verification, done: Settled) -> None:
    done.verified += 1
    if found.problem is not None:
        done.problems[str(found.id)] = found.problem


def _complete_index(vault: Vault, index: Index, plan: RestorePlan) -> int:
    """Save rows of recordings that were filed after the index was copied, or rewritten since."""
    made = 0
    for path in vault.finished():
        if path.stem not in plan.rewritten and _has_row(index, path):
            continue
        index_container(vault, path, index.save)
        made += 1
    return made


def _has_row(index: Index, path: Path) -> bool:
    try:
        index.get(path.stem)
    except NotFoundError:
        return False
    return True
