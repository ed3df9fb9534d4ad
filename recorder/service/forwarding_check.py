"""Checks of `recorder site-check` on the systems that events are sent to. Each is connected to."""

from collections.abc import Iterator

from recorder.config.settings import Config
from recorder.forwarding.syslog_server import SyslogError, send
from recorder.service.findings import SiteFinding, ok, warning

TIMEOUT_S = 3.0


def check_syslog(config: Config) -> Iterator[SiteFinding]:
    """Check that the syslog server can be reached, and that both certificates are accepted."""
    if config.syslog.server is None:
        return
    try:
        send(config.syslog, [], timeout_s=TIMEOUT_S)
    except SyslogError as problem:
        yield warning(
            "syslog", str(problem),
            why="entries of the audit log wait here, and nobody else sees them",
            do="check server, ca, certificate and key in [syslog], its name in the DNS, and the firewall between",
        )  # fmt: skip
        return
    yield ok("syslog", f"{config.syslog.server} takes entries of the audit log")
