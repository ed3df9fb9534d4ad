"""How sending to other systems goes, for the daemon's health report.

The process that sends writes `state/forwarding.json`; the daemon reads it, and so needs no answer of that process.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.config.settings import Config
from recorder.forwarding.retries import FAILING_AFTER
from recorder.forwarding.sending_progress import SendingState
from recorder.forwarding.webhook_delivery import WebhookState
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json

NAME = "forwarding.json"
WRITTEN_EVERY_S = 5.0
SYSLOG_FAILING, WEBHOOK_FAILING, NOT_QUEUED = "syslog_failing", "webhook_failing", "events_not_queued"
NOT_COPIED = "audit_not_copied"
STOPPED = "forwarding_stopped"
"""The alarms: a server takes nothing; the queue of webhooks takes nothing; the database takes no entries of the audit
log; the process that sends does not run."""
_SILENT_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingStatus:
    """What the process that sends says of itself.

    Attributes:
        at: When it said so.
        syslog: How far the syslog is; None if none is configured.
        copies: How far the copy of the audit log in the database is; None if there is none.
        webhooks: How deliveries to each webhook go.
        queue_problem: Why events cannot be queued for webhooks, or deliveries not be read; "" if they can.
    """

    at: datetime
    syslog: SendingState | None = None
    copies: SendingState | None = None
    webhooks: tuple[WebhookState, ...] = ()
    queue_problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values."""
        return {
            "at": time_to_json(self.at),
            "syslog": asdict(self.syslog) if self.syslog else None,
            "copies": asdict(self.copies) if self.copies else None,
            "webhooks": [asdict(one) for one in self.webhooks],
            "queue_problem": self.queue_problem,
        }


def status_from_json(noted: dict[str, Any]) -> ForwardingStatus:
    """Return the status of `ForwardingStatus.as_json`. ValueError, KeyError or TypeError if it is none."""
    at = time_from_json(noted["at"])
    if at is None:
        raise ValueError("it has no time")
    return ForwardingStatus(
        at=at, syslog=None if noted["syslog"] is None else SendingState(**noted["syslog"]),
        copies=None if noted.get("copies") is None else SendingState(**noted["copies"]),
        webhooks=tuple(WebhookState(**one) for one in noted["webhooks"]), queue_problem=str(noted["queue_problem"]),
    )  # fmt: skip


def note_status(state: Path, status: ForwardingStatus) -> None:
    """Write the status for the daemon.

    Args:
        state: The home's folder of states.
        status: The status.

    Raises:
        OSError: The file cannot be written.
    """
    make_folder(state)
    save_atomically(state / NAME, json.dumps(status.as_json()).encode())


def is_any(config: Config) -> bool:
    """Tell whether anything is to be sent: by syslog or webhooks, or copied to a database on a server."""
    return config.syslog.server is not None or bool(config.webhook) or config.is_shared_index


@dataclass(slots=True, kw_only=True)
class ForwardingHealth:
    """Reads the status that the process that sends wrote. Blocks.

    Attributes:
        state: The home's folder of states.
        config: Returns the configuration in force.
        now: The wall clock, UTC.
    """

    state: Path
    config: Callable[[], Config]
    now: Callable[[], datetime]
    _since: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._since = self.now()

    def look(self) -> dict[str, Any]:
        """Return ``alarms``, and how far sending is; no alarm where nothing is to be sent."""
        config = self.config()
        if not is_any(config):
            return {"alarms": {}, "syslog": None, "copies": None, "webhooks": []}
        try:
            status = status_from_json(json.loads((self.state / NAME).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            status = ForwardingStatus(at=self._since)
        found = status.as_json()
        said = ("syslog", "copies", "webhooks", "queue_problem")
        return {"alarms": self._alarms(status), **{key: found[key] for key in said}}

    def _alarms(self, status: ForwardingStatus) -> dict[str, int]:
        failing = [one for one in status.webhooks if one.given_up or self._is_long(one.failing_since)]
        found = {
            STOPPED: int(all(abs(self.now() - one) > _SILENT_AFTER for one in (status.at, self._since))),
            WEBHOOK_FAILING: len(failing),
            NOT_QUEUED: int(bool(status.queue_problem)),
        }
        for name, sending in ((SYSLOG_FAILING, status.syslog), (NOT_COPIED, status.copies)):
            if sending is not None and self._is_long(sending.failing_since):
                found[name] = max(sending.waiting, 1)
        return {name: count for name, count in found.items() if count}

    def _is_long(self, since: str) -> bool:
        began = time_from_json(since or None)
        # A moment in the future is of before the clock was set back, so it is not known how long ago it was.
        return began is not None and abs(self.now() - began) >= FAILING_AFTER
