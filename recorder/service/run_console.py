"""`recorder console`: serves the console for a recorder's home. The only process that opens private keys."""

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import uvicorn

from recorder.access.accounts import People, combining_admin
from recorder.access.database import open_accounts
from recorder.access.listening.appointments import Appointments
from recorder.access.sealed_secrets import SealedSecrets
from recorder.common.clock import utc_now
from recorder.common.garbage_collection import GarbageCollector
from recorder.common.home import Home
from recorder.common.process_hardening import LimitError, raise_descriptors
from recorder.common.service_manager import ServiceManager
from recorder.config.settings import Config
from recorder.control.http_connections import ConsoleConnections
from recorder.permissions import Role
from recorder.recordings.keyring import epoch_keys
from recorder.service.console_metrics import console_registry
from recorder.service.console_threads import start_threads
from recorder.service.console_work import start_site_work
from recorder.service.metrics_setup import start_listener
from recorder.web.app import create_app
from recorder.web.page_templates import STYLE
from recorder.web.server import TlsFiles, server_config
from recorder.web.wiring import open_console
from sip.options import TlsOptions
from sip.tls import TlsFilesError, load
from storage.epochs import EpochKeys
from storage.errors import StorageError

_log = logging.getLogger(__name__)

MONTHS_EVERY_S = 6 * 3600.0
"""How often to check for missing key epochs, seconds; keys are made two months ahead, so a day without a console is
safe.
"""

STOP_S = 5.0
"""How long a stop waits for an erasure or for key housekeeping, seconds."""


class ConsoleError(Exception):
    """The console cannot start; the message is a sentence."""


class ConsoleSetUpError(ConsoleError):
    """The same, until somebody has corrected the configuration or a file that it names: another try is in vain."""


class _ConsoleServer(uvicorn.Server):
    """Tells the service manager when the console listens, and when it stops."""

    def __init__(self, config: uvicorn.Config, manager: ServiceManager) -> None:
        super().__init__(config)
        self._manager = manager

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._manager.ready("listening")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._manager.stopping()
        await super().shutdown(sockets)


def serve(home: Home, config: Config) -> None:
    """Serve the console until it is told to stop.

    Raises:
        ConsoleError: It cannot listen, or the limit of open files is too low for its connections.
        StorageError: Keys or index cannot be opened.
        OSError: The accounts database cannot be opened.
    """
    assert config.console.listen is not None
    manager = ServiceManager.taken_from(os.environ)
    listen, tls = config.console.listen, tls_of(config)
    try:
        raise_descriptors(0, config.console.max_connections)
    except LimitError as error:
        most = config.console.max_connections
        raise ConsoleError(f"max_connections = {most} in [console] is more than LimitNOFILE allows") from error
    GarbageCollector().start()
    keys = epoch_keys(home, config)
    keys.check_passphrase()
    ensure_key_epochs(keys, utc_now())
    stopping = threading.Event()
    threading.Thread(target=keep_key_epochs, args=(keys, stopping), name="months", daemon=True).start()
    with open_console(home, config, keys=keys, is_tls=config.console.is_https) as deps:
        warn_of_combined(deps.people)
        warn_of_unexplained(deps.people, deps.hearing.appointments)
        warn_of_account_key(home, config)
        warn_of_missing_style(STYLE)
        workers = start_threads(home, config, deps, keys, stopping)
        end_site_work = start_site_work(home, config, deps)
        app = create_app(deps)
        connections = ConsoleConnections(config.console.connection_limits)
        server = _ConsoleServer(
            server_config(app, host=listen.host, port=listen.port, tls=tls, connections=connections), manager
        )
        metrics = start_listener(
            config.console_metrics, lambda: console_registry(deps, connections, _certificate_end(config)),
            section="console_metrics", alarm=lambda name: deps.alarms.update({name: 1}),
        )  # fmt: skip
        _log.info("the console listens on %s", config.console.url)
        try:
            server.run()
        except SystemExit as error:  # raised by uvicorn if the address cannot be bound
            raise ConsoleError(f"cannot listen on {config.console.url}: is another program using it?") from error
        finally:
            stopping.set()
            end_site_work()
            if metrics is not None:
                metrics.close()
            app.state.parts.recording_service.listens.close()
            app.state.parts.gate.close()
            for thread in workers:
                thread.join(STOP_S)  # the next start finishes interrupted work


def warn_of_combined(people: People) -> None:
    """Log at every start the accounts that combine `admin` with a role that hears recordings."""
    for person in combining_admin(people):
        _log.warning(
            "account %s has admin and %s, which exclude each other, so it may hear nothing; "
            "`recorder users remove-role` one of them",
            person.name, ", ".join(sorted(person.roles - {Role.ADMIN})),
        )  # fmt: skip


def warn_of_unexplained(people: People, appointments: Appointments) -> None:
    """Log at every start roles and a deputy that no audit entry explains; they give no rights."""
    if (deputy := appointments.unexplained(people)) is not None:
        _log.error("people.sqlite and the audit log disagree on the deputy: %s", deputy)
    for name, roles in sorted(people.unexplained().items()):
        _log.error("no entry of the audit log explains the roles %s of %s", ", ".join(sorted(roles)), name)


def warn_of_account_key(home: Home, config: Config) -> None:
    """Log at every start that authenticators do not open; these people cannot sign in."""
    engine = open_accounts(home, config.storage.accounts_url)
    try:
        problem = SealedSecrets(engine).problem()
    finally:
        engine.dispose()
    if problem is not None:
        _log.error("%s", problem)


def warn_of_missing_style(style: Path) -> None:
    """Log at every start that the pages' files from npm are missing; a checkout needs the set-up for them."""
    if not style.exists():
        _log.error(
            "%s is missing: pages have no style, and recordings cannot be played. Run `make setup` in the checkout",
            style.name,
        )


def tls_of(config: Config) -> TlsFiles | None:
    """Return the console's certificate and key, or None for plain HTTP.

    Raises:
        ConsoleError: They cannot be used.
    """
    if config.console.tls is None:
        return None
    certificate, key = config.console.tls
    try:
        load(TlsOptions(certificate=certificate, private_key=key))
    except TlsFilesError as problem:
        raise ConsoleSetUpError(f"tls_certificate and tls_key in [console]: {problem}") from problem
    return TlsFiles(certificate=Path(certificate), key=Path(key))


def _certificate_end(config: Config) -> datetime | None:
    if config.console.tls is None:
        return None
    certificate, key = config.console.tls
    return load(TlsOptions(certificate=certificate, private_key=key)).expires_at


def keep_key_epochs(
    keys: EpochKeys,
    stopping: threading.Event,
    *,
    every_s: float = MONTHS_EVERY_S,
    now: Callable[[], datetime] = utc_now,
) -> None:
    """Create missing key epochs at intervals until ``stopping`` is set."""
    while not stopping.wait(every_s):
        ensure_key_epochs(keys, now())


def ensure_key_epochs(keys: EpochKeys, now: datetime) -> None:
    """Create the keys of the coming months, so that the daemon always has one to seal to; a failure is logged."""
    try:
        keys.ensure_epochs(now)
    except (StorageError, OSError) as error:
        _log.error("creating the keys of the coming months failed, trying again later: %s", error)
