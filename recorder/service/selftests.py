"""Self-tests of the daemon: admits the two phones for one call, says how it goes, and deletes its recording.

`recorder.selftest` runs the phones and checks the recording, in a process of its own. The daemon admits one test at a
time. If that process dies, the test ends by itself after `LIMIT_S`. A recording that a dead daemon left is deleted at
the next start.
"""

import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import LiveCalls
from recorder.calls.selftest_calls import HOST, SelfTestCall, service_of
from recorder.common.problems import ProblemError
from recorder.common.serial_executor import SerialExecutor
from recorder.recordings.resurrection_guard import SweepBusyError
from recorder.retention.selftest_deletion import SelfTestDeletion
from sip.endpoint import SipEndpoint
from sip.options import Address
from storage.audit_entry import RECORDER
from storage.durable import save_atomically
from storage.errors import StorageError
from storage.keys import OneTimeSeal

_log = logging.getLogger(__name__)

LIMIT_S = 240.0
"""How long a self-test may take, seconds; the longest notice is part of it."""
STATE = "selftest.json"
"""The result of the last one, in the folder of states."""
_PORTS = 2
_TRIES, _RETRY_S = 10, 0.5
NOT_RUN = "not_run"


@dataclass(slots=True, eq=False)
class _Run:
    id: str
    call: SelfTestCall
    by: str
    deleted: bool | None = None
    kept: str = ""


class SelfTests:
    """Admits self-tests, one at a time. Call thread, unless a method says otherwise.

    Args:
        services: The daemon's services.
        calls: The calls in progress.
        endpoint: SIP.
        is_draining: Tells whether new calls are refused.
        deletion: Deletes recordings of self-tests.
        state: Folder of states.
        now: The clock, UTC.
    """

    def __init__(
        self,
        services: CallServices,
        calls: LiveCalls,
        endpoint: SipEndpoint,
        *,
        is_draining: Callable[[], bool],
        deletion: SelfTestDeletion,
        state: Path,
        now: Callable[[], datetime],
    ) -> None:
        self._services, self._calls, self._endpoint = services, calls, endpoint
        self._is_draining, self._deletion, self._state, self._now = is_draining, deletion, state, now
        self._executor = SerialExecutor("selftests")
        self._run: _Run | None = None
        self._is_running = False
        self._last: dict[str, Any] | None = None
        self.results = 0
        """How many results there were since the start."""
        with suppress(OSError, ValueError):
            self._last = json.loads((state / STATE).read_text())

    def start(self) -> None:
        """Delete what an earlier daemon left. Any thread."""
        self._executor.submit(self._delete, RECORDER)

    def close(self) -> None:
        """Wait for the deletion in progress. Any thread."""
        self._executor.close()

    def ready(self, run: str | None = None) -> None:
        """Check that a self-test can begin now, or that one is in progress and can end.

        Args:
            run: The one that is to end; None if one is to begin.

        Raises:
            ProblemError: 409: none can begin now, with the reason. 404: that one is not in progress.
        """
        if run is None:
            self._require_room()
        else:
            self._in_progress(run)

    def begin(self, by: str, *, run: str, ports: tuple[int, int], public_key: bytes) -> dict[str, Any]:
        """Admit the phones of a self-test.

        Args:
            by: Who runs it.
            run: Its id.
            ports: SIP ports of the calling and the called phone, on `HOST`.
            public_key: The X25519 key to which the recording's key is sealed too.

        Raises:
            ProblemError: 409: not now, with the reason; nothing was changed.
        """
        self._require_room()
        caller, callee = (Address(host=HOST, port=port) for port in ports)
        call = SelfTestCall(
            number=f"selftest-{secrets.token_hex(16)}",
            caller=caller,
            callee=callee,
            seal=OneTimeSeal(public=public_key),
        )
        self._run = begun = _Run(run, call, by)
        self._is_running = True
        self._calls.selftests.expected = call
        self._endpoint.admit_guests((caller, callee))
        self._services.scheduler.call_later(LIMIT_S, self._expire, begun)
        return {**self.as_json(), "number": call.number, **self._settings()}

    def _require_room(self) -> None:
        services, config = self._services, self._services.config
        first, last = config.media.ports
        legs = services.relay.counters()["legs"]
        why = None
        if self._is_running:
            why = "a self-test is running already: wait until it has ended"
        elif self._is_draining():
            why = "the recorder refuses new calls, as it is draining: run it when `recorder health` says it takes calls"
        elif not config.extension:
            why = "no extension is nominated: there is no service whose rules could be tested"
        elif any(used >= most for used, most in self._calls.room(None)):
            why = "the recorder has as many calls as it may have ([limits] max_calls): run it when there are fewer"
        elif 2 * (legs + _PORTS) > last - first + 1:
            why = (
                f"all media ports are taken, by {legs} legs: run it when there are fewer calls, or widen [media] ports"
            )
        elif ":" in config.media_address or ":" in str(services.sip_status.address.host):
            why = "SIP or media listen on an IPv6 address, and the phones of the self-test have IPv4 only"
        if why is not None:
            raise ProblemError(409, f"{why[:1].upper()}{why[1:]}.", title="No self-test now")

    def _settings(self) -> dict[str, Any]:
        """Return what the self-test has to know of the configuration in force."""
        services, config = self._services, self._services.config
        service = service_of(config).name
        targets = {
            (route.name, str(target)): [[one.host, one.port, one.transport.value] for one in services.locate(target)]
            for route in (config.route if config.selftest.targets_answer else ())
            for target in route.targets
        }
        return {
            "sip": str(services.sip_status.address),
            "media_address": config.media_address,
            "pause_keys": config.pause.pause_keys,
            "resume_keys": config.pause.resume_keys,
            "erase_s": config.pause.erase_s,
            "look_back_s": config.pause.look_back_s,
            "card_digits": config.pause.card_digits,
            "service": service,
            "notice": {"sha256": services.sounds.announcements.of(service, self._now()).first.sha256},
            "targets": [{"route": route, "target": name, "at": at} for (route, name), at in targets.items()],
        }

    def as_json(self) -> dict[str, Any]:
        """Return how the self-test in progress, or the last one, goes.

        Raises:
            ProblemError: 404: there was none.
        """
        run = self._run
        if run is None:
            raise ProblemError(404, "There is no self-test.")
        call, services = run.call, self._services
        live = call.live() if call.live is not None else None
        return {
            "run": run.id,
            "pid": os.getpid(),
            "recording": call.recording,
            "refused": None if call.refused is None else list(call.refused),
            "phase": None if live is None else live["phase"],
            "state": None if live is None else live["state"],
            "position_s": None if live is None else live["position_s"],
            "ended": None if call.ended is None else list(call.ended),
            "sealed_key": None if call.seal.sealed is None else call.seal.sealed.hex(),
            "deleted": run.deleted,
            "kept": run.kept,
            "clock": self._now().isoformat(),
            "writer_lag_s": round(services.writer.counters.lag_s, 3),
            "writer_waits_s": round(max(time.monotonic() - services.writer.marked_s, 0.0), 3),
            "rows_waiting": services.rows.waiting,
            "alarms": services.alarms.copy(),
            "registrations": list(services.sip_status.registrations),
        }

    def end(self, run: str, *, failed: Sequence[str], duration_s: float) -> "Future[None]":
        """End a self-test with its result; the future is done when its recording is deleted, or is kept.

        Raises:
            ProblemError: 404: it is not in progress.
        """
        return self._end(self._in_progress(run), failed, duration_s)

    def _in_progress(self, run: str) -> _Run:
        if self._run is None or self._run.id != run or not self._is_running:
            raise ProblemError(404, "This self-test is not in progress: it may have taken too long.")
        return self._run

    def _expire(self, run: _Run) -> None:
        if run is self._run and self._is_running:
            _log.error("a self-test has not ended within %.0f s; its call is ended, and its recording deleted", LIMIT_S)
            details = {"run": run.id, "passed": False, "failed": [NOT_RUN]}
            self._executor.submit(
                self._services.late.enter, act="selftest.ended", actor=RECORDER, subject=run.call.recording or "",
                details=details,
            )  # fmt: skip
            self._end(run, [NOT_RUN], LIMIT_S)

    def _end(self, run: _Run, failed: Sequence[str], duration_s: float) -> "Future[None]":
        self._endpoint.admit_guests(())
        if run.call.recording is not None and run.call.ended is None:
            self._calls.selftests.hang_up()
        self.note(failed, duration_s)
        self._calls.selftests.expected = None
        return self._executor.submit(self._finish, run)

    def note(self, failed: Sequence[str], duration_s: float) -> None:
        """Note a result: the alarm stands until the next one that passes. Any thread."""
        self.results += 1
        self._last = {
            "at": self._now().isoformat(), "passed": not failed, "failed": list(failed),
            "duration_s": round(duration_s, 1),
            "passed_at": self._now().isoformat() if not failed else (self._last or {}).get("passed_at"),
        }  # fmt: skip

    def health(self) -> dict[str, Any]:
        """Return the last result, and the alarm that stands. Any thread."""
        last = self._last
        alarms = {"selftest_failed": len(last["failed"])} if last is not None and not last["passed"] else {}
        return {"running": self._is_running, "last": last, "alarms": alarms}

    # --- on the executor

    def _finish(self, run: _Run) -> None:
        try:
            kept = self._delete(run.by, run.call.recording)
            run.kept = next(iter(kept.values()), "") if kept is not None else "it could not be deleted yet; see the log"
            run.deleted = run.call.recording is not None and not run.kept
            with suppress(OSError):
                save_atomically(self._state / STATE, json.dumps(self._last).encode())
        finally:
            self._is_running = False

    def _delete(self, by: str, wanted: str | None = None) -> dict[str, str] | None:
        """Delete the recordings of self-tests; return those that are kept, or None if nothing could be done now."""
        is_open = self._services.open_recordings.__contains__
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_RETRY_S)
            if wanted is not None and is_open(wanted) and attempt + 1 < _TRIES:
                continue  # its call has just been ended
            try:
                return {str(one): why for one, why in self._deletion.delete(by, is_open=is_open).items()}
            except SweepBusyError:
                continue
            except (StorageError, OSError) as error:
                _log.error("recordings of self-tests are not deleted yet; the next self-test tries again: %s", error)
                return None
        return None
