"""Metrics that are read from the state of a process when they are scraped: one row of a table each.

A row names the metric and says how to read it from a snapshot. Values of labels come from closed sets, so that nothing
of a call can become one: a value that is not in the set is counted as ``other``.
"""

import enum
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from recorder.common.instruments import OTHER

_log = logging.getLogger(__name__)

_SAY_EVERY_S = 3600.0

Snapshot = TypeVar("Snapshot")
Reading = float | Mapping[str, float] | None
"""A value, the values by label, or None for a value that is not known now."""


class MetricKind(enum.StrEnum):
    """The kinds of metric that are read at a scrape; histograms are instruments of the code that measures."""

    GAUGE = "gauge"
    COUNTER = "counter"


_FAMILIES: Mapping[MetricKind, type[GaugeMetricFamily | CounterMetricFamily]] = {
    MetricKind.GAUGE: GaugeMetricFamily,
    MetricKind.COUNTER: CounterMetricFamily,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[Snapshot]):
    """One metric.

    Attributes:
        name: As Prometheus names it, with the unit; a counter ends in ``_total``.
        kind: Gauge or counter.
        help: What it is, one sentence.
        read: Returns the value from a snapshot.
        label: Name of its label, "" for none.
        values: The closed set of the label's values.
        has_all: Every value is shown, those that are not read as 0; False shows only what is read.
    """

    name: str
    kind: MetricKind
    help: str
    read: Callable[[Snapshot], Reading]
    label: str = ""
    values: Sequence[str] = ()
    has_all: bool = True


class TableCollector(Collector, Generic[Snapshot]):
    """Collects the metrics of a table.

    Args:
        table: The rows.
        take: Takes the snapshot that a scrape's rows are read from.
    """

    def __init__(self, table: Sequence[Row[Snapshot]], take: Callable[[], Snapshot]) -> None:
        self._table, self._take = table, take
        self._said_s: dict[str, float] = {}

    def describe(self) -> Iterable[Metric]:
        """Return the metrics without values, so that registering reads nothing."""
        return [_family(row) for row in self._table]

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; one that cannot be read is left out, and logged at most once an hour."""
        snapshot = self._take()
        for row in self._table:
            family = _family(row)
            try:
                _fill(family, row, row.read(snapshot))
            except Exception as error:  # noqa: BLE001 - one metric that cannot be read must not hide the others
                self._say(row.name, error)
                continue
            yield family
            time.sleep(0)  # other threads, the call thread above all, run between two rows

    def _say(self, name: str, error: Exception) -> None:
        now_s = time.monotonic()
        if now_s - self._said_s.get(name, float("-inf")) >= _SAY_EVERY_S:
            self._said_s[name] = now_s
            _log.error("metric %s cannot be read and is left out: %s", name, type(error).__name__)


def _family(row: Row[Snapshot]) -> GaugeMetricFamily | CounterMetricFamily:
    return _FAMILIES[row.kind](row.name, row.help, labels=[row.label] if row.label else None)


def _fill(family: GaugeMetricFamily | CounterMetricFamily, row: Row[Snapshot], reading: Reading) -> None:
    if reading is None:
        return
    if isinstance(reading, Mapping):
        for value, number in _closed(row, reading).items():
            family.add_metric([value], number)
    else:
        family.add_metric([], reading)


def _closed(row: Row[Snapshot], reading: Mapping[str, float]) -> dict[str, float]:
    """Return the readings by values of the closed set."""
    found: dict[str, float] = dict.fromkeys(row.values, 0.0) if row.has_all else {}
    for value, number in reading.items():
        known = value if value in row.values else OTHER
        found[known] = found.get(known, 0.0) + number
    return found


def registry_of(*collectors: Collector) -> CollectorRegistry:
    """Return a registry of these collectors."""
    registry = CollectorRegistry()
    for one in collectors:
        registry.register(one)
    return registry
