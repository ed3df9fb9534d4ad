"""What a console does for a site of several machines: work that one console does at a time, and a sweep of its own.

A machine with a console and no daemon has an audit log, and perhaps keys of recordings, so it sweeps them itself.
"""

from collections.abc import Callable

from recorder.access.pin_sync import PinSync
from recorder.common.child_process import Child, NotNeeded
from recorder.common.home import Home
from recorder.common.turns import Turn
from recorder.config.settings import Config
from recorder.recordings.home_lock import is_daemon_there
from recorder.recordings.home_stores import holder_of, shared_name
from recorder.retention.eraser import Eraser
from recorder.retention.file_removing import FileRemoving, start_removal
from recorder.retention.sweep_process import DONE
from recorder.retention.sweeping import Sweeping, start_sweep
from recorder.service.object_keeping import kept_object_process
from recorder.service.site_sync import SiteSync
from recorder.service.site_threads import refresher
from recorder.web.deps import ConsoleDeps
from storage.database import SQLITE
from storage.leases import Leases
from storage.shared_sign_ons import SharedPins


def turns(config: Config, eraser: Eraser) -> Callable[[str], Turn | None]:
    """Return what gives the lease of a kind of work; None where this console has the index for itself."""
    leases = Leases(eraser.index.database)
    holder = holder_of(config, eraser.vault.node)
    return lambda name: Turn(leases, name, holder) if leases.is_shared else None


def pin_sync(home: Home, config: Config, eraser: Eraser) -> SiteSync:
    """Return the thread that gives PINs set on this machine to the site's nodes, and takes those set on others."""
    if not config.is_shared_index:
        return SiteSync()
    return SiteSync(PinSync(home.pins, SharedPins(eraser.index.database), is_publishing=True).look)


def has_shared_accounts(deps: ConsoleDeps) -> bool:
    """Tell whether consoles of several machines may use the same accounts."""
    return deps.people_sweep.former.engine.dialect.name != SQLITE


def start_sweeping(home: Home, config: Config, deps: ConsoleDeps) -> Callable[[], None]:
    """Start the threads that a daemon has for what is kept on its machine; they do nothing while a daemon runs.

    Returns:
        A function that ends them.
    """
    if not config.is_shared_index or config.node.name is not None:
        return lambda: None
    sweeping = Sweeping(home, lambda: config, start=lambda home: _unless_daemon(home, start_sweep))
    removing = FileRemoving(
        home, deps.eraser.index.database, shared_name(config), start=lambda home: _unless_daemon(home, start_removal),
        refresh=refresher(home, config, deps.eraser.index.database),
    )  # fmt: skip
    sweeping.start()
    removing.start()

    def close() -> None:
        sweeping.close()
        removing.close()

    return close


def start_site_work(home: Home, config: Config, deps: ConsoleDeps) -> Callable[[], None]:
    """Start sweeping, the exchange of PINs and the process of the object store, as far as this console has to.

    Returns:
        A function that ends them.
    """
    end_sweeping = start_sweeping(home, config, deps)
    pins = pin_sync(home, config, deps.eraser)
    pins.start()
    objects = kept_object_process(home, lambda: config, is_mine=lambda: not is_daemon_there(home))
    if config.objects.url is not None:
        objects.start()

    def end() -> None:
        end_sweeping()
        pins.close()
        objects.close()

    return end


def _unless_daemon(home: Home, start: Callable[[Home], Child]) -> Child:
    return NotNeeded(DONE) if is_daemon_there(home) else start(home)
