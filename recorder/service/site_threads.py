"""The daemon's threads for a site of several nodes: removed files, unfinished recordings, sign-ons and PINs."""

from collections.abc import Callable
from functools import partial

from recorder.access.pin_sync import PinSync
from recorder.calls.call_services import CallServices
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.home_stores import shared_name
from recorder.retention.file_removing import FileRemoving
from recorder.retention.sweep_process import sharing_of
from recorder.retention.sweep_sharing import refresh_copy
from recorder.service.site_sync import SignOnSync, SiteSync
from recorder.service.unfinished_watch import UnfinishedWatch
from storage.audit import AuditLog
from storage.database import Database
from storage.keys import NodeKeys
from storage.shared_sign_ons import SharedPins, SharedSignOns
from storage.types import RecordingId
from storage.unfinished import UnfinishedRecordings


def refresher(home: Home, config: Config, database: Database) -> Callable[[], None]:
    """Return what brings a home's copy of the state of the site's sweeps up to date."""
    sharing = sharing_of(config, database, NodeKeys.load(home.root))
    if sharing is None:
        return lambda: None
    return partial(refresh_copy, home.state, AuditLog(home.audit), sharing)


class SiteThreads:
    """Starts and ends them. On a site with one recorder there are none.

    Args:
        home: The home.
        config: Its configuration.
        database: The index.
        services: Returns the services of calls; called from `start` on.
    """

    def __init__(self, home: Home, config: Config, database: Database, services: Callable[[], CallServices]) -> None:
        self._home = home
        self._node = shared_name(config)
        self._has_console = config.console.listen is not None
        """A console on this machine keeps the PINs."""
        self._database = database
        self._services = services
        self.removing = FileRemoving(home, database, self._node, refresh=refresher(home, config, database))
        self._unfinished = UnfinishedWatch(
            UnfinishedRecordings(database), self._node or None,
            lambda: map(RecordingId, services().open_recordings.copy()),
        )  # fmt: skip
        self._sync = SiteSync()

    def start(self) -> None:
        """Begin."""
        services = self._services()
        if self._node:
            sign_ons = SignOnSync(
                services.sign_ons, SharedSignOns(self._database), services.act_writer, now=utc_now,
                lasts=lambda: self._services().config.sign_on.lasts,
            )  # fmt: skip
            pins = PinSync(self._home.pins, SharedPins(self._database), is_publishing=False)
            self._sync = SiteSync(sign_ons.look) if self._has_console else SiteSync(sign_ons.look, pins.look)
        self.removing.start()
        self._unfinished.start()
        self._sync.start()

    def close(self) -> None:
        """End. The executor of acts must still run."""
        self._sync.close()
        self.removing.close()
        self._unfinished.close()
