"""What a page of metrics says in words."""

from prometheus_client import CollectorRegistry


def texts_of(registry: CollectorRegistry) -> set[str]:
    """Return the names of all samples, and the names and values of their labels, bounds of buckets excepted."""
    return {
        text
        for metric in registry.collect()
        for sample in metric.samples
        for text in (sample.name, *(one for pair in sample.labels.items() if pair[0] != "le" for one in pair))
    }
