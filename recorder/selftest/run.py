"""Runs a self-test: begins it at the daemon, makes the call, checks it, and ends it, whatever happened."""

import secrets
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from audio.types import Codec
from recorder.calls.announcements import choice_of, load_announcements
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.control.client import SelfTestClient
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.demo.phones.kinds import PhoneKind, choose
from recorder.demo.phones.messages import PhoneError
from recorder.demo.phones.phone import Phone
from recorder.recordings.home_stores import open_index
from recorder.selftest.call import CallFailedError, CallSeen, CheckedCall
from recorder.selftest.checks import Material, check_clock, check_heard, check_recorded, check_row
from recorder.selftest.places import is_written
from recorder.selftest.recorded import Recorded, open_recorded
from recorder.selftest.report import Report
from recorder.selftest.signals import Signal, linear
from recorder.selftest.targets import check_targets
from storage import crypto
from storage.errors import NotFoundError, StorageError
from storage.keys import NodeKeys
from storage.types import SELFTEST, RecordingId, RecordingRow, Search
from storage.vault import Vault
from storage.verify import verify

_INDEX_S = 10.0
_DELETED_S = 15.0
_LOOK_S = 0.1
Tell = Callable[[str], None]


class CannotRunError(Exception):
    """There can be no self-test now; the message is a sentence. Nothing was changed."""


class SelfTest:
    """One self-test of the recorder that runs in a home.

    Args:
        home: The recorder's home.
        kind: The phones; None is the built-in one.
        tell: Told what happens.
    """

    def __init__(self, home: Home, *, kind: PhoneKind | None = None, tell: Tell = lambda _sentence: None) -> None:
        self._home, self._kind, self._tell = home, kind or PhoneKind.BUILT_IN, tell
        self._config: Config = read_config(home.config)
        self._private = secrets.token_bytes(crypto.KEY_BYTES)
        self._public = crypto.public_of(self._private)
        self._report = Report()
        self._began_s, self._began_at = time.monotonic(), utc_now()

    def run(self) -> Report:
        """Run it; return the checks.

        Raises:
            CannotRunError: There can be none now.
        """
        try:
            kind = choose(self._kind)
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recorder-selftest-")))
                client = stack.enter_context(SelfTestClient(self._home.socket))
                officer = stack.enter_context(Phone("selftest", kind=kind))
                caller = stack.enter_context(Phone("selftest", kind=kind))
                begun = client.begin(caller.port, officer.port, self._public.hex())
                self._tell(f"two {kind} phones call through the recorder at {begun['sip']}")
                try:
                    self._test(client, folder, begun, caller, officer)
                finally:
                    self._end(client, begun["run"])
        except (DaemonUnavailableError, DaemonRefusedError, PhoneError) as error:
            raise CannotRunError(str(error)) from error
        self._report.duration_s = round(time.monotonic() - self._began_s, 1)
        return self._report

    def _test(self, client: SelfTestClient, folder: Path, begun: dict[str, Any], caller: Phone, officer: Phone) -> None:
        report, pause = self._report, self._config.pause
        call = CheckedCall(
            folder, begun, lambda seen: self._look(client, seen), keys=(pause.pause_keys, pause.resume_keys),
            tell=self._tell,
        )  # fmt: skip
        check_targets(report, begun["targets"], client.state()["registrations"], self._config.sip.listen.host)
        try:
            call.hold(caller, officer)
            report.check("call", True, "the call was answered, connected and ended as it should", "")
        except CallFailedError as error:
            report.check(error.name, False, "", str(error))
        except PhoneError as error:
            report.check("call", False, "", f"the call went no further: {error}")
        finally:
            caller.hang_up()
            officer.hang_up()
        state = self._wait_filed(client, call.seen)
        caller.close()
        officer.close()
        self._check(call.seen, state, begun)

    def _look(self, client: SelfTestClient, seen: CallSeen) -> dict[str, Any]:
        asked_at = utc_now()
        state = client.state()
        clock = datetime.fromisoformat(state["clock"])
        off_s = max((asked_at - clock).total_seconds(), (clock - utc_now()).total_seconds(), 0.0)
        seen.clock_off_s = max(seen.clock_off_s, off_s)
        seen.longest_wait_s = max(seen.longest_wait_s, state["writer_waits_s"], state["writer_lag_s"])
        seen.state = state
        return state

    def _wait_filed(self, client: SelfTestClient, seen: CallSeen) -> dict[str, Any]:
        """Wait until a call that began is filed, even if it came no further."""
        deadline = time.monotonic() + _INDEX_S
        state = self._look(client, seen)
        while state["recording"] is not None and state["ended"] is None and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            state = self._look(client, seen)
        return state

    # --- the checks

    def _check(self, seen: CallSeen, state: dict[str, Any], begun: dict[str, Any]) -> None:
        report, notice = self._report, self._notice(begun["service"])
        report.recording = state["recording"]
        if seen.heard_by_caller.exists():
            check_heard(report, seen, notice[1])
        stepped_s = (utc_now() - self._began_at).total_seconds() - (time.monotonic() - self._began_s)
        check_clock(report, seen, stepped_s)
        if report.recording is None:
            return
        row = self._row(RecordingId(report.recording), state)
        if row is None:
            return
        check_row(report, row, seen, (begun["notice"]["sha256"], notice[0]))
        recorded = self._open(row, state)
        if recorded is not None and row.path is not None:
            check_recorded(report, Material(
                seen=seen, row=row, recorded=recorded, erase_s=float(begun["erase_s"]), notice=notice[1],
            ))  # fmt: skip
        self._check_digits(seen, row, recorded)

    def _notice(self, service: str) -> tuple[str, Signal]:
        """Return hash and sound of the notice that is set for a service."""
        try:
            found = load_announcements(NoticeStore(self._home.notices), choice_of(self._config), utc_now())
        except NoticeError as error:
            self._report.check("notice_file", False, "", f"the notice's file cannot be used: {error}")
            return "", np.zeros(0)
        notice = found.of(service, utc_now()).first
        return notice.sha256, linear(Codec.PCMA, notice.prompt.audio[Codec.PCMA])

    def _row(self, recording: RecordingId, state: dict[str, Any]) -> RecordingRow | None:
        """Find the row as people would, by time and extension."""
        why = ""
        index = open_index(self._home, self._config, is_deferred=True)
        row = None
        try:
            deadline = time.monotonic() + _INDEX_S
            while row is None and time.monotonic() < deadline:
                try:
                    found = index.find(Search(extension=SELFTEST, selftests=True))
                    row = next((one for one in found if one.id == recording), None)
                except (StorageError, NotFoundError, OSError) as error:
                    why = f": {error}"
                if row is None:
                    time.sleep(_LOOK_S)
        finally:
            index.close()
        if state["rows_waiting"] or state["alarms"].get("index_unavailable"):
            why = ": the database takes no rows; the daemon's log says why"
        self._report.check(
            "index",
            row is not None,
            "the row is found in the index",
            f"the row is not in the index{why}",
        )
        return row

    def _open(self, row: RecordingRow, state: dict[str, Any]) -> Recorded | None:
        vault = Vault(self._home.root, NodeKeys.load(self._home.root))
        if row.path is None:
            self._report.check("container", False, "", f"nothing was kept of the call: {row.outcome} ({row.reason})")
            return None
        path, problem, recorded = vault.locate(row.path), None, None
        try:
            problem = verify(path, vault.trusted).problem or vault.sealed.problem(row.id)
            sealed = bytes.fromhex(state["sealed_key"] or "")
            recorded = open_recorded(path, row.id, sealed, self._public, self._private)
        except (StorageError, OSError, ValueError) as error:
            problem = problem or str(error)
        self._report.check("container", problem is None, "the container verifies", f"the container is wrong: {problem}")
        return recorded

    def _check_digits(self, seen: CallSeen, row: RecordingRow, recorded: Recorded | None) -> None:
        found = is_written(
            self._home, seen.digits, since=self._began_at, row=row, plain=getattr(recorded, "plain", b"")
        )
        self._report.check(
            "digits",
            not found,
            "the digits that the caller keyed are written nowhere",
            f"the digits that the caller keyed are written in {', '.join(found)}",
        )

    # --- the end

    def _end(self, client: SelfTestClient, run: str) -> None:
        report = self._report
        state = client.end(
            run,
            failed=report.failed or ([] if report.checks else ["call"]),
            duration_s=time.monotonic() - self._began_s,
        )
        deadline = time.monotonic() + _DELETED_S
        while state["recording"] is not None and state["deleted"] is None and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            state = client.state()
        report.is_deleted = bool(state["deleted"])
        if state["recording"] is not None and not report.is_deleted:
            why = state["kept"] or "the deletion is not finished yet"
            report.check("deletion", False, "", f"the test's recording is not deleted: {why}")
