"""The daemon's services that every call uses: made once, and passed to each call. No logic."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from audio.relay import Relay
from audio.types import Prompt
from audio.writer import PausableWriter
from recorder.access.agents import SignOns
from recorder.access.pins import PinCheck
from recorder.access.sign_on_codes import SignOnCodes
from recorder.audit.anchoring import Anchoring
from recorder.audit.late_entries import LateEntries
from recorder.calls.announcements import Announcements
from recorder.calls.filing import Filing
from recorder.calls.lateness import Lateness
from recorder.calls.opt_out_register import OptOutRegister
from recorder.calls.pause_register import PauseRegister
from recorder.calls.session_register import SessionRegister
from recorder.calls.tallies import Tallies
from recorder.common.clock import utc_now
from recorder.common.serial_executor import SerialExecutor
from recorder.config.settings import Config
from recorder.rules.alarm_book import AlarmBook
from recorder.rules.availability import DiskRule
from sip.commands import SipCommands, SipStatus
from sip.options import Address
from storage.audit import AuditLog
from storage.retention_types import ErasureOrder
from storage.types import RecordingId
from storage.vault import Vault


class Scheduler(Protocol):
    """Runs functions on the call thread; implemented by `sip.reactor.Reactor`."""

    def submit(self, fn: Callable[..., object], *args: object) -> None:
        """Run a function on the call thread as soon as possible. Any thread may call this."""

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> Any:  # noqa: ANN401
        """Run a function on the call thread after a delay; return a timer that has ``cancel()``."""


class ErasureOrders(Protocol):
    """Stores orders to erase; implemented by `storage.erasures.Erasures`."""

    def place(self, order: ErasureOrder) -> None:
        """Store an order durably.

        Raises:
            StorageError: It could not be stored.
            OSError: Likewise.
        """


@dataclass(slots=True, kw_only=True)
class Sounds:
    """The messages and tones that can be played, encoded in every codec."""

    announcements: Announcements
    ringback: Prompt
    hold: Prompt
    failed: Prompt
    paused: Prompt
    resumed: Prompt
    refused: Prompt
    still_paused: Prompt
    ended: Prompt
    signed_on: Prompt


class DiscardChecks(Protocol):
    """Decides whether recordings may be discarded; implemented by `recorder.recordings.kept_live.Discards`."""

    def decide(self, recording: RecordingId) -> bool:
        """Return whether a recording may be discarded; from then on no legal hold can be set until `settle`."""

    def settle(self, recording: RecordingId) -> None:
        """End the decision: the recording is discarded, or people can set legal holds on it again."""


@dataclass(slots=True, kw_only=True)
class CallServices:
    """The daemon's services. A reload replaces ``config`` and ``sounds``; the rest stays."""

    config: Config
    sounds: Sounds
    endpoint: SipCommands
    sip_status: SipStatus
    scheduler: Scheduler
    relay: Relay
    writer: PausableWriter
    vault: Vault
    rows: Filing
    audit: AuditLog
    late: LateEntries
    """Writes audit entries later if the log cannot be written now."""
    shell_late: LateEntries
    """Writes the audit entries that commands have queued."""
    anchoring: Anchoring
    pauses: PauseRegister
    sign_ons: SignOns
    sign_on_codes: SignOnCodes
    """Codes issued for a sign-on and not yet keyed at the phone."""
    opt_outs: OptOutRegister
    sessions: SessionRegister
    """The last pause state of recording sessions, for sessions that return."""
    pins: PinCheck
    act_writer: SerialExecutor
    opening: SerialExecutor
    filing: SerialExecutor
    orders: SerialExecutor
    """Stores orders to erase, on its own thread so that a slow database does not delay pauses."""
    erasures: ErasureOrders
    operator_key: Callable[[str], str]
    publish: Callable[[dict[str, Any]], None]
    """Sends an event to watchers. Any thread; never blocks."""
    discards: DiscardChecks
    """Called on the thread of ``orders`` only: it may wait for the database."""
    is_watched: Callable[[], bool] = lambda: True
    """Tells whether anybody is sent what is published. A call is described at each change only if so."""
    locate: Callable[[Address], tuple[Address, ...]] = lambda target: (target,)
    """Returns the resolved addresses of a target, best first; never blocks."""
    failing_names: Callable[[], list[str]] = list
    """Returns the names of targets that could not be resolved at the last attempt."""
    alarms: AlarmBook = field(default_factory=lambda: AlarmBook(utc_now))
    retention: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """Returns the status of retention, with its current alarms; may wait for a disk."""
    mail: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """Returns the status of the notifications by mail, with its current alarms."""
    forwarding: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """Returns how sending to other systems goes, with its current alarms; reads a file."""
    objects: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """Returns how storing recordings in the object store goes, with its current alarms; reads a file."""
    backup: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """Returns the status of backups, with its current alarms; reads a file."""
    verification: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """Returns when recordings and audit log were verified last, with its current alarms; reads files."""
    selftest: Callable[[], dict[str, Any]] = lambda: {"last": None, "alarms": {}}
    """Returns the result of the last self-test, with its alarm."""
    transports: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """Returns the status of the SIP transports, with its current alarms."""
    is_disk_failing: Callable[[], bool] = lambda: False
    """Tells whether recordings cannot be written now."""
    tallies: Tallies = field(default_factory=Tallies)
    lateness: Lateness = field(default_factory=Lateness)
    closing: set[str] = field(default_factory=set)
    """Ids of recordings whose call has ended and whose media is not closed yet."""
    open_recordings: set[str] = field(default_factory=set)
    """Ids of recordings whose tap was opened and whose row is not filed yet."""

    @property
    def refuses_unrecordable(self) -> bool:
        """Tell whether calls that should be recorded are refused now because the disk fails."""
        return self.config.limits.when_disk_fails is DiskRule.REFUSE and self.is_disk_failing()

    def enter_later(self, act: str, actor: str, details: dict[str, Any]) -> "Future[None]":
        """Write an audit entry without a subject; the future is done when it is in the log, or queued for it."""
        return self.act_writer.submit(self.late.enter, act=act, actor=actor, subject="", details=details)

    def alarm(self, what: str) -> None:
        """Raise an alarm about something that has happened. Any thread."""
        self.alarms.raise_event(what)

    def set_alarm(self, what: str, is_on: bool) -> None:
        """Set or clear an alarm that lasts as long as its cause. Any thread."""
        if is_on:
            self.alarms[what] = 1
        else:
            self.alarms.end(what)
