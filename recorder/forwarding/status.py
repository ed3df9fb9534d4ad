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
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json

NAME = "forwarding.json"
WRITTEN_EVERY_S = 5.0
SYSLOG_FAILING, STOPPED = "syslog_failing", "forwarding_stopped"
"""The alarms: entries wait for the syslog server; the process that sends does not run."""
_SILENT_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the process that sends says of itself.

    Attributes:
        at: When it said so.
        syslog: How far the syslog is; None if none is configured.
    """

    at: datetime
    syslog: SyslogState | None = None

    def as_json(self) -> dict[str, Any]:
        """Return JSON-serialisable values."""
        return {"at": time_to_json(self.at), "syslog": asdict(self.syslog) if self.syslog else None}


def note_status(state: Path, status: Status) -> None:
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
        if config.syslog.server is None:
            return {"alarms": {}, "syslog": None}
        try:
            noted = json.loads((self.state / NAME).read_bytes())
            at = time_from_json(noted["at"]) or self._since
            syslog = None if noted["syslog"] is None else SyslogState(**noted["syslog"])
        except (OSError, ValueError, KeyError, TypeError):
            at, syslog = self._since, None
        alarms: dict[str, int] = {}
        if self.now() - max(at, self._since) > _SILENT_AFTER:
            alarms[STOPPED] = 1
        if syslog is not None and self._is_long(syslog.failing_since):
            alarms[SYSLOG_FAILING] = max(syslog.waiting, 1)
        return {"alarms": alarms, "syslog": None if syslog is None else asdict(syslog)}

    def _is_long(self, since: str) -> bool:
        began = time_from_json(since or None)
        return began is not None and self.now() - began >= FAILING_AFTER
