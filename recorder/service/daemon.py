"""The daemon: its parts, put together, started and stopped. `run_daemon` opens its home.

Threads: the call thread is the main thread and runs the reactor. Media threads run in the core. `writer` seals and
appends. `act-writer`, `opening`, `filing`, `orders`, `pauses`, `dialogs`, `pins` and `webhooks` write to disks.
`media-events` and `socket` pass events to the call thread. `anchors` notes heads of the audit log on other machines.
`names` keeps targets' names resolved. `sweeping`, `forwarding` and `objects` start separate processes: the retention
sweep, what sends to other systems, and what stores recordings in an object store. `SiteThreads` and `SiteNode` have the
threads of a site with several nodes.
"""

import logging
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from audio.port_memory import PortMemory
from recorder.access.signing import Verifier
from recorder.audit.anchoring import LAST_TIMEOUT_S
from recorder.calls.call_services import CallServices
from recorder.calls.closing import LONGEST_WAIT_S, LOOK_EVERY_S
from recorder.calls.dialog_register import DIALOGS, DialogRegister
from recorder.calls.dialog_register import REASON as LEFT
from recorder.calls.live_calls import LiveCalls
from recorder.calls.session_register import REGISTER as SESSIONS
from recorder.calls.tallies import Tallies
from recorder.common.clock import utc_now
from recorder.common.garbage_collection import GarbageCollector, freeze_startup_objects
from recorder.common.home import Home
from recorder.common.metrics_listener import MetricsListener
from recorder.common.service_manager import ServiceManager
from recorder.config.settings import Config, Drain
from recorder.config.sip_accounts import accounts, registrars
from recorder.config.sip_transports import sip_options
from recorder.control.api import LiveApi
from recorder.control.broadcast import Broadcast
from recorder.control.socket_server import SocketServer
from recorder.recordings.home_stores import open_index, shared_name
from recorder.recordings.left_open import FAULTS, LeftOpen
from recorder.retention.selftest_deletion import SelfTestDeletion
from recorder.retention.sweeping import Sweeping
from recorder.rules.drain import DrainState
from recorder.service import certificates, daemon_metrics
from recorder.service.composition import (
    DaemonParts,
    Executors,
    MediaCore,
    follow_key_list,
    loop_mark,
    make_call_services,
    make_resolver,
    make_writer,
    open_media,
    prepare_first_call,
)
from recorder.service.disk_faults import DiskFaults
from recorder.service.disk_watch import DiskWatch
from recorder.service.draining import Draining
from recorder.service.forwarding import Forwarding
from recorder.service.heartbeat import Heartbeat, waits_for_disk
from recorder.service.home_watch import HomeWatch
from recorder.service.lately import Lately
from recorder.service.media_events import MediaEvents
from recorder.service.metrics_setup import start_listener
from recorder.service.node_registration import NodeLoad
from recorder.service.object_keeping import kept_object_process
from recorder.service.options_health import OptionsHealth
from recorder.service.reloading import Reloader
from recorder.service.selftest_schedule import SelfTestSchedule
from recorder.service.selftests import SelfTests
from recorder.service.site_node import NodeParts, SiteNode, open_site_node
from recorder.service.site_threads import SiteThreads
from recorder.service.stalls import Stalls
from sip.endpoint import SipEndpoint
from sip.events import SipEvent
from sip.reactor import Reactor
from storage.group_modes import open_file
from storage.keys import NodeKeys
from storage.old_calls import OldCalls
from storage.types import RecordingId

_log = logging.getLogger(__name__)

SETTLE_S = 0.3
"""From the last hang-up to the end of the loop at least, seconds: media legs close a moment after their calls."""
LEAVE_S = SETTLE_S + LONGEST_WAIT_S + 1.0
"""From the last hang-up to the end of the loop at most, seconds."""
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


class Daemon:
    """The components of a running daemon."""

    def __init__(self, home: Home, config: Config, manager: ServiceManager | None = None) -> None:
        self._home, self._manager = home, manager or ServiceManager()
        self._reactor, self._executors = Reactor(), Executors()
        node = NodeKeys.load(home.root)
        self._index = open_index(home, config, is_deferred=True)
        self._sweeping = Sweeping(home, lambda: self._services.config)
        self._site = SiteThreads(home, config, self._index.database, lambda: self._services)
        self._forwarding = Forwarding(home, lambda: self._services.config)
        self._objects = kept_object_process(home, lambda: self._services.config)
        self._port_memory = PortMemory(home.state / "ports", self._executors.opening.submit, open_file)
        media = open_media(config, self._port_memory)
        self._relay = media.relay
        tallies = Tallies()
        self._writer = make_writer(config, self._relay, on_failure=self._recording_failed, tallies=tallies)
        options = sip_options(config, is_urgent=self._is_emergency, account_of=accounts(config.peer))
        self._registrars = registrars(config.register)
        self._endpoint = SipEndpoint(options, self._on_sip, self._reactor)
        self._resolver = make_resolver(config, on_change=lambda: self._reactor.submit(self._watch_targets))
        broadcast = Broadcast()
        parts = DaemonParts(
            home=home, node=node, executors=self._executors, index=self._index, reactor=self._reactor,
            endpoint=self._endpoint, relay=self._relay, writer=self._writer, resolver=self._resolver,
            sweeping=self._sweeping, removing=self._site.removing, broadcast=broadcast, tallies=tallies,
            config=lambda: self._services.config, alarm=self._raise_alarm,
        )  # fmt: skip
        self._services = make_call_services(config, parts)
        _raise_alarms_of_start(self._services, media, home.state)
        self._left_open = self._make_left_open()
        self._reloader = Reloader(
            home, self._services, self._reactor, self._endpoint, self._resolver, manager=self._manager,
            used=self._objects.start_if_wanted,
        )  # fmt: skip
        self._control = LiveCalls(self._services, loop_mark(home))
        self._stalls = Stalls(self._reactor, is_asleep=lambda: self._reactor.is_asleep)
        self._disk = self._make_disk_watch()
        self._disk_faults = DiskFaults(
            home.recordings, self._services.alarms.raised, works_again=lambda: self._services.alarms.end(*FAULTS)
        )
        self._home_watch = HomeWatch(home, self._index, self._services, utc_now)
        self._services.is_disk_failing = lambda: self._disk_faults.is_failing
        self._options_health = OptionsHealth(self._services, self._control)
        self._endpoint.answer_options_by(self._options_health.refusal)
        self._dialogs = DialogRegister(home.state / DIALOGS, self._executors.dialogs, goes_on=self._control.goes_on)
        self._endpoint.keep_dialogs_by(self._dialogs)
        self._draining = self._make_draining()
        self._heartbeat = self._make_heartbeat()
        self._selftests = self._make_selftests()
        self._services.selftest = self._selftests.health
        self._selftest_schedule = SelfTestSchedule(home, lambda: self._services.config, self._selftests)
        api = self._make_api(broadcast).app()
        self._socket = SocketServer(api, self._home.socket)
        self._site_node = self._open_site_node(config, node, api)
        self._media_events = MediaEvents(self._relay, partial(self._reactor.submit, self._control.receive_media))
        self._site_keys = follow_key_list(home, self._index.database, self._services)
        self._metrics: MetricsListener | None = None
        self._is_written_out = threading.Event()
        self._anchors = threading.Thread(
            target=self._services.anchoring.keep, args=(self._is_written_out,), name="anchors", daemon=True
        )

    def connect_collector(self, collector: GarbageCollector) -> None:
        """Tell the garbage collector from now on how many legs there are, and what should be freed."""
        collector.legs = lambda: self._endpoint.leg_count
        self._control.when_ended(collector.expect_freed)
        self._endpoint.when_removed(collector.expect_freed)

    def _make_disk_watch(self) -> DiskWatch:
        return DiskWatch(
            self._home.recordings, filling=lambda is_on: self._services.set_alarm("disk_filling", is_on),
            warn_days=lambda: self._services.config.limits.warn_disk_days,
        )  # fmt: skip

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
            alarm=self._raise_alarm, end_alarm=self._services.alarms.end,
        )  # fmt: skip

    def _make_selftests(self) -> SelfTests:
        config = self._services.config
        deletion = SelfTestDeletion(
            self._home, self._services.vault, self._index.database, utc_now, node=config.node.name or "",
            shares=shared_name(config) is not None,
        )  # fmt: skip
        return SelfTests(
            self._services, self._control, self._endpoint, is_draining=lambda: self._draining.state.refuses_calls,
            deletion=deletion, state=self._home.state, now=utc_now,
        )  # fmt: skip

    def _make_api(self, broadcast: Broadcast) -> LiveApi:
        name = self._services.config.node.name or ""
        return LiveApi(
            self._services, self._control, broadcast, reload=self._reloader.reload, call_thread=self._stalls.as_json,
            drain=self._draining, disk=self._disk.as_json, selftests=self._selftests,
            verifier=Verifier(self._home.root, node=name),
            node=lambda: None if self._site_node is None else self._site_node.as_json(),
        )  # fmt: skip

    def _open_site_node(self, config: Config, node: NodeKeys, api: FastAPI) -> SiteNode | None:
        def load() -> NodeLoad:
            return NodeLoad(
                is_draining=self._draining.state.refuses_calls, calls=self._control.live,
                capacity=config.limits.max_calls,
            )  # fmt: skip

        return open_site_node(
            NodeParts(
                home=self._home, options=config.node, fingerprint=node.fingerprint, database=self._index.database,
                app=api, set_alarm=self._services.set_alarm, load=load,
            )
        )  # fmt: skip

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
        prepare_first_call(self._relay, self._services.config)
        self._writer.start()
        self._media_events.start()
        self._resolver.want(target for route in self._services.config.route for target in route.targets)
        self._resolver.start(NAMES_S)
        self._watch_targets()
        for registrar in self._registrars:
            self._endpoint.register(registrar)
        self._hang_up_left()
        self._file_late()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                number, lambda number, _: self._reactor.submit(self._draining.signalled, signal.Signals(number).name)
            )
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.submit(self._reloader.reload_by_signal))
        self._executors.act_writer.submit(self._services.opt_outs.lapse_orphaned, self._services.audit)
        self._socket.start()
        if self._site_node is not None:
            self._site_node.start()
        self._anchors.start()
        self._sweeping.start()
        self._site.start()
        self._forwarding.start()
        self._site_keys.start()
        self._objects.start_if_wanted()
        self._selftests.start()
        self._selftest_schedule.start()
        _log.info("listening for SIP on %s", ", ".join(map(str, self._endpoint.addresses.values())))
        self._look_at_certificate()
        if self._manager.is_silent and self._services.config.drain.limit_s:
            _log.warning("a stop ends calls at once: the systemd unit has no Type=notify; copy it from deploy/ again")
        freeze_startup_objects()
        self._stalls.watch()
        self._stalls.start_asking()
        self._disk.keep(self._reactor, self._executors.filing)
        self._disk_faults.keep(self._reactor, self._executors.filing)
        self._metrics = start_listener(
            self._services.config.metrics, lambda: daemon_metrics.daemon_registry(self.metric_sources()),
            section="metrics", alarm=self._services.alarm,
        )  # fmt: skip
        self._home_watch.start()
        self._heartbeat.start()
        self._reactor.run()
        self._close()

    # --- events

    def _settled(self, recording: str) -> None:
        """Drop the pauses and discards of a recording that a failing disk had left open and that is closed now."""
        self._services.pauses.drop(recording)
        self._services.discards.settle(RecordingId(recording))

    def _recording_failed(self, key: str, error: Exception) -> None:
        """Hand the failure of a recording to the call thread. Writer thread."""
        self._reactor.submit(self._control.recording_failed, key, error)

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

    def _hang_up_left(self) -> None:
        """End the calls that an earlier daemon left when it was killed: their phones hear nothing any more."""
        left = self._dialogs.left
        if left:
            _log.warning("an earlier daemon left %d legs of calls; a BYE is sent to each", len(left))
            self._endpoint.hang_up_left(left, reason=LEFT, when_ended=self._dialogs.settle)

    def _look_at_certificate(self) -> None:
        """Log each day that the certificate expires soon; the health report has the alarm."""
        certificates.warn_of_end(self._endpoint.certificate_expires_at, utc_now())
        self._reactor.call_later(certificates.CHECK_S, self._look_at_certificate)

    def _raise_alarm(self, what: str) -> None:
        self._services.alarm(what)

    def _file_late(self) -> None:
        """Retry rows and audit entries that could not be written, and close recordings left open; repeats itself."""
        if self._services.rows.waiting:
            self._executors.filing.submit(self._services.rows.catch_up)
        self._reloader.watch_notices(self._executors.filing)
        if self._left_open.notice(self._services.alarms.raised):
            self._executors.filing.submit(self._left_open.close)
        if self._services.late.waiting:
            self._executors.act_writer.submit(self._services.late.catch_up)
        else:  # not both: each may wait for the log's lock, and the entries of pauses wait for them
            self._executors.act_writer.submit(self._services.shell_late.catch_up_others)
        self._reactor.call_later(LATE_LOOK_S, self._file_late)

    # --- the end

    def _publish_drain(self, event: dict[str, Any]) -> None:
        """Tell watchers of a drain; the alarm lasts as long as a drain that does not end by itself."""
        self._services.set_alarm("draining", event["state"] == DrainState.DRAINING)
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
        self._reactor.call_later(SETTLE_S if is_busy else 0.0, self._leave, time.monotonic() + LEAVE_S)

    def _leave(self, latest_s: float) -> None:
        """End the loop, once the media of the calls is closed."""
        if self._services.closing and time.monotonic() < latest_s:
            self._reactor.call_later(LOOK_EVERY_S, self._leave, latest_s)
        else:
            self._reactor.stop()

    def _close(self) -> None:
        self._manager.extend(CLOSING_S)
        self._socket.close()
        if self._site_node is not None:
            self._site_node.close()
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
        self._selftest_schedule.close()
        self._selftests.close()
        self._sweeping.close()
        self._site.close()
        self._site_keys.close()
        self._home_watch.close()
        self._resolver.close()
        self._executors.opening.close()
        self._port_memory.close()
        self._executors.filing.close()
        self._executors.webhooks.close()
        self._executors.orders.close()
        self._executors.pins.close()
        self._executors.pauses.close()
        self._executors.dialogs.close()
        for late in (self._services.late, self._services.shell_late):
            self._executors.act_writer.submit(late.catch_up)
        self._executors.act_writer.close()
        self._is_written_out.set()
        self._forwarding.close()
        self._objects.close()
        self._anchors.join(ANCHORS_S)
        if self._metrics is not None:
            self._metrics.close()
        self._media_events.close()
        self._relay.close()
        self._index.close()


def _raise_alarms_of_start(services: CallServices, media: MediaCore, state: Path) -> None:
    """Raise alarms for configured features that are not available, and for state that cannot be read."""
    if services.config.media.lock_memory and not media.is_lockable:
        # A recording that may reach swap is better than none, but operators must know.
        _log.error("LimitMEMLOCK is too low for max_calls; audio in memory may reach swap; run `recorder site-check`")
        services.alarm("memory_not_locked")
    if media.kernel_obstacle is not None:
        services.alarm("kernel_relay_off")
    if not services.sessions.is_known:
        _log.error("%s cannot be read; every recording session begins paused", state / SESSIONS)
        services.alarm("sessions_unreadable")
