"""Checks of `recorder site-check` on the systems that events are sent to.

The syslog server is connected to. Webhooks are not: `recorder webhooks test` does that, with an event.
"""

from collections.abc import Iterator

from recorder.config.settings import Config
from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.syslog_server import SyslogError, send
from recorder.forwarding.webhook_delivery import secrets_in
from recorder.forwarding.webhook_http import WebhookError, allowed_addresses, resolve
from recorder.forwarding.webhook_signature import SecretError
from recorder.service.findings import SiteFinding, ok, warning
from storage.errors import KeyProblemError

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


def check_webhooks(config: Config) -> Iterator[SiteFinding]:
    """Check that each webhook has a secret, and a name that resolves to addresses that are allowed."""
    for target in config.webhook:
        problem = _problem(target)
        if problem:
            yield warning(
                f"webhook {target.name}", problem,
                why="its events wait here, and are given up after three days",
                do=f"correct its [[webhook]], then run `recorder webhooks test {target.name}`",
            )  # fmt: skip
        else:
            yield ok(f"webhook {target.name}", f"{target.host}; `recorder webhooks test {target.name}` sends an event")


def _problem(target: WebhookOptions) -> str:
    try:
        secrets_in(target)
        allowed_addresses(target, resolve(target.host, 443))
    except (SecretError, KeyProblemError, WebhookError) as error:
        return str(error)
    except OSError as error:
        return f"{target.host} does not resolve: {error.strerror or error}"
    return ""
