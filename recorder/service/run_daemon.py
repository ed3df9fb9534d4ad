"""`recorder run`: opens a home, recovers what an earlier run left open, and runs the daemon."""

import logging
import os
from pathlib import Path

from recorder.common.clock import utc_now
from recorder.common.garbage_collection import GarbageCollector
from recorder.common.home import Home
from recorder.common.logs import use_format
from recorder.common.process_hardening import forbid_dumps, lock_memory, raise_descriptors
from recorder.common.service_manager import ServiceManager
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.sip_accounts import AccountError
from recorder.control.socket_server import PathTooLongError
from recorder.recordings.home_lock import held
from recorder.recordings.recovery import recover_all
from recorder.service.daemon import Daemon
from recorder.service.site_node import NodeStartError
from sip.options import BindError
from sip.tls import TlsFilesError

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The daemon cannot start; the message says why and what to do."""


class SetUpError(StartError):
    """The same, until somebody has corrected the configuration or a file that it names: another try is in vain."""


def _recover(home: Home, config: Config) -> None:
    """Recover recordings that a dead daemon left open. A failure is logged: it must not stop calls."""
    try:
        recovered = recover_all(home, config, utc_now())
    except Exception as error:  # noqa: BLE001 - a full disk, a database that is down, a damaged row: calls come first
        _log.error("recordings left open were not recovered: %s; run `recorder recordings recover` later", error)
        return
    for found in recovered:
        if found.problem:
            _log.error("not recovered: %s", found.problem)
        else:
            _log.warning("recording %s was left open by a killed daemon; it is recovered as partial", found.id)


def run(root: Path) -> None:
    """Run the daemon in a home until it is told to stop.

    Raises:
        ConfigError, NoticeError, StartError, LimitError, AlreadyRunningError, StorageError: The message is a sentence.
    """
    home = Home(root)
    manager = ServiceManager.taken_from(os.environ)
    config = read_config(home.config)
    use_format(config.log.format)
    forbid_dumps()
    if config.media.lock_memory:
        lock_memory()
    raise_descriptors(config.limits.max_calls, config.connections)
    collector = GarbageCollector()
    collector.start()
    with held(home):
        manager.status("recovering what an earlier run left open")
        _recover(home, config)
        try:
            daemon = Daemon(home, config, manager)
        except (AccountError, PathTooLongError) as error:
            raise SetUpError(str(error)) from error
        except TlsFilesError as error:
            raise SetUpError(f"cannot start SIP over TLS: {error}") from error
        except NodeStartError as error:
            raise StartError(str(error)) from error
        except OSError as error:
            where = error.filename if isinstance(error, BindError) else config.sip.listen
            raise StartError(
                f"cannot listen on {where}: {error.strerror or error}; is another program using it?"
            ) from error
        daemon.connect_collector(collector)
        daemon.run()
