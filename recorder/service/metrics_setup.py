"""Starts the listener of a process's metrics as configured."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from recorder.common.metrics_listener import MetricsListener
from recorder.config.metrics_options import MetricsOptions


def start_listener(
    options: MetricsOptions, registry: Callable[[], CollectorRegistry], *, section: str, alarm: Callable[[str], None]
) -> MetricsListener | None:
    """Start serving metrics; None if they are off.

    Args:
        options: The section.
        registry: Makes the registry, if it is needed.
        section: Name of the section, for the log.
        alarm: Raises the alarm of a name.
    """
    if options.listen is None:
        return None
    listener = MetricsListener(
        registry(), options.listen.host, options.listen.port, networks=options.networks, section=section, alarm=alarm
    )
    listener.start()
    return listener
