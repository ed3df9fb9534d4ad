"""Recovery: closes and files the containers that a killed daemon left open. Needs no private key."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.calls.pause_register import REGISTER, States, read_states, write_states
from recorder.calls.recovered_row import amended, is_discarded, is_undecided
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.permissions import Act
from recorder.recordings.agreement import look
from recorder.recordings.home_stores import open_index, shared_name
from recorder.recordings.kept_live import Discards, settle
from recorder.recordings.resurrection_guard import destroy_returned
from recorder.rules.pausing import PauseState
from storage.audit import AuditLog
from storage.container_rows import read_row
from storage.errors import DamagedError, NotFoundError, StorageError
from storage.index import Index
from storage.keys import NodeKeys
from storage.recovery import Progress, Recovered, bare_row, recover
from storage.rows import row_from_json, row_to_json
from storage.types import Outcome, RecordingId, RecordingRow
from storage.vault import Vault, destroy

_log = logging.getLogger(__name__)


LATELY = timedelta(days=2)
"""How far back a start looks for finished files that were not filed before a crash."""


def recover_all(
    home: Home, config: Config, now: datetime, *, progress: Progress = lambda _done, _total: None
) -> list[Recovered]:
    """Close what a killed daemon left open, and file that and finished files without a row.

    What the daemon had acknowledged stays in force: a discarded recording is destroyed, an opted-out or paused one is
    filed as such. Where discarding was still undecided, the index decides now.

    Needs no private key; nothing else may be writing. It may be interrupted anywhere and run again.
    """
    vault = Vault(home.root, NodeKeys.load(home.root))
    _repair_audit(home)
    _look_over(home, config, vault)  # first, because deleted recordings must not be recovered
    register = home.state / REGISTER
    states = read_states(register)
    index = open_index(home, config, is_deferred=True)
    try:
        dropped = {call for call in states if is_discarded(states[call])} | _decided(home, vault, index, states, now)
        discarded = [_destroyed(vault, RecordingId(call)) for call in states if call in dropped]
        closed = recover(
            vault,
            dropped.__contains__,
            amend=lambda row: amended(row, states.get(row["id"])),
            ended=_known_ends(index),
            progress=progress,
        )
        recovered = [*discarded, *closed]
        for found in closed:
            if found.row:
                index.save(row_from_json(found.row))
        for found in discarded:
            _file_discarded(index, found)
        _index_missing(vault, index, now)
    finally:
        index.close()
    left = {found.id for found in recovered if found.problem}
    if states:
        write_states(register, {call: state for call, state in states.items() if call in left})
    for call in states.keys() - left:
        settle(home.state, RecordingId(call))
    return recovered


def _decided(home: Home, vault: Vault, index: Index, states: States, now: datetime) -> set[str]:
    """Return the calls that are to be discarded, of those that were undecided when the daemon was killed."""
    found = set()
    audit = AuditLog(home.audit)
    discards = Discards(home.state, index.database, audit, vault, now=lambda: now)
    for call in (one for one, state in states.items() if is_undecided(state) and not is_discarded(state)):
        try:
            if not discards.decide(RecordingId(call)):
                continue
            details = {"state": PauseState.DISCARDED.value, "decided_late": True}
            audit.append(act=Act.PAUSE.value, actor="recorder", subject=call, details=details)
        except (StorageError, OSError) as error:
            _log.error("call %s: to be discarded, but kept, because its holds cannot be checked: %s", call, error)
        else:
            found.add(call)
    return found


def _known_ends(index: Index) -> Callable[[RecordingId], dict[str, Any] | None]:
    """Return a function for the row of a call that ended and was filed before its container could be closed."""
    is_answering = True

    def known_end(recording: RecordingId) -> dict[str, Any] | None:
        nonlocal is_answering
        if not is_answering:  # each query may cost a time-out
            return None
        try:
            row = index.get(recording)
        except NotFoundError:
            return None
        except (StorageError, OSError):
            is_answering = False
            return None
        has_ended = row.ended_at is not None and row.path is None and row.outcome in (Outcome.PARTIAL, Outcome.FAILED)
        return row_to_json(row, with_peaks=True) if has_ended else None

    return known_end


def _look_over(home: Home, config: Config, vault: Vault) -> None:
    """Check whether something was restored, so that the sweep waits; destroy deleted recordings that came back."""
    try:
        index = open_index(home, config)
        try:
            mark = look(home.state, index.database, AuditLog(home.audit), utc_now())
            for why in mark.why if mark is not None else ():
                _log.error("%s: nothing is deleted until the DPO has looked (`recorder index reconcile`)", why)
            destroy_returned(home, vault, index.database, utc_now, node=shared_name(config))
        finally:
            index.close()
    except (StorageError, OSError) as error:
        _log.error("Checking for deleted recordings that came back failed: %s", error)


def _repair_audit(home: Home) -> None:
    """Move aside a torn end of the audit log, so that `audit verify` is right from now on."""
    try:
        if AuditLog(home.audit).repair():
            _log.warning("The end of the audit log was torn; it was moved aside, and an entry notes that")
    except StorageError as error:
        _log.error("Repairing the audit log failed: %s", error)


def _destroyed(vault: Vault, recording: RecordingId) -> Recovered:
    try:
        destroy(vault, recording)
    except (OSError, ValueError) as error:
        return Recovered(id=recording, row={}, finished=None, problem=f"{recording} was not destroyed: {error}")
    row = bare_row(recording) | {"outcome": Outcome.BLOCKED.value, "reason": "discarded"}
    return Recovered(id=recording, row=row, finished=None)


def _file_discarded(index: Index, found: Recovered) -> None:
    """Save a row for a discarded call, unless the daemon that discarded it saved a better one."""
    try:
        index.get(found.id)
    except NotFoundError:
        if found.row:
            index.save(row_from_json(found.row))


def _index_missing(vault: Vault, index: Index, now: datetime) -> None:
    for age in range(LATELY.days + 1):
        day = vault.root / (now - timedelta(days=age)).strftime("%Y/%m/%d")
        for path in sorted(day.glob("*/*.rec")):
            try:
                index.get(path.stem)
            except NotFoundError:  # or another node has deleted it, and the file could not be removed yet
                index_container(vault, path, index.save_late)


def index_container(vault: Vault, path: Path, save: Callable[[RecordingRow], object]) -> None:
    """Save the row that a container has in it; a damaged one is left to `recorder recordings verify --all`.

    Raises:
        StorageError: The index cannot be written.
    """
    try:
        save(row_from_json(read_row(vault, path)))
    except (DamagedError, OSError, KeyError, TypeError, ValueError):
        return  # `recorder recordings verify --all` reports it; the start goes on
