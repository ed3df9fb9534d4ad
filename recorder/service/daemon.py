"""`recorder run`: puts the parts together and takes them apart again.

Threads: the call thread is the main thread and runs the reactor; media threads live in the core; `writer` seals and
appends; `clerk`, `opening`, `filing` and `orders` wait for disks; `media-events` and `socket` bring events to the call
thread; `anchors` has heads of the audit log noted elsewhere; `names` keeps targets' names resolved; `sweeping` starts
the retention sweep, a process of its own.
"""

import hashlib
import logging
import os
import secrets
import select
import signal
import threading
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

from audio import prompts
from audio.port_memory import PortMemory
from audio.types import RelayOptions
from audio.writer import PausableWriter, WriterOptions
from recorder.access.agents import SignOns
from recorder.access.pins import PinFile, Pins
from recorder.access.sign_on_codes import SignOnCodes
from recorder.access.signing import Verifier
from recorder.audit import late_entries
from recorder.audit.anchor_targets import targets_of
from recorder.audit.anchoring import LAST_TIMEOUT_S, NODE_CHARACTERS, Anchoring
from recorder.audit.late_entries import LateEntries
from recorder.calls.control import Control
from recorder.calls.filing import FOLDER, Filing
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.calls.opt_outs import OptOutRegister
from recorder.calls.pauses import REGISTER, PauseRegister
from recorder.calls.siprec.siprec_sessions import REGISTER as SESSIONS
from recorder.calls.siprec.siprec_sessions import SessionRegister
from recorder.calls.works import Sounds, Works
from recorder.common.clerk import Clerk
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.hygiene import can_lock, forbid_dumps, leave_out_what_is_there, lock_memory, raise_descriptors
from recorder.common.problems import ProblemError
from recorder.config.carriage import parse_address, sip_options
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.sip_accounts import AccountError, accounts, registrars
from recorder.config.toml_tables import DERIVED, ConfigError
from recorder.control.api import LiveApi
from recorder.control.broadcast import Broadcast
from recorder.control.socket_server import PathTooLongError, SocketServer
from recorder.notifications.mail_health import MailHealth
from recorder.recordings.kept_live import Discards
from recorder.recordings.left_open import LeftOpen
from recorder.recordings.opening import held, open_index, recover_all
from recorder.retention.sweeping import Sweeping
from recorder.service import certificates
from recorder.service.kernel_relay import open_relay
from recorder.service.stalls import Stalls
from sip.b2bua import SipEndpoint
from sip.events import SipEvent
from sip.options import BindError
from sip.reactor import Reactor
from sip.resolver import Resolver
from sip.tls import TlsFilesError, days_left
from storage.anchors import Anchors
from storage.audit import AuditLog
from storage.durable import save_atomically
from storage.erasures import Erasures
from storage.keys import NodeKeys
from storage.types import RecordingId
from storage.vault import Vault

_log = logging.getLogger(__name__)

SETTLE_S = 0.3
"""From the last hang-up to the end of the loop: media legs close a moment after their calls."""
LATE_LOOK_S = 2.0
"""How often is looked whether something waits to be filed, whose own time to be tried again has come."""
AUDIT_LOCK_S = 1.0
"""How long a lock on the audit log is waited for: below what an act may take to be confirmed."""
ANCHORS_S = 3 * LAST_TIMEOUT_S + 1.0
"""How long a stop waits for the last head to be noted by three targets."""
NAMES_S = 2.0
"""How long a start waits for the names of targets; calls that come before they are known try the system's way."""
FILING_S = 15.0
"""How long a stop waits for recordings to be filed; what is not is recovered at the next start."""


NEEDS_RESTART = frozenset(
    {"sip", "media", "storage", "peer", "register"}
    | {f"limits.{key}" for key in ("max_calls", "max_connections", "max_connections_per_source")}
)
"""Sections and keys that a reload does not bring into force."""


class StartError(Exception):
    """The daemon cannot start; the sentence says why and what to do."""


def load_sounds(home: Home, config: Config) -> Sounds:
    """Load everything that can be played.

    Raises:
        NoticeError: A message is missing or unreadable.
    """
    store = NoticeStore(home.notices)
    return Sounds(
        first=store.load(config.notice.first),
        second=store.load(config.notice.second) if config.notice.second else None,
        ringback=prompts.ringback(),
        hold=prompts.hold_tone(),
        failed=prompts.refused_tone(),
        paused=prompts.paused_tone(),
        resumed=prompts.resumed_tone(),
        refused=prompts.refused_tone(),
        still_paused=prompts.still_paused_tone(),
        ended=prompts.ended_tone(),
        signed_on=prompts.signed_on_tone(),
    )


class Daemon:
    """The parts of a running recorder."""

    def __init__(self, home: Home, config: Config) -> None:
        self._home = home
        self._reactor = Reactor()
        self._broadcast = Broadcast()
        self._stopping = threading.Event()
        node = NodeKeys.load(home.root)
        self._clerk, self._opening, self._filing = Clerk("clerk"), Clerk("opening"), Clerk("filing")
        self._pausing = Clerk("pauses")
        self._orders, self._pin_clerk = Clerk("orders"), Clerk("pins")
        self._index = open_index(home, config, is_deferred=True)
        self._sweeping = Sweeping(home, lambda: self._works.config)
        self._port_memory = PortMemory(home.state / "ports", self._opening.submit)
        media = config.media
        is_lockable = can_lock(config.limits.max_calls, config.pause.look_back_s, threads=media.threads)
        self._relay, kernel_obstacle = open_relay(
            RelayOptions(
                address=config.media_address,
                ports=media.ports,
                threads=media.threads,
                lock_memory=media.lock_memory and is_lockable,
                dead_rtp_s=media.dead_rtp_s,
                gather_ms=media.gather_ms,
                kernel_interfaces=media.kernel_interfaces,
            ),
            self._port_memory,
        )
        self._writer = PausableWriter(
            self._relay,
            on_failure=lambda key, error: self._reactor.submit(self._control.recording_failed, key, error),
            options=WriterOptions(max_recordings=config.limits.max_calls),
        )
        options = sip_options(config, is_urgent=self._is_emergency, account_of=accounts(config.peer))
        self._registrars = registrars(config.register)
        self._endpoint = SipEndpoint(options, self._on_sip, self._reactor)
        audit, vault = AuditLog(home.audit, lock_s=AUDIT_LOCK_S), Vault(home.root, node)
        self._resolver = Resolver(
            tuple(parse_address(server, 53) for server in config.sip.name_servers),
            families=frozenset({6 if ":" in config.sip.listen.host else 4}),
            on_change=lambda: self._reactor.submit(self._watch_targets),
        )
        self._works = Works(
            config=config,
            sounds=load_sounds(home, config),
            endpoint=self._endpoint.commands,
            sip_status=self._endpoint,
            scheduler=self._reactor,
            relay=self._relay,
            writer=self._writer,
            vault=vault,
            rows=Filing(self._index, home.state / FOLDER, alarm=self._raise_alarm),
            erasures=Erasures(self._index.database),
            audit=audit,
            late=LateEntries(
                audit,
                home.state / late_entries.FOLDER,
                alarm=self._raise_alarm,
                now=utc_now,
                clock=time.monotonic,
                soon=self._clerk.submit,
            ),
            anchoring=Anchoring(
                audit,
                node=node.fingerprint[:NODE_CHARACTERS],
                targets=lambda: targets_of(self._works.config.anchors, site=self._works.config.site.name),
                every_s=lambda: self._works.config.anchors.every_s,
                anchors=Anchors(self._index.database),
                alarm=self._raise_alarm,
                now=utc_now,
            ),
            pauses=PauseRegister(home.state / REGISTER, self._pausing),
            sign_ons=SignOns(home.state / "agents.json", now=utc_now, lasts=lambda: self._works.config.sign_on.lasts),
            sign_on_codes=SignOnCodes(utc_now),
            sessions=SessionRegister(home.state / SESSIONS, self._pausing),
            opt_outs=OptOutRegister(home.state / "opt_outs.json", self._clerk),
            pins=Pins(
                PinFile(home.pins),
                self._pin_clerk,
                locks=home.state / "wrong_pins.json",
                now=utc_now,
                on_failure=lambda: self._works.alarm("pins_unreadable"),
            ),
            clerk=self._clerk,
            opening=self._opening,
            filing=self._filing,
            orders=self._orders,
            operator_key=lambda operator: operator_key(node, operator),
            publish=self._broadcast.publish,
            discards=Discards(home.state, self._index.database, audit, vault, now=utc_now),
            retention=self._sweeping.health,
            mail=MailHealth(home.state, config.mail, utc_now).look,
            locate=self._resolver.expand,
            failing_names=lambda: self._resolver.failing,
            carriage=lambda: certificates.health(self._endpoint, utc_now()),
        )
        if media.lock_memory and not is_lockable:
            # A recording that may reach swap is better than none; but somebody has to know.
            _log.error(
                "LimitMEMLOCK is too low for max_calls: audio in memory may reach swap; see `recorder site-check`"
            )
            self._works.alarm("memory_not_locked")
        if kernel_obstacle is not None:
            self._works.alarm("kernel_relay_off")
        self._left_open = LeftOpen(
            self._works.vault,
            self._index,
            self._works.rows,
            is_live=self._works.open_recordings.__contains__,
            settled=self._settled,
            now=utc_now,
        )
        if not self._works.sessions.is_known:
            _log.error("%s cannot be read: every recording session begins paused", home.state / SESSIONS)
            self._works.alarm("sessions_unreadable")
        self._control = Control(self._works, loop_mark(home))
        self._stalls = Stalls(self._reactor)
        api = LiveApi(
            self._works, self._control, self._broadcast, reload=self._reload, call_thread=self._stalls.as_json,
            verifier=Verifier(home.root),
        )  # fmt: skip
        self._socket = SocketServer(api.app(), home.socket)
        self._media_end = os.eventfd(0)
        self._media_events = threading.Thread(target=self._pump, name="media-events", daemon=True)
        self._is_written_out = threading.Event()
        self._anchors = threading.Thread(
            target=self._works.anchoring.keep, args=(self._is_written_out,), name="anchors", daemon=True
        )

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reloads the configuration."""
        self._relay.start()
        self._writer.start()
        self._media_events.start()
        self._resolver.want(target for route in self._works.config.route for target in route.targets)
        self._resolver.start(NAMES_S)
        self._watch_targets()
        for registrar in self._registrars:
            self._endpoint.register(registrar)
        self._file_late()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._reactor.submit(self._stop))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.submit(self._reload_by_signal))
        self._clerk.submit(self._works.opt_outs.lapse_left_behind, self._works.audit)
        self._socket.start()
        self._anchors.start()
        self._sweeping.start()
        _log.info("listening for SIP on %s", ", ".join(map(str, self._endpoint.addresses.values())))
        self._look_at_certificate()
        leave_out_what_is_there()
        self._stalls.watch()
        self._stalls.start_looking()
        self._reactor.run()
        self._close()

    # --- events

    def _settled(self, recording: str) -> None:
        """Forget what was to become of a recording that a failing disk had left open: it needs nothing any more."""
        self._works.pauses.drop(recording)
        self._works.discards.settle(RecordingId(recording))

    def _on_sip(self, event: SipEvent) -> None:
        self._control.receive(event)

    def _is_emergency(self, number: str) -> bool:
        return self._works.config.emergency.has(number)

    def _pump(self) -> None:
        """Carry the media core's events to the call thread; on a thread of its own."""
        poller = select.poll()
        poller.register(self._relay.event_fd, select.POLLIN)
        poller.register(self._media_end, select.POLLIN)
        while not self._stopping.is_set():
            poller.poll()
            events = self._relay.events()
            if events:
                self._reactor.submit(self._control.receive_media, events)

    def _watch_targets(self) -> None:
        """Ask targets for their health where there is another one to turn to."""
        for route in self._works.config.route:
            targets = [address for target in route.targets for address in self._resolver.expand(target)]
            if len(targets) > 1:
                for target in targets:
                    self._endpoint.watch(target)

    def _look_at_certificate(self) -> None:
        """Say, each day, that our certificate is about to end; health has the alarm."""
        expires_at = self._endpoint.certificate_expires_at
        if expires_at is not None and (left := days_left(expires_at, utc_now())) < certificates.SOON_DAYS:
            _log.error(
                "the TLS certificate ends in %d days, at %s: renew it and run `recorder reload`", left, expires_at
            )
        self._reactor.call_later(certificates.CHECK_S, self._look_at_certificate)

    def _raise_alarm(self, what: str) -> None:
        self._works.alarm(what)

    def _file_late(self) -> None:
        """Have filed what found the database down, or the audit log, now and again."""
        if self._works.rows.waiting:
            self._filing.submit(self._works.rows.catch_up)
        if self._left_open.notice(self._works.alarms):
            self._filing.submit(self._left_open.close)
        if self._works.late.waiting:
            self._clerk.submit(self._works.late.catch_up)
        self._reactor.call_later(LATE_LOOK_S, self._file_late)

    # --- reload

    def _reload_by_signal(self) -> None:
        def reload() -> None:
            try:
                self._reload("signal")
            except ProblemError as error:
                _log.error("the configuration stays as it was: %s", error.detail)

        self._clerk.submit(reload)

    def _reload(self, by: str) -> dict[str, Any]:
        """Bring a changed file into force for new calls; reads files, so never on the call thread.

        Raises:
            ProblemError: It cannot be used; everything stays as it was.
        """
        old = self._works.config
        try:
            new = read_config(self._home.config)
            sounds = load_sounds(self._home, new)
            self._endpoint.renew_certificates()
        except (ConfigError, NoticeError, TlsFilesError) as error:
            raise ProblemError(409, f"{error}.", title="Configuration refused") from error
        changed = changes(old, new)
        details = {"sha256": new.sha256, "before": old.sha256, "changed": changed}
        self._works.late.enter(act="config.reload", actor=by, subject="", details=details)
        self._reactor.submit(self._use, new, sounds)
        needs_restart = [name for name in changed if {name, name.split(".")[0]} & NEEDS_RESTART]
        _log.info("configuration reloaded, changed: %s", ", ".join(changed) or "nothing")
        return {"sha256": new.sha256, "changed": changed, "needs_restart": needs_restart}

    def _use(self, config: Config, sounds: Sounds) -> None:
        self._works.config, self._works.sounds = config, sounds
        self._resolver.want(target for route in config.route for target in route.targets)

    # --- the end

    def _stop(self) -> None:
        _log.info("stopping: %d calls are ended", self._control.live)
        is_busy = self._control.live or self._works.open_recordings or self._registrars
        self._control.stop()
        self._reactor.call_later(SETTLE_S if is_busy else 0.0, self._reactor.stop)

    def _close(self) -> None:
        self._socket.close()
        # First of all: a socket that takes an INVITE which nobody answers keeps its caller from another way out.
        self._endpoint.close(keep=self._control.left_alone())
        deadline = time.monotonic() + FILING_S
        while self._works.open_recordings and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._works.open_recordings:
            _log.error("%d recordings were not filed; the next start recovers them", len(self._works.open_recordings))
        self._writer.close()
        self._sweeping.close()
        self._resolver.close()
        self._opening.close()
        self._port_memory.close()
        self._filing.close()
        self._orders.close()
        self._pin_clerk.close()
        self._pausing.close()
        self._clerk.submit(self._works.late.catch_up)
        self._clerk.close()
        self._is_written_out.set()
        self._anchors.join(ANCHORS_S)
        self._stopping.set()
        os.eventfd_write(self._media_end, 1)
        self._media_events.join(2)
        os.close(self._media_end)
        self._relay.close()
        self._index.close()


def changes(old: Config, new: Config) -> list[str]:
    """Return the keys, dotted, that differ between two configurations; of repeated sections their names."""
    found = []
    for section in (field.name for field in fields(Config) if field.name not in DERIVED):
        before, after = getattr(old, section), getattr(new, section)
        if isinstance(before, tuple):
            found += [section] if before != after else []
        else:
            keys = (field.name for field in fields(before))
            found += [f"{section}.{key}" for key in keys if getattr(before, key) != getattr(after, key)]
    return found


def operator_key(node: NodeKeys, operator: str) -> str:
    """Return the opaque folder name of an operator: the same for the same name on this node, no name in it."""
    return hashlib.blake2b(operator.encode(), key=node.index_key, person=b"operator", digest_size=8).hexdigest()


def loop_mark(home: Home) -> str:
    """Return this recorder's mark against loops, made once."""
    path = home.state / "loop_mark"
    if not path.exists():
        save_atomically(path, secrets.token_hex(8).encode())
    return path.read_text().strip()


def _recover(home: Home, config: Config) -> None:
    """Recover what a dead daemon left; whatever keeps that from working must not keep calls from going through."""
    try:
        recovered = recover_all(home, config, utc_now())
    except Exception as error:  # noqa: BLE001 - a full disk, a database that is down, a damaged row: calls come first
        _log.error("recordings left open were not recovered (%s); run `recorder recover` later", error)
        return
    for found in recovered:
        if found.problem:
            _log.error("not recovered: %s", found.problem)
        else:
            _log.warning("recording %s was left open by a daemon that died; it is partial", found.id)


def run(root: Path) -> None:
    """Run the daemon in a home until it is told to stop.

    Raises:
        ConfigError, NoticeError, StartError, LimitError, AlreadyRunningError: A sentence each.
    """
    home = Home(root)
    config = read_config(home.config)
    forbid_dumps()
    if config.media.lock_memory:
        lock_memory()
    raise_descriptors(config.limits.max_calls, config.connections)
    with held(home):
        _recover(home, config)
        try:
            daemon = Daemon(home, config)
        except (AccountError, PathTooLongError) as error:
            raise StartError(str(error)) from error
        except TlsFilesError as error:
            raise StartError(f"SIP over TLS cannot begin: {error}") from error
        except OSError as error:
            where = error.filename if isinstance(error, BindError) else config.sip.listen
            raise StartError(
                f"cannot listen on {where}: {error.strerror or error}; is another program using it?"
            ) from error
        daemon.run()
