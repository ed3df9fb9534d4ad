"""Audit entries of commands, and what a person may do to a recording."""

import sys
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from recorder.access.database import AuditNote
from recorder.audit.audit_service import AuditService
from recorder.audit.late_entries import IN_MEMORY, SHELL_FOLDER, LateEntries
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.output import fail, say
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.permissions import Act, Allowed, Fault, Person, Refusal
from recorder.rules.authorisation import may
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError


def note_unnamed(home: Home, act: str, details: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Log an act without an account; if the log cannot be written, the act goes on."""
    if not home.audit.exists():
        return
    try:
        append(home, AuditNote(act=act, subject="", details={**details, **WITHOUT_ACCOUNT}), actor=f"os:{os_user()}")
    except AuditUnavailableError as error:
        say(f"{error}; your command continues")


def permit(
    home: Home,
    act: Act,
    person: Person,
    *,
    reason: str,
    subject: str,
    operator: str | None,
    details: Mapping[str, Any],
    has_grant: bool = False,
    noted_as: str = "",
) -> None:
    """Check that a person may do an act on a recording, and log it before it is done; exit if refused.

    The entry's act is ``noted_as``, if the act itself would say that it is already done.
    """
    decision = may(person, act, reason=reason, operator=operator, has_grant=has_grant)
    if isinstance(decision, Refusal):
        if decision.fault is Fault.INCOMPLETE and decision.field:
            fail(decision.reason)
        refuse(home, act, person, decision.reason, subject=subject, details=details, text=reason)
    assert isinstance(decision, Allowed)
    note = AuditNote(
        act=noted_as or act.value, subject=subject, details={**details, "break_glass": decision.break_glass}
    )
    audit(home, note, actor=person.actor, text=reason)


def refuse(
    home: Home,
    act: Act,
    person: Person,
    why: str,
    *,
    subject: str = "",
    details: Mapping[str, Any] = MappingProxyType({}),
    text: str = "",
    said: str | None = None,
) -> NoReturn:
    """Log a refusal and exit with its message, or with ``said``, which may tell less."""
    service = shell_audit(home, origin={"os_user": os_user()})
    service.note_late(f"{act.value}.refused", person.actor, subject, {**details, "why": why}, text=text or None)
    fail(said or why)


def shell_audit(home: Home, *, origin: Mapping[str, str] | None = None) -> AuditService:
    """Return the audit service of commands; the default ``origin`` is the shell and its user."""
    log = AuditLog(home.audit)
    late = LateEntries(
        log, home.state / SHELL_FOLDER, alarm=_late, now=utc_now, clock=time.monotonic, is_left_to_daemon=True
    )
    return AuditService(audit=log, late=late, origin=origin or {"where": "shell", "os_user": os_user()})


def _late(alarm: str) -> None:
    if alarm == IN_MEMORY:
        sys.stderr.write("The refusal is in no log: neither the audit log nor its queue can be written\n")
    else:
        sys.stderr.write("The audit log cannot be written; the daemon enters the refusal later\n")


def audit(home: Home, note: AuditNote, *, actor: str, text: str = "") -> None:
    """Write an audit entry; exit if it cannot be written, as nothing may happen without one."""
    try:
        append(home, note, actor=actor, text=text)
    except AuditUnavailableError as error:
        fail(f"{error}; nothing was done")


def append(home: Home, note: AuditNote, *, actor: str, text: str = "") -> None:
    """Write an audit entry.

    Raises:
        AuditUnavailableError: It cannot be written.
    """
    details = {**note.details, "os_user": os_user()}
    AuditLog(home.audit).append(act=note.act, actor=actor, subject=note.subject, details=details, text=text or None)
