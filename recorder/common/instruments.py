"""Metrics that code counts or measures as it goes on: counters and histograms of durations, with closed labels.

Any thread may use them. None is for what happens with every packet.
"""

from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # when each began: of no use, and a third more samples

OTHER = "other"
"""Value of a label for what is not in its closed set."""


class LabelledCounter:
    """A counter, by the values of a label.

    Args:
        name: As Prometheus names it, ending in ``_total``.
        help: What is counted, one sentence.
        label: Name of the label.
        values: The closed set of its values; any other value is counted as ``other``.
    """

    def __init__(self, name: str, help: str, label: str, values: Iterable[str]) -> None:
        self.name, self.help, self.label, self.values = name, help, label, tuple(values)
        self.metric = Counter(name, help, [label], registry=None)
        self._of = {value: self.metric.labels(value) for value in (*self.values, OTHER)}

    def add(self, value: str) -> None:
        """Count one, for a value of the label."""
        self._of.get(value, self._of[OTHER]).inc()


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


class Instruments:
    """The instruments of a process; each is an attribute of a subclass."""

    @property
    def all(self) -> tuple[LabelledCounter | Durations, ...]:
        """Return every instrument."""
        return tuple(one for one in vars(self).values() if isinstance(one, LabelledCounter | Durations))
