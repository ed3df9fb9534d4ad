"""Builds the components of the daemon; `daemon` starts and stops them."""

import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from audio.port_memory import PortMemory
from audio.relay import Relay
from audio.types import RelayOptions, TapOptions
from audio.writer import PausableWriter, WriterOptions
from recorder.access.agents import SignOns
from recorder.access.pins import PinFile, Pins
from recorder.access.sign_on_codes import SignOnCodes
from recorder.audit import late_entries
from recorder.audit.anchor_targets import targets_of
from recorder.audit.anchoring import NODE_CHARACTERS, Anchoring
from recorder.audit.late_entries import LateEntries
from recorder.backups.status import BackupHealth
from recorder.calls.call_services import CallServices
from recorder.calls.filing import FOLDER, Filing
from recorder.calls.opt_out_register import OptOutRegister
from recorder.calls.pause_register import REGISTER, PauseRegister
from recorder.calls.session_register import REGISTER as SESSIONS
from recorder.calls.session_register import SessionRegister
from recorder.calls.tallies import Tallies
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.process_hardening import can_lock
from recorder.common.serial_executor import SerialExecutor
from recorder.config.settings import Config
from recorder.config.sip_transports import parse_address
from recorder.control.broadcast import Broadcast
from recorder.forwarding.status import ForwardingHealth
from recorder.forwarding.webhook_handover import Handover
from recorder.forwarding.webhook_queue import WebhookQueue
from recorder.notifications.mail_health import MailHealth
from recorder.objects.status import ObjectsHealth
from recorder.recordings.kept_live import Discards
from recorder.recordings.verifying import VerificationHealth, born_at
from recorder.retention.file_removing import FileRemoving
from recorder.retention.sweeping import Sweeping
from recorder.service import certificates
from recorder.service.home_watch import read_book
from recorder.service.kernel_relay import Obstacle, open_relay, read_means
from recorder.service.media_io import chosen_io, report_io
from recorder.service.sounds import load_sounds
from recorder.site_keys.places import has_joined
from sip.endpoint import SipEndpoint
from sip.reactor import Reactor
from sip.resolver import Resolver
from storage.anchors import Anchors
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.database import Database
from storage.durable import save_atomically
from storage.erasures import Erasures
from storage.index import Index
from storage.keys import NodeKeys
from storage.vault import Vault

_log = logging.getLogger(__name__)

AUDIT_LOCK_S = 1.0
"""Timeout for the lock on the audit log, seconds: shorter than the time in which an act must be confirmed."""


class Executors:
    """The threads that write to disks and databases, so that the call thread never waits for them."""

    def __init__(self) -> None:
        self.act_writer = SerialExecutor("act-writer")
        self.opening, self.filing = SerialExecutor("opening"), SerialExecutor("filing")
        self.pauses, self.orders, self.pins = SerialExecutor("pauses"), SerialExecutor("orders"), SerialExecutor("pins")
        self.webhooks, self.dialogs = SerialExecutor("webhooks"), SerialExecutor("dialogs")


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCore:
    """The media core, and the limits that apply on this machine.

    Attributes:
        relay: The core.
        kernel_obstacle: Why the kernel does not relay although it is configured to; else None.
        is_lockable: Whether the memory of the largest number of calls can be locked.
    """

    relay: Relay
    kernel_obstacle: Obstacle | None
    is_lockable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonParts:
    """Components that calls are built from.

    Attributes:
        home: The recorder's home.
        node: This node's keys.
        executors: Threads that write to disks and databases.
        index: Index of recordings.
        reactor: Event loop of the call thread.
        endpoint: SIP.
        relay: The media core.
        writer: Thread that seals and appends audio.
        resolver: Keeps the names of targets resolved.
        sweeping: Starts the retention sweep.
        removing: Removes files of recordings that other nodes deleted.
        broadcast: Sends events to watchers.
        tallies: Counts and measures for the metrics.
        config: Returns the current configuration, which a reload replaces.
        alarm: Raises the alarm of a name.
    """

    home: Home
    node: NodeKeys
    executors: Executors
    index: Index
    reactor: Reactor
    endpoint: SipEndpoint
    relay: Relay
    writer: PausableWriter
    resolver: Resolver
    sweeping: Sweeping
    removing: FileRemoving
    broadcast: Broadcast
    tallies: Tallies
    config: Callable[[], Config]
    alarm: Callable[[str], None]


def open_media(config: Config, port_memory: PortMemory) -> MediaCore:
    """Open the media core as configured."""
    media, kernel = config.media, read_means().kernel
    is_lockable = can_lock(config.limits.max_calls, config.pause.look_back_s, threads=media.threads)
    options = RelayOptions(
        address=config.media_address,
        ports=media.ports,
        threads=media.threads,
        lock_memory=media.lock_memory and is_lockable,
        dead_rtp_s=media.dead_rtp_s,
        gather_ms=media.gather_ms,
        io=chosen_io(media.io, kernel),
        kernel_interfaces=media.kernel_interfaces,
    )
    relay, kernel_obstacle = open_relay(options, port_memory)
    report_io(relay, media.io, kernel)
    return MediaCore(relay=relay, kernel_obstacle=kernel_obstacle, is_lockable=is_lockable)


def prepare_first_call(relay: Relay, config: Config) -> None:
    """Have memory ready for the first call (ADR 76). Without it that call waits for it: a failure is only logged."""
    try:
        relay.taps.prepare(TapOptions(look_back_s=config.pause.look_back_s))
    except (ValueError, MemoryError, OSError) as error:
        _log.warning("no memory was prepared for the first call, which takes a little longer: %s", error)


def make_writer(
    config: Config, relay: Relay, on_failure: Callable[[str, Exception], None], tallies: Tallies
) -> PausableWriter:
    """Return the thread that writes recordings.

    Args:
        config: The configuration.
        relay: The media core.
        on_failure: Called with the key of a recording that cannot be written, and the error.
        tallies: Measures how long syncs take.
    """
    options = WriterOptions(max_recordings=config.limits.max_calls)
    return PausableWriter(relay.taps, on_failure=on_failure, on_sync=tallies.syncs.took, options=options)


def make_resolver(config: Config, on_change: Callable[[], None]) -> Resolver:
    """Return the resolver of target names; it calls ``on_change`` when a name resolves to other addresses."""
    return Resolver(
        tuple(parse_address(server, 53) for server in config.sip.name_servers),
        families=frozenset({6 if ":" in config.sip.listen.host else 4}),
        on_change=on_change,
    )


def make_call_services(config: Config, parts: DaemonParts) -> CallServices:
    """Return what every call needs of the daemon.

    Raises:
        NoticeError: A message is missing or unreadable.
    """
    home, executors, database = parts.home, parts.executors, parts.index.database
    audit, vault = AuditLog(home.audit, lock_s=AUDIT_LOCK_S), Vault(home.root, parts.node)
    return CallServices(
        config=config,
        sounds=load_sounds(home, config),
        endpoint=parts.endpoint.commands,
        sip_status=parts.endpoint,
        scheduler=parts.reactor,
        relay=parts.relay,
        writer=parts.writer,
        vault=vault,
        rows=Filing(parts.index, home.state / FOLDER, alarm=parts.alarm),
        erasures=Erasures(database),
        audit=audit,
        late=_late_entries(audit, parts, late_entries.FOLDER),
        alarms=read_book(home.state, utc_now),
        shell_late=_late_entries(audit, parts, late_entries.SHELL_FOLDER),
        anchoring=_anchoring(audit, parts),
        pauses=PauseRegister(home.state / REGISTER, executors.pauses),
        sign_ons=SignOns(home.state / "agents.json", now=utc_now, lasts=lambda: parts.config().sign_on.lasts),
        sign_on_codes=SignOnCodes(utc_now),
        sessions=SessionRegister(home.state / SESSIONS, executors.pauses),
        opt_outs=OptOutRegister(home.state / "opt_outs.json", executors.act_writer),
        pins=_pins(parts),
        act_writer=executors.act_writer,
        opening=executors.opening,
        filing=executors.filing,
        orders=executors.orders,
        operator_key=lambda operator: operator_key(parts.node, operator),
        publish=_publisher(parts),
        is_watched=lambda: parts.broadcast.has_listeners or bool(parts.config().webhook),
        discards=Discards(home.state, database, audit, vault, now=utc_now),
        retention=lambda: _retention(parts),
        mail=MailHealth(home.state, config.mail, utc_now).look,
        forwarding=ForwardingHealth(state=home.state, config=parts.config, now=utc_now).look,
        objects=ObjectsHealth(state=home.state, options=lambda: parts.config().objects, now=utc_now).look,
        backup=BackupHealth(home.state, lambda: parts.config().backup, utc_now, born_at(home.root, utc_now())).look,
        verification=VerificationHealth(
            home.state, lambda: parts.config().storage.verify_days, utc_now, born_at(home.root, utc_now())
        ).look,
        locate=parts.resolver.expand,
        failing_names=lambda: parts.resolver.failing,
        transports=lambda: certificates.health(parts.endpoint, utc_now()),
        tallies=parts.tallies,
    )


def _retention(parts: DaemonParts) -> dict[str, Any]:
    """Return the state of the sweep, and of files of deleted recordings, for health."""
    swept, removed = parts.sweeping.health(), parts.removing.health()
    return {**swept, **removed, "alarms": {**swept["alarms"], **removed["alarms"]}}


def _publisher(parts: DaemonParts) -> Callable[[dict[str, Any]], None]:
    """Return what sends an event to watchers, and queues it for webhooks."""
    handover = Handover(
        WebhookQueue(parts.home.webhooks), lambda: parts.config().webhook,
        submit=parts.executors.webhooks.submit, alarm=parts.alarm, now=utc_now,
    )  # fmt: skip

    def publish(event: dict[str, Any]) -> None:
        parts.broadcast.publish(event)
        handover.publish(event)

    return publish


def _late_entries(audit: AuditLog, parts: DaemonParts, folder: str) -> LateEntries:
    return LateEntries(
        audit,
        parts.home.state / folder,
        alarm=parts.alarm,
        now=utc_now,
        clock=time.monotonic,
        soon=parts.executors.act_writer.submit,
    )


def _anchoring(audit: AuditLog, parts: DaemonParts) -> Anchoring:
    return Anchoring(
        audit,
        node=parts.node.fingerprint[:NODE_CHARACTERS],
        targets=lambda: targets_of(parts.config().anchors, site=parts.config().site.name),
        every_s=lambda: parts.config().anchors.every_s,
        anchors=Anchors(parts.index.database, parts.node.fingerprint[:NODE_CHARACTERS]),
        alarm=parts.alarm,
        now=utc_now,
    )


def _pins(parts: DaemonParts) -> Pins:
    return Pins(
        PinFile(parts.home.pins),
        parts.executors.pins,
        locks=parts.home.state / "wrong_pins.json",
        now=utc_now,
        on_failure=lambda: parts.alarm("pins_unreadable"),
    )


def operator_key(node: NodeKeys, operator: str) -> str:
    """Return the folder name of an operator: opaque, and the same for the same name on this node."""
    return hashlib.blake2b(operator.encode(), key=node.index_key, person=b"operator", digest_size=8).hexdigest()


def loop_mark(home: Home) -> str:
    """Return this recorder's identifier for loop detection; created on first use."""
    path = home.state / "loop_mark"
    if not path.exists():
        save_atomically(path, secrets.token_hex(8).encode())
    return path.read_text().strip()


class KeyListThread(Protocol):
    """Follows the key list of a site; `recorder.site_keys.following.KeyListFollower` in production."""

    def start(self) -> None:
        """Begin."""

    def close(self) -> None:
        """Stop."""


class _NothingToFollow:
    """On a machine that has not joined a site, and on the key holder."""

    def start(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def follow_key_list(home: Home, database: Database, services: CallServices) -> KeyListThread:
    """Make the thread that follows the key list of a site with several machines, if this home has joined one."""
    if not has_joined(home):
        return _NothingToFollow()
    # A machine that is alone does not load what reads certificates: it takes memory and time.
    from recorder.site_keys.following import KeyListFollower  # noqa: PLC0415

    return KeyListFollower(
        home, database, services.alarms, now=utc_now,
        refused=lambda why: services.enter_later("key_list.refused", RECORDER, {"why": why}),
    )  # fmt: skip
