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
from recorder.forwarding.syslog_forwarding import SyslogState
from recorder.forwarding.webhook_delivery import WebhookState
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json

NAME = "forwarding.json"
WRITTEN_EVERY_S = 5.0
SYSLOG_FAILING, WEBHOOK_FAILING, NOT_QUEUED = "syslog_failing", "webhook_failing", "events_not_queued"
STOPPED = "forwarding_stopped"
"""The alarms: a server takes nothing; the queue of webhooks takes nothing; the process that sends does not run."""
_SILENT_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingStatus:
    """What the process that sends says of itself.

    Attributes:
        at: When it said so.
        syslog: How far the syslog is; None if none is configured.
        webhooks: How deliveries to each webhook go.
        queue_problem: Why events cannot be queued for webhooks, or deliveries not be read; "" if they can.
    """

    at: datetime
    syslog: SyslogState | None = None
    webhooks: tuple[WebhookState, ...] = ()
    queue_problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values."""
        return {
            "at": time_to_json(self.at),
            "syslog": asdict(self.syslog) if self.syslog else None,
            "webhooks": [asdict(one) for one in self.webhooks],
            "queue_problem": self.queue_problem,
        }


def status_from_json(noted: dict[str, Any]) -> ForwardingStatus:
    """Return the status of `ForwardingStatus.as_json`. ValueError, KeyError or TypeError if it is none."""
    at = time_from_json(noted["at"])
    if at is None:
        raise ValueError("it has no time")
    return ForwardingStatus(
        at=at, syslog=None if noted["syslog"] is None else SyslogState(**noted["syslog"]),
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
        if config.syslog.server is None and not config.webhook:
            return {"alarms": {}, "syslog": None, "webhooks": []}
        try:
            status = status_from_json(json.loads((self.state / NAME).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError):
            status = ForwardingStatus(at=self._since)
        found = status.as_json()
        return {"alarms": self._alarms(status), **{key: found[key] for key in ("syslog", "webhooks", "queue_problem")}}

    def _alarms(self, status: ForwardingStatus) -> dict[str, int]:
        failing = [one for one in status.webhooks if one.given_up or self._is_long(one.failing_since)]
        found = {
            STOPPED: int(all(abs(self.now() - one) > _SILENT_AFTER for one in (status.at, self._since))),
            WEBHOOK_FAILING: len(failing),
            NOT_QUEUED: int(bool(status.queue_problem)),
        }
        if status.syslog is not None and self._is_long(status.syslog.failing_since):
            found[SYSLOG_FAILING] = max(status.syslog.waiting, 1)
        return {name: count for name, count in found.items() if count}

    def _is_long(self, since: str) -> bool:
        began = time_from_json(since or None)
        # A moment in the future is of before the clock was set back, so it is not known how long ago it was.
        return began is not None and abs(self.now() - began) >= FAILING_AFTER
