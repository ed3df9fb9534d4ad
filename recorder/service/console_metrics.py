"""The console's metrics that are read from its state at a scrape: one row each. docs/monitoring.md lists them.

To add a metric, add a row to `TABLE`, or an instrument to `recorder.web.console_tallies`. Labels take values of closed
sets only, never a number, a name or an id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector

from recorder.assurance.judging import Verdict
from recorder.common.clock import utc_now
from recorder.common.metric_table import MetricKind, Row, TableCollector, registry_of
from recorder.control.http_connections import ConsoleConnections
from recorder.rules.alarms import CONSOLE_ALARMS
from recorder.service.daemon_metrics import VERSION
from recorder.service.lately import Lately
from recorder.web.console_alarms import console_alarms
from recorder.web.deps import ConsoleDeps

LOOK_S = 60.0
"""How often databases are asked, seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleState:
    """What the console's metrics are read from.

    Attributes:
        certificate_ends: When the certificate ends that the console was started with; None without HTTPS of its own.
        alarms: The console's alarms by name.
        erasures: How many orders to erase are open.
        assured: Calls of the last day that was checked, by verdict.
    """

    deps: ConsoleDeps
    connections: ConsoleConnections
    certificate_ends: datetime | None
    alarms: Lately[Mapping[str, float]]
    erasures: Lately[float]
    assured: Lately[Mapping[str, float]]

    @property
    def certificate_left_s(self) -> float | None:
        """Return how long the certificate is good, seconds; negative once it has ended."""
        return None if self.certificate_ends is None else (self.certificate_ends - utc_now()).total_seconds()


_G = MetricKind.GAUGE
TABLE: Sequence[Row[ConsoleState]] = (
    Row(name="recorder_build_info", kind=_G, help="1, by the version of the program.",
        label="version", values=(VERSION,), read=lambda at: {VERSION: 1}),
    Row(name="recorder_console_connections", kind=_G, help="Open connections to the console.",
        read=lambda at: at.connections.count),
    Row(name="recorder_console_connections_limit", kind=_G, help="Connections that the console takes.",
        read=lambda at: at.connections.limits.most),
    Row(name="recorder_console_certificate_left_seconds", kind=_G,
        help="How long the console's certificate is good; absent without HTTPS of its own.",
        read=lambda at: at.certificate_left_s),
    Row(name="recorder_erasures_open", kind=_G, help="Orders to erase that wait or failed, counted each minute.",
        read=lambda at: at.erasures.value),
    Row(name="recorder_assurance_calls", kind=_G, help="Calls of the last day that recording assurance checked.",
        label="verdict", values=tuple(map(str, Verdict)), read=lambda at: at.assured.value),
    Row(name="recorder_audit_entries_waiting", kind=_G, help="Audit entries that could not be written yet.",
        read=lambda at: at.deps.hearing.audit_service.late.waiting),
    Row(name="recorder_alarm", kind=_G, help="Alarms as in health: a number over 0 while the alarm lasts, 0 for none.",
        label="alarm", values=tuple(sorted(CONSOLE_ALARMS)), read=lambda at: at.alarms.value),
)  # fmt: skip


def console_registry(
    deps: ConsoleDeps, connections: ConsoleConnections, certificate_ends: datetime | None
) -> CollectorRegistry:
    """Return the registry of everything that the console exposes."""
    state = ConsoleState(
        deps=deps,
        connections=connections,
        certificate_ends=certificate_ends,
        alarms=Lately(lambda: console_alarms(deps), LOOK_S),
        erasures=Lately(lambda: len(deps.repos.erasures.open_orders()), LOOK_S),
        assured=Lately(deps.watch.assurance.last_counts, LOOK_S),
    )
    return registry_of(
        TableCollector(TABLE, lambda: state),
        *(instrument.metric for instrument in deps.tallies.all),
        ProcessCollector(registry=None),
    )
