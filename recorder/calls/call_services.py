"""What every call needs, made once by the daemon and handed down. No logic."""

from collections.abc import Callable
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
from recorder.calls.filing import Filing
from recorder.calls.lateness import Lateness
from recorder.calls.notices import Message
from recorder.calls.opt_out_register import OptOutRegister
from recorder.calls.pause_register import PauseRegister
from recorder.calls.session_register import SessionRegister
from recorder.common.serial_executor import SerialExecutor
from recorder.config.settings import Config
from sip.commands import SipCommands, SipStatus
from sip.options import Address
from storage.audit import AuditLog
from storage.retention_types import ErasureOrder
from storage.types import RecordingId
from storage.vault import Vault


class Scheduler(Protocol):
    """The doors to the call thread; `sip.reactor.Reactor` is the real one."""

    def submit(self, fn: Callable[..., object], *args: object) -> None:
        """Run a function soon on the call thread; from any thread."""

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> Any:  # noqa: ANN401
        """Run a function on the call thread after a delay; returns something with ``cancel()``."""


class ErasureOrders(Protocol):
    """Where orders to erase are placed; `storage.erasures.Erasures` is the real one."""

    def place(self, order: ErasureOrder) -> None:
        """Store an order durably. StorageError or OSError if that failed."""


@dataclass(slots=True, kw_only=True)
class Sounds:
    """Everything that can be played, ready in every codec."""

    first: Message
    second: Message | None
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
    """Decides whether recordings may be discarded: `recorder.recordings.kept_live.Discards`."""

    def decide(self, recording: RecordingId) -> bool:
        """Tell whether nothing keeps a recording; if so nobody can hold it any more."""

    def settle(self, recording: RecordingId) -> None:
        """Note that a recording is discarded, or is not to be after all: then people can hold it."""


@dataclass(slots=True, kw_only=True)
class CallServices:
    """The parts of the daemon. ``config`` and ``sounds`` are replaced by a reload, the rest stays."""

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
    """Entries of acts that do not wait for the audit log."""
    anchoring: Anchoring
    pauses: PauseRegister
    sign_ons: SignOns
    sign_on_codes: SignOnCodes
    """Codes that wait to be keyed at a phone."""
    opt_outs: OptOutRegister
    sessions: SessionRegister
    """How recording sessions of SIPREC clients were left."""
    pins: PinCheck
    act_writer: SerialExecutor
    opening: SerialExecutor
    filing: SerialExecutor
    orders: SerialExecutor
    """Places orders to erase: a database that is slow must not keep pauses waiting."""
    erasures: ErasureOrders
    operator_key: Callable[[str], str]
    publish: Callable[[dict[str, Any]], None]
    discards: DiscardChecks
    """Whether a recording may be discarded; on the thread of ``orders``, for it may wait for the database."""
    locate: Callable[[Address], tuple[Address, ...]] = lambda target: (target,)
    """Where a target's name leads now, the best first; never waits."""
    failing_names: Callable[[], list[str]] = list
    """Names of targets that could not be resolved when last asked for."""
    alarms: dict[str, int] = field(default_factory=dict)
    retention: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """How retention stands, with alarms for as long as something is wrong; may wait for a disk."""
    mail: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """The same of the mails that tell people what waits for them."""
    transports: Callable[[], dict[str, Any]] = lambda: {"alarms": {}}
    """How SIP is carried, with alarms for as long as something is wrong."""
    lateness: Lateness = field(default_factory=Lateness)
    open_recordings: set[str] = field(default_factory=set)
    """Ids between the opening of a tap and the filing of its row."""

    def alarm(self, what: str) -> None:
        """Count something that a person must look into; health shows it."""
        self.alarms[what] = self.alarms.get(what, 0) + 1
