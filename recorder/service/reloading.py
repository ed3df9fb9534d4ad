"""Applies a changed configuration file while the daemon runs."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import fields
from typing import Any

from recorder.calls.call_services import CallServices, Sounds
from recorder.calls.notices import NoticeError, NoticeStore
from recorder.common.home import Home
from recorder.common.problems import ProblemError
from recorder.common.serial_executor import SerialExecutor
from recorder.common.service_manager import ServiceManager
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import DERIVED, ConfigError
from recorder.service.sounds import load_sounds
from sip.endpoint import SipEndpoint
from sip.reactor import Reactor
from sip.resolver import Resolver
from sip.tls import TlsFilesError

_log = logging.getLogger(__name__)

UNUSABLE_NOTICES = "notices_unusable"
"""Alarm: the messages to callers were changed, and the new ones cannot be loaded."""
NEEDS_RESTART = frozenset(
    {"sip", "media", "storage", "peer", "register", "log", "metrics", "console_metrics", "node"}
    | {f"limits.{key}" for key in ("max_calls", "max_connections", "max_connections_per_source")}
)
"""Sections and keys that take a restart, not a reload."""


class Reloader:
    """Reads the configuration again and applies it to new calls.

    Args:
        home: The recorder's home.
        services: Holds the current configuration and the sounds.
        reactor: Event loop of the call thread.
        endpoint: Reloads its certificates.
        resolver: Keeps the names of the routes' targets resolved.
        manager: The service manager, which is told of reloads.
        used: Called on the call thread once a changed configuration is in use.
    """

    def __init__(
        self,
        home: Home,
        services: CallServices,
        reactor: Reactor,
        endpoint: SipEndpoint,
        resolver: Resolver,
        *,
        manager: ServiceManager,
        used: Callable[[], None],
    ) -> None:
        self._manager = manager
        self._used = used
        self._home = home
        self._services = services
        self._reactor = reactor
        self._endpoint = endpoint
        self._resolver = resolver
        self._store = NoticeStore(home.notices)
        self._known = self._store.fingerprint
        self._look: Future[None] | None = None

    def reload_by_signal(self) -> None:
        """Reload on the executor's thread; a faulty file is logged."""

        def reload() -> None:
            try:
                self.reload("signal")
            except ProblemError as error:
                _log.error("reload refused, the configuration is unchanged: %s", error.detail)

        self._services.act_writer.submit(reload)

    def reload(self, by: str) -> dict[str, Any]:
        """Apply a changed file to new calls. Reads files, so never on the call thread.

        Raises:
            ProblemError: The file cannot be used; nothing was changed.
        """
        with self._manager.reloading():
            return self._reload(by)

    def _reload(self, by: str) -> dict[str, Any]:
        old = self._services.config
        try:
            new = read_config(self._home.config)
            known = self._store.fingerprint
            sounds = load_sounds(self._home, new)
            self._endpoint.renew_certificates()
        except (ConfigError, NoticeError, TlsFilesError) as error:
            raise ProblemError(409, f"{error}.", title="Configuration refused") from error
        self._known = known
        self._services.set_alarm(UNUSABLE_NOTICES, False)
        changed = changes(old, new)
        details = {"sha256": new.sha256, "before": old.sha256, "changed": changed}
        self._services.late.enter(act="config.reload", actor=by, subject="", details=details)
        self._reactor.submit(self._use, new, sounds)
        needs_restart = [name for name in changed if {name, name.split(".")[0]} & NEEDS_RESTART]
        _log.info("configuration reloaded, changed: %s", ", ".join(changed) or "nothing")
        return {"sha256": new.sha256, "changed": changed, "needs_restart": needs_restart}

    def watch_notices(self, executor: SerialExecutor) -> None:
        """Have an executor load the messages to callers again if somebody has changed them. Call thread."""
        if self._look is None or self._look.done():
            self._look = executor.submit(self._look_at_notices)

    def _look_at_notices(self) -> None:
        config, found = self._services.config, self._store.fingerprint
        if found == self._known:
            return
        self._known = found
        try:
            sounds = load_sounds(self._home, config)
        except Exception as error:  # noqa: BLE001 - whatever it is, callers hear the former ones, which has to be said
            why = error if isinstance(error, NoticeError | OSError) else type(error).__name__
            _log.error("the messages to callers were changed and cannot be used; the former stay in use: %s", why)
            self._services.set_alarm(UNUSABLE_NOTICES, True)
            return
        self._services.set_alarm(UNUSABLE_NOTICES, False)
        self._reactor.submit(self._use_sounds, config, sounds)
        _log.info("the messages to callers were changed and are loaded")

    def _use_sounds(self, config: Config, sounds: Sounds) -> None:
        if self._services.config is config:
            self._services.sounds = sounds
        else:
            self._known = None  # the configuration was reloaded meanwhile: the next look loads what fits it

    def _use(self, config: Config, sounds: Sounds) -> None:
        self._services.config, self._services.sounds = config, sounds
        self._resolver.want(target for route in config.route for target in route.targets)
        self._used()


def changes(old: Config, new: Config) -> list[str]:
    """Return the dotted keys that differ between two configurations; for repeated sections, the section's name."""
    found = []
    for section in (field.name for field in fields(Config) if field.name not in DERIVED):
        before, after = getattr(old, section), getattr(new, section)
        if isinstance(before, tuple):
            found += [section] if before != after else []
        else:
            keys = (field.name for field in fields(before))
            found += [f"{section}.{key}" for key in keys if getattr(before, key) != getattr(after, key)]
    return found
