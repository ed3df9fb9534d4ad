"""An audit service on a test's audit log."""

import time
from pathlib import Path

from recorder.audit.audit_service import AuditService
from recorder.audit.late_entries import SHELL_FOLDER, LateEntries
from recorder.common.clock import utc_now
from storage.audit import AuditLog


def audit_service(audit: AuditLog, state: Path) -> AuditService:
    """Return the service as commands have it; ``state`` is the home's folder of states."""
    late = LateEntries(
        audit, state / SHELL_FOLDER, alarm=lambda _: None, now=utc_now, clock=time.monotonic, is_left_to_daemon=True
    )
    return AuditService(audit=audit, late=late)
