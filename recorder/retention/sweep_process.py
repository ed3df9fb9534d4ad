"""The sweep as a process of its own, at a lower priority: `python -m recorder.retention.sweep_process HOME`.

The daemon starts it (`recorder.retention.sweeping`). Exit codes: 0 swept, 1 failed, 3 stopped until a person has
looked, 4 another one is running.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from recorder.access.database import open_people
from recorder.common.clock import since_boot, utc_now
from recorder.common.home import Home
from recorder.common.logs import log_to_stderr
from recorder.common.process_hardening import forbid_dumps
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.recordings.agreement import look
from recorder.recordings.home_stores import open_index
from recorder.recordings.resurrection_guard import LOCK, SweepBusyError, alone
from recorder.retention.account_expiry import AccountExpiry
from recorder.retention.sweep import Sweeper, SweepStoppedError
from recorder.retention.sweep_consent import Consent
from recorder.retention.sweep_consents import Consents
from recorder.retention.sweep_state import SweepFile
from recorder.retention.sweep_stops import Stop
from storage.audit import AuditLog
from storage.deletion import Shredder
from storage.erasures import Erasures
from storage.errors import StorageError
from storage.holds import Holds
from storage.keys import NodeKeys
from storage.old_calls import OldCalls
from storage.tombstones import Deletions
from storage.vault import Vault

_log = logging.getLogger(__name__)

DONE, FAILED, STOPPED, BUSY = 0, 1, 3, 4
_NICE = 5
"""Not the lowest: while other work takes every processor, whoever waits for a lock that the sweep has would wait for
seconds. Measured with 12 busy processes on 2 cores: 2.0 s at 19, 0.35 s at 5."""


@contextlib.contextmanager
def opened_sweeper(
    home: Home, config: Config, *, now: Callable[[], datetime] = utc_now, is_noted: bool = False,
    has_people: bool = True,
) -> Iterator[Sweeper]:  # fmt: skip
    """Open what a sweep needs; the database is closed at the end.

    Args:
        home: The recorder's home.
        config: Its configuration.
        now: The clock, UTC.
        is_noted: It is the daily sweep: that index, audit log and states belong together is noted in all of them.
        has_people: The file of people is swept too, and what two people confirmed in it is looked for.

    Raises:
        StorageError, OSError: Keys or database cannot be opened.
    """
    index = open_index(home, config)
    people = open_people(home.people) if has_people else None
    try:
        database, audit = index.database, AuditLog(home.audit, now=now)
        vault = Vault(home.root, NodeKeys.load(home.root))
        look(home.state, database, audit, now(), is_noted=is_noted)
        yield Sweeper(
            vault=vault,
            calls=OldCalls(database),
            shredder=Shredder(vault, Deletions(database), audit),
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
        )
    finally:
        if people is not None:
            people.dispose()
        index.close()


class NothingConfirmed:
    """What two people confirmed, for a sweep that does not open the file of people: `recorder retention` does."""

    def take(self, what: Stop, *, due: int, now: datetime) -> Consent | None:
        """Return None."""
        return None


def sweeps_people(config: Config) -> bool:
    """Tell whether the daemon's sweep opens the file of people: only where there is no console, which does its part."""
    return config.console.listen is None


def main(root: Path) -> int:
    """Sweep a home once; returns the exit code."""
    log_to_stderr()
    forbid_dumps()
    os.nice(_NICE)
    home = Home(root)
    try:
        config = read_config(home.config)
        with opened_sweeper(home, config, is_noted=True, has_people=sweeps_people(config)) as sweeper:
            state = sweeper.run()
    except SweepBusyError as error:
        _log.info("%s", error)
        return BUSY
    except SweepStoppedError as error:
        _log.error("nothing was deleted: %s", error)
        return STOPPED
    except (StorageError, OSError, ConfigError) as error:
        _log.error("the retention sweep failed, it is tried again: %s", error)
        _note_failure(home, str(error))
        return FAILED
    except Exception as error:  # noqa: BLE001 - whatever it is, somebody has to know that nothing is swept
        _log.exception("the retention sweep failed, it is tried again")
        _note_failure(home, f"the sweep failed for a reason nobody foresaw, a {type(error).__name__}; the log has it")
        return FAILED
    counts = {name: count for name, count in state.counts.items() if count}
    size = counts.pop("bytes", 0) / 1e6  # so that the log does not take it for a number that somebody called
    said = ", ".join(f"{name} {count}" for name, count in counts.items())
    _log.info("retention sweep: %s, %.1f MB", said or "nothing was due", size)
    return FAILED if state.counts.get("not_deleted") else DONE


def _note_failure(home: Home, problem: str) -> None:
    """Leave word for health; where not even that can be done, the exit code tells the daemon."""
    with contextlib.suppress(StorageError, OSError, ValueError), alone(home.state / LOCK):
        file = SweepFile(home.state, AuditLog(home.audit))
        file.save(replace(file.load(), last_try=utc_now(), stopped="", problem=problem))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
