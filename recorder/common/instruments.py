"""Metrics that code counts or measures as it goes on: counters and histograms of durations, with closed labels.

Any thread may use them. None is for what happens with every packet.
"""

from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each began: of no use, and a third more samples

OTHER = "other"
"""Value of a label for what is not in its closed set."""


class LabelledCounter:
    """A counter, by the values of one label if it has one.

    Args:
        name: As Prometheus names it, ending in ``_total``.
        help: What is counted, one sentence.
        label: Name of the label, "" for none.
        values: The closed set of its values; any other value is counted as ``other``.
    """

    def __init__(self, name: str, help: str, label: str = "", values: Iterable[str] = ()) -> None:
        self.name, self.help, self.label, self.values = name, help, label, tuple(values)
        self.metric = Counter(name, help, [label] if label else [], registry=None)
        self._of = {value: self.metric.labels(value) for value in (*self.values, OTHER)} if label else {}

    def add(self, value: str = "", amount: float = 1.0) -> None:
        """Count, for a value of the label."""
        (self._of.get(value, self._of[OTHER]) if self._of else self.metric).inc(amount)


class Durations:
    """A histogram of durations, by the values of one label if it has one.

    Args:
        name: As Prometheus names it, ending in ``_seconds``.
        help: What is measured, one sentence.
        buckets: Upper bounds, seconds, ascending.
        label: Name of the label, "" for none.
        values: The closed set of its values; any other value is counted as ``other``.
    """

    def __init__(
        self,
        name: str,
        help: str,
        buckets: Sequence[float],
        label: str = "",
        values: Iterable[str] = (),
    ) -> None:
        self.name, self.help, self.label, self.values = name, help, label, tuple(values)
        self.metric = Histogram(name, help, [label] if label else [], registry=None, buckets=buckets)
        self._of = {value: self.metric.labels(value) for value in (*self.values, OTHER)} if label else {}

    def took(self, seconds: float, value: str = "") -> None:
        """Add a duration, seconds, for a value of the label."""
        (self._of.get(value, self._of[OTHER]) if self._of else self.metric).observe(seconds)
