"""`recorder audit verify` where several machines share a database: the copies of their audit logs in it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from recorder.audit.copies import log_name
from recorder.audit.copies_check import CopiesCheck, CopyState
from recorder.cli.context import CommandContext
from recorder.cli.output import say
from recorder.common.clock import utc_now
from recorder.recordings.home_stores import open_index
from storage.anchors import heads_of_all
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies
from storage.errors import StorageError
from storage.heads import Head
from storage.keys import NodeKeys


@dataclass(slots=True, kw_only=True)
class VerifiedCopies:
    """The result for all copies.

    Attributes:
        states: One for each log.
        unverified: Why not all were verified; empty if they were.
        is_refused: This machine's role may not read them, so another machine has to verify them.
    """

    states: list[CopyState] = field(default_factory=list)
    unverified: str = ""
    is_refused: bool = False

    @property
    def problems(self) -> list[str]:
        """A sentence for each finding."""
        found = [problem for state in self.states for problem in state.problems]
        return [*found, self.unverified] if self.unverified else found

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "ok": not self.problems, "logs": [one.as_json() for one in self.states], "unverified": self.unverified,
            "is_refused": self.is_refused,
        }  # fmt: skip

    def tell(self) -> None:
        """Print the result for people."""
        for state in self.states:
            waiting = f"; {state.waiting} entries wait to be copied" if state.waiting else ""
            say(
                f"copy of {state.name}: {state.entries} entries are unchanged, {state.heads} noted heads match{waiting}"
            )
        for problem in self.problems:
            say(problem)
        if self.is_refused:
            say("copies in the database were left out: this role may not read them; a console's machine verifies them")


def verify_copies(context: CommandContext, given: Sequence[Head]) -> VerifiedCopies:
    """Verify the copies against the heads in the database, given heads, and the log of this home."""
    done = VerifiedCopies()
    try:
        node = NodeKeys.load(context.home.root)
        index = open_index(context.home, context.config)
        try:
            if not AuditCopies(index.database).is_readable():
                return VerifiedCopies(is_refused=True)
            check = CopiesCheck(
                copies=AuditCopies(index.database), log=AuditLog(context.home.audit),
                name=log_name(context.config, node), fingerprint=node.fingerprint,
                heads=[*given, *heads_of_all(index.database)], now=utc_now(),
            )  # fmt: skip
            done.states.extend(check.run())
        finally:
            index.close()
    except (StorageError, OSError) as error:
        done.unverified = f"the copies of audit logs in the database were not verified: {error}"
    return done
