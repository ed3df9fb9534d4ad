"""The daemon's metrics that are read from its state at a scrape: one row each. docs/monitoring.md lists them.

To add a metric, add a row to `TABLE`. One that is counted or measured as calls go on is an instrument of
`recorder.calls.tallies` instead. Labels take values of closed sets only, never a number, a name or an id.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector

from audio.types import TICKS_PER_S
from audio.writer import WriterCounters
from recorder.audit.anchor_targets import NAMES as ANCHORS
from recorder.audit.reading import Verified, last_verified
from recorder.calls.call_services import CallServices
from recorder.calls.live_calls import SESSION, LiveCalls
from recorder.calls.rules.call_events import CallState
from recorder.common.clock import utc_now
from recorder.common.metric_table import MetricKind, Row, TableCollector, registry_of
from recorder.control.health_report import Standing, standing
from recorder.recordings.verifying import born_at
from recorder.rules.alarms import ALARMS, CONSOLE_ALARMS
from recorder.rules.pausing import PauseState
from recorder.service.disk_watch import DiskWatch
from recorder.service.lately import Lately
from recorder.service.stalls import Stalls

BACKLOG_S = 60.0
"""How often the recordings that are due are counted, seconds: a query."""
_ALARMS = tuple(sorted(ALARMS.keys() - CONSOLE_ALARMS))
_HANDLED = ("recorded", "passed", "refused", "emergency")
_CALL_STATES = tuple(state.name.lower() for state in CallState if state is not CallState.ENDED)
_SIP = (
    "untrusted", "without_tls", "malformed", "overload", "keepalive", "rate_limited", "foreign", "stray", "unsendable",
    "too_many", "tls_failed", "too_slow", "stuck", "unreachable", "no_transport", "large", "large_over_tcp", "mended",
)  # fmt: skip
"""Names in `sip.endpoint.SipEndpoint.counters`."""
_DROPPED = {
    "unusable": "dropped", "foreign": "refused", "unauthentic": "srtp_unauthentic", "replayed": "srtp_replayed",
}  # fmt: skip
"""Why the media core drops packets, and its counter."""
VERSION = version("council-call-recorder")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSources:
    """What the daemon's metrics are read from.

    Attributes:
        max_calls: Limit that is in force since the start.
        state: Folder of states of the home.
        backlog: How many recordings are due to be deleted.
    """

    services: CallServices
    calls: LiveCalls
    stalls: Stalls
    disk: DiskWatch
    backlog: Lately[int]
    max_calls: int
    state: Path


class DaemonState:
    """The state of the daemon at one scrape; each part is read once, when the first row asks for it."""

    def __init__(self, sources: MetricSources) -> None:
        self.sources, self.services = sources, sources.services
        self.now = utc_now()

    @cached_property
    def standing(self) -> Standing:
        """Return alarms, retention, mail and transports; reads files."""
        return standing(self.services)

    @cached_property
    def states(self) -> tuple[Counter[str], Counter[str]]:
        """Return calls and recordings by state."""
        return self.sources.calls.states()

    @cached_property
    def counts(self) -> dict[str, int]:
        """Return the numbers of calls by handling."""
        return self.sources.calls.counts

    @cached_property
    def media(self) -> dict[str, int]:
        """Return the counters of the media core."""
        return self.services.relay.counters()

    @cached_property
    def writer(self) -> WriterCounters:
        """Return the counters of the writer."""
        return self.services.writer.counters

    @cached_property
    def anchors(self) -> list[dict[str, Any]]:
        """Return the state of each target of anchors."""
        return self.services.anchoring.as_json()

    @cached_property
    def verified(self) -> Verified | None:
        """Return the result of the last verification of the audit log; reads a file."""
        return last_verified(self.sources.state)

    @cached_property
    def born(self) -> datetime:
        """Return when the home was made."""
        return born_at(self.sources.state.parent, self.now)

    @property
    def rehearsal_age_s(self) -> float | None:
        """Return how long ago a backup was restored on trial, seconds; None without a destination of backups."""
        found = self.standing.backup
        return self.since((found["rehearsal"] or {}).get("at") or self.born) if found["destination"] else None

    @property
    def dropped(self) -> dict[str, float]:
        """Return the dropped packets by reason."""
        return {reason: self.media[counter] for reason, counter in _DROPPED.items()}

    @property
    def handled(self) -> dict[str, float]:
        """Return the calls by handling."""
        return {name: self.counts[name] for name in _HANDLED}

    def disk(self, field: str) -> float | None:
        """Return a field of the disk's space, or None if it is not known."""
        found = self.sources.disk.as_json()
        return None if found is None else found[field]

    def stall_s(self, field: str) -> float:
        """Return a duration of the call thread's stalls, seconds."""
        return float(self.sources.stalls.as_json()[field]) / 1000

    def since(self, moment: datetime | str | None) -> float | None:
        """Return how long ago a moment was, in ISO 8601 if it is text, seconds; None if there was none."""
        at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
        return None if at is None else (self.now - at).total_seconds()

    def forwarding(self, field: str) -> Mapping[str, float]:
        """Return a number of what is sent to other systems; that of all webhooks, whose names are no labels."""
        found = self.standing.forwarding
        logs = {to: float(found[to][field]) for to in ("syslog", "copies") if field in (found.get(to) or {})}
        return {**logs, "webhooks": float(sum(one[field] for one in found.get("webhooks", ())))}

    def objects(self, field: str) -> float | None:
        """Return a number of the recordings in the object store; None without one."""
        found = self.standing.objects
        return float(found[field]) if found.get("url") is not None else None

    def selftest(self, field: str) -> float | None:
        """Return a field of the last self-test's result; None if there was none."""
        last = self.standing.selftest["last"]
        return None if last is None else float(last[field])

    @property
    def selftest_every_s(self) -> float | None:
        """Return how often self-tests run by themselves, seconds; None if they do not."""
        minutes = self.services.config.selftest.every_minutes
        return None if minutes is None else 60 * minutes

    @property
    def certificate_left_s(self) -> float | None:
        """Return how long the certificate of SIP is good, seconds; negative once it has ended, None without TLS."""
        passed_s = self.since(self.standing.transports.get("certificate_expires_at"))
        return None if passed_s is None else -passed_s

    @property
    def anchor_ages(self) -> Mapping[str, float]:
        """Return how long ago each target got a head, seconds, where it has got one."""
        return {one["target"]: one["age_s"] for one in self.anchors if one["age_s"] is not None}

    @property
    def anchor_failures(self) -> Mapping[str, float]:
        """Return for each configured target 1 if its last try failed, else 0."""
        return {one["target"]: float(bool(one["problem"])) for one in self.anchors}


_G, _C = MetricKind.GAUGE, MetricKind.COUNTER
TABLE: Sequence[Row[DaemonState]] = (
    Row(name="recorder_build_info", kind=_G, help="1, by the version of the program.",
        label="version", values=(VERSION,), read=lambda at: {VERSION: 1}),
    # Calls
    Row(name="recorder_calls_in_progress", kind=_G, help="Calls in progress, passed calls included, by state.",
        label="state", values=(*_CALL_STATES, SESSION), read=lambda at: at.states[0]),
    Row(name="recorder_recordings_in_progress", kind=_G, help="Recordings in progress, by state of the gate.",
        label="state", values=tuple(map(str, PauseState)), read=lambda at: at.states[1]),
    Row(name="recorder_calls_limit", kind=_G, help="Recorded calls that are admitted at the same time.",
        read=lambda at: at.sources.max_calls),
    Row(name="recorder_calls_offered_total", kind=_C, help="INVITEs that begin a call or replace a party.",
        read=lambda at: at.counts["offered"]),
    Row(name="recorder_calls_handled_total", kind=_C, help="Calls by handling; emergency calls are passed too.",
        label="handling", values=_HANDLED, read=lambda at: at.handled),
    Row(name="recorder_calls_over_peer_limit_total", kind=_C, help="Calls refused because their peer is at its limit.",
        read=lambda at: at.counts["over_peer_limit"]),
    Row(name="recorder_call_faults_total", kind=_C, help="Internal errors that ended or refused a call.",
        read=lambda at: at.counts["faults"]),
    Row(name="recorder_sip_messages_total", kind=_C, help="SIP messages and connections that were not normal.",
        label="reason", values=_SIP, read=lambda at: at.services.sip_status.counters),
    # Media
    Row(name="recorder_media_legs", kind=_G, help="Open media legs, two for a call.",
        read=lambda at: at.media["legs"]),
    Row(name="recorder_media_packets_received_total", kind=_C, help="RTP packets accepted.",
        read=lambda at: at.media["received"]),
    Row(name="recorder_media_packets_relayed_total", kind=_C, help="RTP packets of those that the kernel relayed.",
        read=lambda at: at.media["relayed"]),
    Row(name="recorder_media_packets_sent_total", kind=_C, help="RTP packets sent by the daemon itself.",
        read=lambda at: at.media["sent"]),
    Row(name="recorder_media_packets_dropped_total", kind=_C, help="Packets that were dropped, by reason.",
        label="reason", values=tuple(_DROPPED), read=lambda at: at.dropped),
    Row(name="recorder_media_packets_lost_total", kind=_C,
        help="RTP packets that never arrived, by their sequence numbers; counted when a party leaves.",
        read=lambda at: at.media["lost"]),
    Row(name="recorder_media_send_errors_total", kind=_C, help="RTP packets that the kernel did not take.",
        read=lambda at: at.media["send_errors"]),
    Row(name="recorder_media_audio_late_seconds_total", kind=_C,
        help="Audio that came too late for the recording, of each channel.",
        read=lambda at: at.media["late_ticks"] / TICKS_PER_S),
    Row(name="recorder_media_audio_lost_seconds_total", kind=_C,
        help="Audio lost because the writer did not keep up, of each channel.",
        read=lambda at: at.media["lost_ticks"] / TICKS_PER_S),
    Row(name="recorder_media_ring_bytes", kind=_G, help="Memory of the ring buffers.",
        read=lambda at: at.media["ring_bytes"]),
    # Writing
    Row(name="recorder_writer_lag_seconds", kind=_G, help="How late the writer is now; audio is lost over 4 s.",
        read=lambda at: at.writer.lag_s),
    Row(name="recorder_writer_late_periods_total", kind=_C, help="Turns of 50 ms that the writer missed.",
        read=lambda at: at.writer.late_periods),
    Row(name="recorder_writer_bytes_total", kind=_C, help="Bytes of audio given to containers.",
        read=lambda at: at.writer.bytes),
    Row(name="recorder_writer_failures_total", kind=_C, help="Times at which a recording could not be written.",
        read=lambda at: at.writer.failures),
    Row(name="recorder_rows_waiting", kind=_G, help="Rows of calls that wait for the database.",
        read=lambda at: at.services.rows.waiting),
    Row(name="recorder_disk_free_bytes", kind=_G, help="Free space on the disk of the recordings.",
        read=lambda at: at.disk("free_bytes")),
    Row(name="recorder_disk_size_bytes", kind=_G, help="Size of the disk of the recordings.",
        read=lambda at: at.disk("size_bytes")),
    Row(name="recorder_disk_left_seconds", kind=_G,
        help="How long the free space lasts at the rate of the last day; absent while it does not shrink.",
        read=lambda at: at.disk("left_s")),
    # The process
    Row(name="recorder_call_thread_stalls_total", kind=_C, help="Times the call thread was blocked for over 100 ms.",
        read=lambda at: at.sources.stalls.as_json()["stalls_over_100_ms"]),
    Row(name="recorder_call_thread_longest_stall_seconds", kind=_G,
        help="Longest block of the call thread in the last one to two minutes.",
        read=lambda at: at.stall_s("longest_stall_lately_ms")),
    Row(name="recorder_sip_certificate_left_seconds", kind=_G,
        help="How long the certificate for SIP over TLS is good; absent without TLS.",
        read=lambda at: at.certificate_left_s),
    # Retention, audit, notifications
    Row(name="recorder_retention_sweep_age_seconds", kind=_G, help="Time since the last sweep that succeeded.",
        read=lambda at: at.since(at.standing.retention.get("last_success"))),
    Row(name="recorder_retention_backlog", kind=_G, help="Recordings that are due and not held, counted each minute.",
        read=lambda at: at.sources.backlog.value),
    Row(name="recorder_audit_entries_waiting", kind=_G, help="Audit entries that could not be written yet.",
        read=lambda at: at.services.late.waiting + at.services.shell_late.waiting),
    Row(name="recorder_audit_verified_age_seconds", kind=_G,
        help="Time since `recorder audit verify` last ran, or since the home was made if it never did.",
        read=lambda at: at.since(at.verified.at if at.verified else at.born)),
    Row(name="recorder_recordings_verified_age_seconds", kind=_G,
        help="Time since recordings were last verified, or since the home was made if they never were.",
        read=lambda at: at.since(at.standing.verification["recordings"]["at"] or at.born)),
    Row(name="recorder_backup_age_seconds", kind=_G,
        help="Time since a backup was last made, or since the home was made; only where `[backup]` has a destination.",
        read=lambda at: at.since(at.standing.backup["at"] or at.born) if at.standing.backup["destination"] else None),
    Row(name="recorder_backup_rehearsal_age_seconds", kind=_G,
        help="Time since a backup was last restored on trial, or since the home was made; only with a destination.",
        read=lambda at: at.rehearsal_age_s),
    Row(name="recorder_audit_problems", kind=_G, help="Problems that the last `recorder audit verify` found.",
        read=lambda at: len(at.verified.problems) if at.verified else None),
    Row(name="recorder_anchor_age_seconds", kind=_G, help="Time since a target got the head of the audit log.",
        label="target", values=ANCHORS, has_all=False, read=lambda at: at.anchor_ages),
    Row(name="recorder_anchor_failed", kind=_G, help="1 if the last try to reach a target failed; it is retried.",
        label="target", values=ANCHORS, has_all=False, read=lambda at: at.anchor_failures),
    Row(name="recorder_mails_waiting", kind=_G, help="Mails that the console has not sent yet.",
        read=lambda at: at.standing.mail.get("waiting")),
    Row(name="recorder_forwarding_waiting", kind=_G,
        help="Audit entries that syslog server and database, and events that webhooks, have not taken yet.",
        label="to", values=("syslog", "copies", "webhooks"), read=lambda at: at.forwarding("waiting")),
    Row(name="recorder_forwarding_given_up", kind=_G, help="Events that were given up in the last day.",
        label="to", values=("webhooks",), read=lambda at: at.forwarding("given_up")),
    Row(name="recorder_objects_waiting", kind=_G, help="Recordings that wait to be stored in the object store.",
        read=lambda at: at.objects("waiting")),
    Row(name="recorder_objects_removing", kind=_G,
        help="Objects of deleted or rewritten recordings that were not removed from the object store yet.",
        read=lambda at: at.objects("removing")),
    Row(name="recorder_objects_locked", kind=_G, help="Those of them that a lock of the object store protects.",
        read=lambda at: at.objects("locked")),
    Row(name="recorder_selftest_passed", kind=_G, help="1 if the last self-test passed, 0 if it found a fault.",
        read=lambda at: at.selftest("passed")),
    Row(name="recorder_selftest_age_seconds", kind=_G,
        help="Time since a self-test passed; absent if none ever has.",
        read=lambda at: at.since((at.standing.selftest["last"] or {}).get("passed_at"))),
    Row(name="recorder_selftest_every_seconds", kind=_G,
        help="How often the daemon tests itself; absent if it does not.",
        read=lambda at: at.selftest_every_s),
    Row(name="recorder_alarm", kind=_G, help="Alarms as in health: how often since the start, 0 for none.",
        label="alarm", values=_ALARMS, read=lambda at: at.standing.alarms),
    Row(name="recorder_alarms_raised_total", kind=_C, help="How often each alarm of an event was raised.",
        label="alarm", values=_ALARMS, read=lambda at: at.services.alarms.raised.copy()),
)  # fmt: skip


def daemon_registry(sources: MetricSources) -> CollectorRegistry:
    """Return the registry of everything that the daemon exposes."""
    return registry_of(
        TableCollector(TABLE, lambda: DaemonState(sources)),
        *(instrument.metric for instrument in sources.services.tallies.all),
        ProcessCollector(registry=None),
    )
