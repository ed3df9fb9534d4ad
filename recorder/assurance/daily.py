"""The daily work of recording assurance: imports call records, and judges the whole days that are due.

It runs on a thread of the console. Where several consoles share the index, one of them does it at a time. Each console
of such a site looks into its own places, in its turn.
"""

import logging
import random
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass

from recorder.assurance.assurance import Assurance
from recorder.assurance.sources import CallRecordSources
from recorder.common.turns import Turn
from storage.assurance import AssuranceStore
from storage.errors import LeaseLostError, StorageError

FIRST_AFTER_S = 120.0
EVERY_S = 1800.0
"""How often days that are due are looked for, seconds: call records may be imported at any time."""
UNREADABLE, FAILED = "call_records_unreadable", "assurance_failed"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one look did.

    Attributes:
        days: How many days were judged.
        unreadable: How many places or files with call records cannot be read.
    """

    days: int
    unreadable: int


def judge_due(
    assurance: Assurance, turn: Turn | None = None, sources: CallRecordSources | None = None
) -> Judged | None:
    """Import what is new, and judge the days that are due; None if it is another console's turn.

    Args:
        assurance: Of the site.
        turn: Keeps several consoles of a site apart; None if there is one.
        sources: Places with call records.

    Raises:
        StorageError: The database failed, or another console has taken over; the next look goes on.
    """

    def judge(store: AssuranceStore) -> Judged:
        unreadable = 0 if sources is None else sources.import_new(assurance, store)
        return Judged(days=len([assurance.keep(day, to=store) for day in assurance.days_due()]), unreadable=unreadable)

    if turn is None:
        return judge(assurance.store)
    try:
        return turn.do(lambda database: judge(AssuranceStore(database)))
    finally:
        turn.close()


def keep_judging(
    assurance: Assurance,
    stopping: threading.Event,
    *,
    turn: Turn | None = None,
    sources: CallRecordSources | None = None,
    alarms: MutableMapping[str, int],
) -> None:
    """Do so until told to stop; a failure is logged and is an alarm, and the next look tries again.

    Args:
        assurance: Of the site.
        stopping: Set to end it.
        turn: As for `judge_due`.
        sources: Likewise.
        alarms: The console's alarms.
    """
    wait_s = random.uniform(0, FIRST_AFTER_S)  # noqa: S311 - spreads the load
    while not stopping.wait(wait_s):
        wait_s = EVERY_S
        try:
            done = judge_due(assurance, turn, sources)
        except Exception as error:  # noqa: BLE001 - the thread must go on
            why = error if isinstance(error, StorageError) else type(error).__name__
            _log.error("Recording assurance failed; trying again in %.0f minutes: %s", EVERY_S / 60, why)
            if not isinstance(error, LeaseLostError):  # then another console goes on
                alarms[FAILED] = 1
            continue
        alarms.pop(UNREADABLE, None)
        alarms.pop(FAILED, None)
        if done is not None and done.unreadable:
            alarms[UNREADABLE] = done.unreadable
        if done is not None and done.days:
            _log.info("Recording assurance: %d days compared", done.days)
