"""The sweep as a process of its own, at a lower priority: `python -m recorder.retention.sweep_process HOME`.

The daemon starts it (`recorder.retention.sweeping`). Exit codes: 0 swept, 1 failed, 3 stopped until a person decides, 4
another sweep is running.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from recorder.access.database import open_accounts
from recorder.common import child_process
from recorder.common.clock import since_boot, utc_now
from recorder.common.home import Home
from recorder.common.logs import use_format
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.recordings.agreement import look
from recorder.recordings.home_stores import holder_of, open_index, shared_name
from recorder.recordings.resurrection_guard import LOCK, SweepBusyError, alone
from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.sweep import Sweeper
from recorder.retention.sweep_consent import Consent
from recorder.retention.sweep_consents import Consents
from recorder.retention.sweep_safeguards import Stop, SweepStoppedError
from recorder.retention.sweep_sharing import Sharing
from recorder.retention.sweep_state import SweepFile
from storage.audit import AuditLog
from storage.database import Database
from storage.deletion import Shredder
from storage.erasures import Erasures
from storage.errors import StorageError
from storage.holds import Holds
from storage.keys import NodeKeys
from storage.leases import Leases
from storage.old_calls import OldCalls
from storage.shared_deletion import SharedDeletion
from storage.tombstones import Deletions
from storage.vault import Vault

_log = logging.getLogger(__name__)

DONE, FAILED, STOPPED, BUSY = 0, 1, 3, 4


@contextlib.contextmanager
def opened_sweeper(
    home: Home, config: Config, *, now: Callable[[], datetime] = utc_now, is_noted: bool = False,
    has_people: bool = True,
) -> Iterator[Sweeper]:  # fmt: skip
    """Open what a sweep needs, and close it at the end.

    Args:
        home: The recorder's home.
        config: Its configuration.
        now: The clock, UTC.
        is_noted: Whether this is the daily sweep, which marks index, audit log and states as belonging together.
        has_people: Whether to sweep the file of people, and to use the confirmations in it.

    Raises:
        StorageError, OSError: Keys or database cannot be opened.
    """
    index = open_index(home, config)
    people = open_accounts(home, config.storage.accounts_url) if has_people else None
    try:
        database, audit = index.database, AuditLog(home.audit, now=now)
        vault = Vault(home.root, NodeKeys.load(home.root))
        look(home.state, database, audit, now(), is_noted=is_noted)
        sharing = sharing_of(config, database, vault.node)
        shared = None if sharing is None else SharedDeletion(database=database, audit=audit, node=sharing.node, now=now)
        yield Sweeper(
            vault=vault,
            calls=OldCalls(database),
            shredder=Shredder(vault, Deletions(database), audit, shared),
            holds=Holds(database),
            erasures=Erasures(database),
            former=None if people is None else AccountExpiry(people),
            audit=audit,
            state=home.state,
            erasing_lock=home.erasing_lock,
            consents=NothingConfirmed() if people is None else Consents(people),
            periods=config.periods,
            most_share=config.retention.most_share_a_day,
            now=now,
            since_boot=since_boot,
            sharing=sharing,
        )
    finally:
        if people is not None:
            people.dispose()
        index.close()


def sharing_of(config: Config, database: Database, node: NodeKeys) -> Sharing | None:
    """Return what a home's sweep shares with other nodes; None if it has its index for itself."""
    name = shared_name(config)
    return None if name is None else Sharing(leases=Leases(database), holder=holder_of(config, node), node=name)


class NothingConfirmed:
    """Confirmations for a sweep without the file of people: none. `recorder retention run` uses that file."""

    def take(self, what: Stop, *, due: int, now: datetime) -> Consent | None:
        """Return None."""
        return None


def sweeps_people(config: Config) -> bool:
    """Tell whether the daemon's sweep opens the file of people: only if there is no console to do that part.

    The daemon never opens accounts on a server, where its role has no right.
    """
    return config.console.listen is None and config.storage.accounts_url is None


def _opens_people(home: Home, config: Config) -> bool:
    """Tell whether this sweep opens the file of people; if it is another user's, what is due in it stays."""
    if not sweeps_people(config):
        return False
    if home.people.exists() and not os.access(home.people, os.R_OK | os.W_OK, effective_ids=True):
        _log.warning(
            "%s belongs to another user, so nothing in it is swept: start the console, or run `recorder retention run` "
            "as its owner each day", home.people,
        )  # fmt: skip
        return False
    return True


def main(root: Path) -> int:
    """Sweep a home once; returns the exit code."""
    child_process.begin()
    home = Home(root)
    try:
        config = read_config(home.config)
        use_format(config.log.format)
        with opened_sweeper(home, config, is_noted=True, has_people=_opens_people(home, config)) as sweeper:
            state = sweeper.run()
    except SweepBusyError as error:
        _log.info("%s", error)
        return BUSY
    except SweepStoppedError as error:
        _log.error("The retention sweep deleted nothing: %s", error)
        return STOPPED
    except (StorageError, OSError, ConfigError) as error:
        _log.error("The retention sweep failed; retrying: %s", error)
        _note_failure(home, str(error))
        return FAILED
    except Exception as error:  # noqa: BLE001 - health must show that nothing is swept
        _log.exception("The retention sweep failed; retrying")
        _note_failure(home, f"the sweep failed with an internal error, {type(error).__name__}; see the log")
        return FAILED
    counts = {name: count for name, count in state.counts.items() if count}
    size = counts.pop("bytes", 0) / 1e6  # in MB, so that the log does not mask it as a phone number
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    _log.info("retention sweep: %s, %.1f MB", said or "nothing was due", size)
    return FAILED if state.counts.get("not_deleted") else DONE


def _note_failure(home: Home, problem: str) -> None:
    """Store the failure for health; if that fails too, the exit code tells the daemon."""
    with contextlib.suppress(StorageError, OSError, ValueError), alone(home.state / LOCK):
        file = SweepFile(home.state, AuditLog(home.audit))
        file.save(replace(file.load(), last_try=utc_now(), stopped="", problem=problem))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
