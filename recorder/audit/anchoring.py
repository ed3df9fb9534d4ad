"""Anchors the head of the audit log on other machines: at the start, regularly, and at the end; retries after failures.

It runs on a thread of its own, and nothing waits for it: a failure raises an alarm, but refuses nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from recorder.audit.anchor_targets import AnchorError, Target
from storage.anchors import Anchor, Anchors
from storage.audit import AuditLog
from storage.errors import AuditUnavailableError, DatabaseError
from storage.heads import Head
from storage.rows import time_to_json

_log = logging.getLogger(__name__)

NODE_CHARACTERS = 16
"""Leading characters of the node key's fingerprint, which identify the log of a head."""
RETRY_S = 60.0
"""Delay after a failure, seconds."""
TIMEOUT_S, LAST_TIMEOUT_S = 10.0, 2.0
"""How long each target may take; and while the daemon ends."""
_LONGEST_NAP_S = 30.0
"""Longest wait until a changed configuration is noticed, seconds."""
ALARM = "anchor_failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """The state of one target: the newest head sent to it, and why the last try failed, if it did."""

    good: Anchor | None = None
    problem: str = ""


class Anchoring:
    """Sends heads to targets.

    Args:
        node: The first NODE_CHARACTERS of the fingerprint of the node's key.
        targets: Returns the configured targets.
        every_s: Returns the time between anchors, seconds.
        anchors: Stores what was sent; a database that does not answer does not prevent sending.
        alarm: Called with ``anchor_failed`` for each failure.
        now: The wall clock.
        clock: Monotonic, seconds.
    """

    def __init__(
        self,
        audit: AuditLog,
        *,
        node: str,
        targets: Callable[[], Sequence[Target]],
        every_s: Callable[[], float],
        anchors: Anchors,
        alarm: Callable[[str], None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._audit = audit
        self._node = node
        self._targets = targets
        self._every_s = every_s
        self._anchors = anchors
        self._alarm = alarm
        self._now = now
        self._clock = clock
        self._due_s: dict[str, float] = {}
        self._states: dict[str, TargetState] = {}

    def keep(self, stopping: threading.Event) -> None:
        """Run until told to stop, then anchor the last head."""
        while True:
            try:
                wait_s = self.run_due()
            except Exception:  # noqa: BLE001 - a bug here must not end anchoring
                _log.exception("Anchoring heads of the audit log failed; retrying")
                self._alarm(ALARM)
                wait_s = RETRY_S
            if stopping.wait(min(wait_s, _LONGEST_NAP_S)):
                break
        self.run_due(timeout_s=LAST_TIMEOUT_S, is_last=True)

    def run_due(self, *, timeout_s: float = TIMEOUT_S, is_last: bool = False) -> float:
        """Send the head to each target that is due; returns seconds until the next one is.

        Args:
            timeout_s: How long each target may take.
            is_last: All targets are due, except those that have the newest entry.
        """
        targets = self._targets()
        due = [one for one in targets if is_last or self._due_s.get(one.name, 0.0) <= self._clock()]
        if due:
            self._tell(due, timeout_s, is_last=is_last)
        left = [self._due_s.get(one.name, 0.0) - self._clock() for one in targets]
        return max(min(left, default=_LONGEST_NAP_S), 0.0)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the state of each target, for health."""
        now = self._now()
        listed = []
        for target in self._targets():
            state = self._states.get(target.name, TargetState())
            age_s = None if state.good is None else round((now - state.good.at).total_seconds(), 1)
            listed.append(
                {
                    "target": target.name,
                    "at": time_to_json(state.good.at if state.good else None),
                    "age_s": age_s,
                    "entry": state.good.number if state.good else None,
                    "problem": state.problem,
                }
            )
        return listed

    def _tell(self, due: Sequence[Target], timeout_s: float, *, is_last: bool) -> None:
        try:
            newest = self._audit.head()
        except AuditUnavailableError as error:
            self._failed(due, None, str(error))
            return
        for target in due:
            self._due_s[target.name] = self._clock() + self._every_s()
            state = self._states.get(target.name, TargetState()).good
            if newest is None or (is_last and state is not None and state.hash == newest.hash):
                continue
            head = replace(newest, at=self._now(), node=self._node)
            try:
                target.send(head, timeout_s=timeout_s)
            except AnchorError as error:
                self._failed([target], head, str(error))
            else:
                self._note(head, target, "")

    def _failed(self, targets: Sequence[Target], head: Head | None, problem: str) -> None:
        for target in targets:
            self._alarm(ALARM)
            self._due_s[target.name] = self._clock() + min(RETRY_S, self._every_s())
            if self._states.get(target.name, TargetState()).problem != problem:
                _log.error("Anchoring the head of the audit log failed; retrying: %s", problem)
            self._states[target.name] = replace(self._states.get(target.name, TargetState()), problem=problem)
            if head is not None:
                self._note(head, target, problem)

    def _note(self, head: Head, target: Target, problem: str) -> None:
        assert head.number is not None
        assert head.at is not None
        anchor = Anchor(target=target.name, number=head.number, hash=head.hash, at=head.at, problem=problem)
        if not problem:
            self._states[target.name] = TargetState(good=anchor)
            _log.info("Head %d of the audit log anchored: %s", head.number, target.name)
        try:
            self._anchors.note(anchor)
        except (DatabaseError, OSError) as error:
            _log.warning("Storing an anchor in the database failed: %s", error)
