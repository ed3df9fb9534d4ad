"""The daily work of recording assurance: judges the whole days that are due, once for the site.

It runs on a thread of the console. Where several consoles share the index, one of them does it at a time.
"""

import logging
import random
import threading

from recorder.assurance.assurance import Assurance
from recorder.common.turns import Turn
from storage.assurance import AssuranceStore
from storage.database import Database
from storage.errors import StorageError

FIRST_AFTER_S = 120.0
EVERY_S = 1800.0
"""How often days that are due are looked for, seconds: call records may be imported at any time."""
_log = logging.getLogger(__name__)


def judge_due(assurance: Assurance, turn: Turn | None = None) -> int:
    """Judge the days that are due; return how many were judged here.

    Args:
        assurance: Of the site.
        turn: Keeps several consoles of a site apart; None if there is one.

    Raises:
        StorageError: The database failed, or another console has taken over; the next look goes on.
    """
    days = assurance.days_due()
    if not days or turn is None:
        return len([assurance.keep(day) for day in days])

    def judge(database: Database) -> int:
        store = AssuranceStore(database)
        return len([assurance.keep(day, to=store) for day in assurance.days_due()])

    try:
        return turn.do(judge) or 0
    finally:
        turn.close()


def keep_judging(assurance: Assurance, stopping: threading.Event, turn: Turn | None = None) -> None:
    """Judge the days that are due until told to stop; a failure is logged, and the next look tries again."""
    wait_s = random.uniform(0, FIRST_AFTER_S)  # noqa: S311 - spreads the load
    while not stopping.wait(wait_s):
        wait_s = EVERY_S
        try:
            judged = judge_due(assurance, turn)
        except Exception as error:  # noqa: BLE001 - the thread must go on
            why = error if isinstance(error, StorageError) else type(error).__name__
            _log.error("Recording assurance failed; trying again in %.0f minutes: %s", EVERY_S / 60, why)
            continue
        if judged:
            trend = assurance.trend()
            _log.info(
                "Recording assurance: %d days checked; %d of the last %d calls not recorded as they should have been",
                judged, trend.now.bad, trend.now.calls,
            )  # fmt: skip
