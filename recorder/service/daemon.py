"""`recorder run`: starts and stops the daemon.

Threads: the call thread is the main thread and runs the reactor. Media threads run in the core. `writer` seals and
appends. `act-writer`, `opening`, `filing`, `orders`, `pauses`, `pins` and `webhooks` write to disks. `media-events` and
`socket` pass events to the call thread. `anchors` notes heads of the audit log on other machines. `names` keeps
targets' names resolved. `sweeping` and `forwarding` start separate processes: the retention sweep, and what sends to
other systems.
"""

import logging
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from audio.port_memory import PortMemory
from recorder.access.signing import Verifier
from recorder.audit.anchoring import LAST_TIMEOUT_S
from recorder.calls.live_calls import LiveCalls
from recorder.calls.session_register import REGISTER as SESSIONS
from recorder.calls.tallies import Tallies
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.logs import use_format
from recorder.common.metrics_listener import MetricsListener
from recorder.common.process_hardening import forbid_dumps, leave_out_what_is_there, lock_memory, raise_descriptors
from recorder.common.service_manager import ServiceManager
from recorder.config.reading import read_config
from recorder.config.settings import Config, Drain
from recorder.config.sip_accounts import AccountError, accounts, registrars
from recorder.config.sip_transports import sip_options
from recorder.control.api import LiveApi
from recorder.control.broadcast import Broadcast
from recorder.control.socket_server import PathTooLongError, SocketServer
from recorder.recordings.home_lock import held
from recorder.recordings.home_stores import open_index
from recorder.recordings.left_open import LeftOpen
from recorder.recordings.recovery import recover_all
from recorder.retention.sweeping import Sweeping
from recorder.rules.drain import DrainState
from recorder.service import certificates, daemon_metrics
from recorder.service.composition import (
    DaemonParts,
    Executors,
    MediaCore,
    loop_mark,
    make_call_services,
    make_resolver,
    make_writer,
    open_media,
)
from recorder.service.disk_faults import DiskFaults
from recorder.service.disk_watch import DiskWatch
from recorder.service.draining import Draining
from recorder.service.forwarding import Forwarding
from recorder.service.heartbeat import Heartbeat, waits_for_disk
from recorder.service.lately import Lately
from recorder.service.media_events import MediaEvents
from recorder.service.metrics_setup import start_listener
from recorder.service.options_health import OptionsHealth
from recorder.service.reloading import Reloader
from recorder.service.stalls import Stalls
from sip.endpoint import SipEndpoint
from sip.events import SipEvent
from sip.options import BindError
from sip.reactor import Reactor
from sip.tls import TlsFilesError, days_left
from storage.keys import NodeKeys
from storage.old_calls import OldCalls
from storage.types import RecordingId

_log = logging.getLogger(__name__)

SETTLE_S = 0.3
"""From the last hang-up to the end of the loop, seconds: media legs close a moment after their calls."""
LATE_LOOK_S = 2.0
"""How often to look for late work to file, seconds; each kind of work has its own time of the next try."""
ANCHORS_S = 3 * LAST_TIMEOUT_S + 1.0
"""How long a stop waits for three targets to note the last head, seconds."""
NAMES_S = 2.0
"""How long a start waits for the names of targets, seconds; earlier calls use the system's resolver."""
FILING_S = 15.0
"""How long a stop waits for recordings to be filed, seconds; the rest is recovered at the next start."""
CLOSING_S = FILING_S + ANCHORS_S + 20.0
"""How long an end may take after the last call, seconds, the writer and the other threads included."""


class StartError(Exception):
    """The daemon cannot start; the message says why and what to do."""


class Daemon:
    """The components of a running daemon."""

    def __init__(self, home: Home, config: Config, manager: ServiceManager | None = None) -> None:
        self._home = home
        self._manager = manager or ServiceManager()
        self._reactor = Reactor()
        node = NodeKeys.load(home.root)
        self._executors = Executors()
        self._index = open_index(home, config, is_deferred=True)
        self._sweeping = Sweeping(home, lambda: self._services.config)
        self._forwarding = Forwarding(home, lambda: self._services.config)
        self._port_memory = PortMemory(home.state / "ports", self._executors.opening.submit)
        media = open_media(config, self._port_memory)
        self._relay = media.relay
        tallies = Tallies()
        self._writer = make_writer(
            config,
            self._relay,
            on_failure=lambda key, error: self._reactor.submit(self._control.recording_failed, key, error),
            tallies=tallies,
        )
        options = sip_options(config, is_urgent=self._is_emergency, account_of=accounts(config.peer))
        self._registrars = registrars(config.register)
        self._endpoint = SipEndpoint(options, self._on_sip, self._reactor)
        self._resolver = make_resolver(config, on_change=lambda: self._reactor.submit(self._watch_targets))
        broadcast = Broadcast()
        parts = DaemonParts(
            home=home, node=node, executors=self._executors, index=self._index, reactor=self._reactor,
            endpoint=self._endpoint, relay=self._relay, writer=self._writer, resolver=self._resolver,
            sweeping=self._sweeping, broadcast=broadcast, tallies=tallies,
            config=lambda: self._services.config, alarm=self._raise_alarm,
        )  # fmt: skip
        self._services = make_call_services(config, parts)
        self._raise_alarms_of_start(media)
        self._left_open = self._make_left_open()
        self._reloader = Reloader(
            home, self._services, self._reactor, self._endpoint, self._resolver, manager=self._manager
        )
        self._control = LiveCalls(self._services, loop_mark(home))
        self._stalls, self._disk = Stalls(self._reactor), DiskWatch(home.recordings)
        self._disk_faults = DiskFaults(home.recordings, self._services.alarms)
        self._services.is_disk_failing = lambda: self._disk_faults.is_failing
        self._options_health = OptionsHealth(self._services, self._control)
        self._endpoint.answer_options_by(self._options_health.refusal)
        self._draining = self._make_draining()
        self._heartbeat = self._make_heartbeat()
        self._socket = self._make_socket(broadcast)
        self._media_events = MediaEvents(
            self._relay, lambda events: self._reactor.submit(self._control.receive_media, events)
        )
        self._metrics: MetricsListener | None = None
        self._is_written_out = threading.Event()
        self._anchors = threading.Thread(
            target=self._services.anchoring.keep, args=(self._is_written_out,), name="anchors", daemon=True
        )

    def _make_left_open(self) -> LeftOpen:
        return LeftOpen(
            self._services.vault, self._index, self._services.rows,
            is_live=self._services.open_recordings.__contains__, settled=self._settled, now=utc_now,
        )  # fmt: skip

    def _make_draining(self) -> Draining:
        return Draining(
            self._reactor, self._control, options=lambda: self._drain_options,
            refuse_options=self._options_health.refuse, audit=self._services.enter_later, publish=self._publish_drain,
            leave=self._stop, now=utc_now,
        )  # fmt: skip

    def _make_heartbeat(self) -> Heartbeat:
        return Heartbeat(
            self._reactor, self._manager, self._draining, calls=lambda: self._control.live,
            writer_s=lambda: self._writer.marked_s, is_at_disk=lambda: waits_for_disk(self._writer.thread_id),
            alarm=self._raise_alarm,
        )  # fmt: skip

    def _make_socket(self, broadcast: Broadcast) -> SocketServer:
        api = LiveApi(
            self._services, self._control, broadcast, reload=self._reloader.reload, call_thread=self._stalls.as_json,
            drain=self._draining, disk=self._disk.as_json, verifier=Verifier(self._home.root),
        )  # fmt: skip
        return SocketServer(api.app(), self._home.socket)

    def metric_sources(self) -> daemon_metrics.MetricSources:
        """Return what the metrics are read from."""
        overdue = OldCalls(self._index.database)
        return daemon_metrics.MetricSources(
            services=self._services, calls=self._control, stalls=self._stalls, disk=self._disk,
            backlog=Lately(lambda: overdue.count_due(utc_now()), daemon_metrics.BACKLOG_S),
            max_calls=self._services.config.limits.max_calls, state=self._home.state,
        )  # fmt: skip

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, which drain first (`Draining`); SIGHUP reloads the configuration."""
        self._relay.start()
        self._writer.start()
        self._media_events.start()
        self._resolver.want(target for route in self._services.config.route for target in route.targets)
        self._resolver.start(NAMES_S)
        self._watch_targets()
        for registrar in self._registrars:
            self._endpoint.register(registrar)
        self._file_late()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                number, lambda number, _: self._reactor.submit(self._draining.signalled, signal.Signals(number).name)
            )
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.submit(self._reloader.reload_by_signal))
        self._executors.act_writer.submit(self._services.opt_outs.lapse_orphaned, self._services.audit)
        self._socket.start()
        self._anchors.start()
        self._sweeping.start()
        self._forwarding.start()
        _log.info("listening for SIP on %s", ", ".join(map(str, self._endpoint.addresses.values())))
        self._look_at_certificate()
        if self._manager.is_silent and self._services.config.drain.limit_s:
            _log.warning("a stop ends calls at once: the systemd unit has no Type=notify; copy it from deploy/ again")
        leave_out_what_is_there()
        self._stalls.watch()
        self._stalls.start_looking()
        self._disk.keep(self._reactor, self._executors.filing)
        self._disk_faults.keep(self._reactor, self._executors.filing)
        self._metrics = start_listener(
            self._services.config.metrics, lambda: daemon_metrics.daemon_registry(self.metric_sources()),
            section="metrics", alarm=self._services.alarm,
        )  # fmt: skip
        self._heartbeat.start()
        self._reactor.run()
        self._close()

    # --- events

    def _settled(self, recording: str) -> None:
        """Drop the pauses and discards of a recording that a failing disk had left open and that is closed now."""
        self._services.pauses.drop(recording)
        self._services.discards.settle(RecordingId(recording))

    def _on_sip(self, event: SipEvent) -> None:
        self._control.receive(event)

    def _is_emergency(self, number: str) -> bool:
        return self._services.config.emergency.has(number)

    def _watch_targets(self) -> None:
        """Send health checks to the targets of routes that have more than one."""
        for route in self._services.config.route:
            targets = [address for target in route.targets for address in self._resolver.expand(target)]
            if len(targets) > 1:
                for target in targets:
                    self._endpoint.watch(target)

    def _look_at_certificate(self) -> None:
        """Log each day that the certificate expires soon; the health report has the alarm."""
        expires_at = self._endpoint.certificate_expires_at
        if expires_at is not None and (left := days_left(expires_at, utc_now())) < certificates.SOON_DAYS:
            _log.error(
                "the TLS certificate expires in %d days, at %s; renew it and run `recorder reload`", left, expires_at
            )
        self._reactor.call_later(certificates.CHECK_S, self._look_at_certificate)

    def _raise_alarms_of_start(self, media: MediaCore) -> None:
        """Raise alarms for configured features that are not available, and for state that cannot be read."""
        if self._services.config.media.lock_memory and not media.is_lockable:
            # A recording that may reach swap is better than none, but operators must know.
            _log.error(
                "LimitMEMLOCK is too low for max_calls; audio in memory may reach swap; run `recorder site-check`"
            )
            self._services.alarm("memory_not_locked")
        if media.kernel_obstacle is not None:
            self._services.alarm("kernel_relay_off")
        if not self._services.sessions.is_known:
            _log.error("%s cannot be read; every recording session begins paused", self._home.state / SESSIONS)
            self._services.alarm("sessions_unreadable")

    def _raise_alarm(self, what: str) -> None:
        self._services.alarm(what)

    def _file_late(self) -> None:
        """Retry rows and audit entries that could not be written, and close recordings left open; repeats itself."""
        if self._services.rows.waiting:
            self._executors.filing.submit(self._services.rows.catch_up)
        if self._left_open.notice(self._services.alarms):
            self._executors.filing.submit(self._left_open.close)
        if self._services.late.waiting:
            self._executors.act_writer.submit(self._services.late.catch_up)
        else:  # not both: each may wait for the log's lock, and the entries of pauses wait for them
            self._executors.act_writer.submit(self._services.shell_late.catch_up_others)
        self._reactor.call_later(LATE_LOOK_S, self._file_late)

    # --- the end

    def _publish_drain(self, event: dict[str, Any]) -> None:
        """Tell watchers of a drain; the alarm lasts as long as a drain that does not end by itself."""
        if event["state"] == DrainState.DRAINING:
            self._services.alarms["draining"] = 1
        else:
            self._services.alarms.pop("draining", None)
        self._services.publish(event)

    @property
    def _drain_options(self) -> Drain:
        """Return how to drain. A unit that would kill the daemon in the middle of a drain gets none."""
        options = self._services.config.drain
        return replace(options, limit_s=0.0) if self._manager.is_silent else options

    def _stop(self) -> None:
        """End the calls that are left, and the loop."""
        self._heartbeat.stop()
        _log.info("leaving; %d calls are ended", self._control.live)
        is_busy = self._control.live or self._services.open_recordings or self._registrars
        self._control.stop()
        self._reactor.call_later(SETTLE_S if is_busy else 0.0, self._reactor.stop)

    def _close(self) -> None:
        self._manager.extend(CLOSING_S)
        self._socket.close()
        # First: an open socket would take INVITEs that nobody answers, and their callers would not try another route.
        self._endpoint.close(keep=self._control.surviving_legs())
        deadline = time.monotonic() + FILING_S
        while self._services.open_recordings and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._services.open_recordings:
            _log.error(
                "%d recordings were not filed; the next start recovers them", len(self._services.open_recordings)
            )
        self._writer.close()
        self._sweeping.close()
        self._resolver.close()
        self._executors.opening.close()
        self._port_memory.close()
        self._executors.filing.close()
        self._executors.webhooks.close()
        self._executors.orders.close()
        self._executors.pins.close()
        self._executors.pauses.close()
        for late in (self._services.late, self._services.shell_late):
            self._executors.act_writer.submit(late.catch_up)
        self._executors.act_writer.close()
        self._is_written_out.set()
        self._forwarding.close()
        self._anchors.join(ANCHORS_S)
        if self._metrics is not None:
            self._metrics.close()
        self._media_events.close()
        self._relay.close()
        self._index.close()


def _recover(home: Home, config: Config) -> None:
    """Recover recordings that a dead daemon left open. A failure is logged: it must not stop calls."""
    try:
        recovered = recover_all(home, config, utc_now())
    except Exception as error:  # noqa: BLE001 - a full disk, a database that is down, a damaged row: calls come first
        _log.error("recordings left open were not recovered: %s; run `recorder recover` later", error)
        return
    for found in recovered:
        if found.problem:
            _log.error("not recovered: %s", found.problem)
        else:
            _log.warning("recording %s was left open by a killed daemon; it is recovered as partial", found.id)


def run(root: Path) -> None:
    """Run the daemon in a home until it is told to stop.

    Raises:
        ConfigError, NoticeError, StartError, LimitError, AlreadyRunningError: The message is a sentence.
    """
    home = Home(root)
    manager = ServiceManager.taken_from(os.environ)
    config = read_config(home.config)
    use_format(config.log.format)
    forbid_dumps()
    if config.media.lock_memory:
        lock_memory()
    raise_descriptors(config.limits.max_calls, config.connections)
    with held(home):
        manager.status("recovering what an earlier run left open")
        _recover(home, config)
        try:
            daemon = Daemon(home, config, manager)
        except (AccountError, PathTooLongError) as error:
            raise StartError(str(error)) from error
        except TlsFilesError as error:
            raise StartError(f"cannot start SIP over TLS: {error}") from error
        except OSError as error:
            where = error.filename if isinstance(error, BindError) else config.sip.listen
            raise StartError(
                f"cannot listen on {where}: {error.strerror or error}; is another program using it?"
            ) from error
        daemon.run()
