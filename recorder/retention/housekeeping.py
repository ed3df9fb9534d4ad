"""The key holder's daily work: re-seals keys of kept recordings, and destroys the private keys of past epochs.

An epoch is past when its month is over or a rotation replaced it. Once no recording's key is sealed to it, its private
key is destroyed; copies in backups then open nothing. Before that, these recordings are re-sealed:

- those of a rotated epoch, to its successor: nothing may need a key that others may have;
- held ones whose period is over, and held ones that are all that is left of an epoch, to the current epoch.

All other recordings wait for the sweep. One process at a time does this, under the lock that erasing and the sweep also
take; it may be interrupted anywhere and run again.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from recorder.common.file_lock import locked
from recorder.common.turns import Turn
from recorder.recordings.archiving import Archiver
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.durable import remove, sync_folder
from storage.epochs import EpochKeys, EpochPublicKey, current_public, epoch_order, names_in
from storage.errors import AuditUnavailableError, KeyProblemError, NotFoundError, StorageError
from storage.holds import Holds
from storage.index import Index
from storage.objects import Objects
from storage.reseal import Resealed, reseal
from storage.rows import time_to_json
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault

_log = logging.getLogger(__name__)

EVERY_S = 24 * 3600.0
FIRST_AFTER_S = 300.0
"""After a start, seconds, plus jitter: a console that is restarted each night must get to it too."""
_JITTER_S = 600.0
MARGIN = timedelta(days=1)
"""How long after its end a month counts as over: clocks differ, and a call begun in it may be answered only now."""
ROTATED_MARGIN = timedelta(hours=1)
"""How long after a rotation an epoch counts as replaced: a daemon may just have read its public key."""


_FEW = 100
"""Up to so many remaining keys of an epoch are checked one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochUse:
    """Why an epoch is still needed.

    Attributes:
        epoch: Its name.
        sealed: Recordings whose key is sealed to it.
        is_current: New recordings are sealed to it.
        is_over: Its month is over or a rotation replaced it, by more than the margin.
        elsewhere: Sentences why recordings of other nodes need it.
    """

    epoch: str
    sealed: int
    is_current: bool
    is_over: bool
    elsewhere: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Return why its private key must stay; empty if nothing needs it."""
        found = []
        if self.is_current:
            found.append("new recordings are sealed to it now")
        elif not self.is_over:
            found.append("its month is not over")
        if self.sealed:
            verb = "recording's key is" if self.sealed == 1 else "recordings' keys are"
            found.append(f"{self.sealed} {verb} sealed to it")
        return [*found, *self.elsewhere]


@dataclass(slots=True, kw_only=True)
class KeyMaintenance:
    """The results of one run.

    Attributes:
        resealed: Recordings that were sealed to a later epoch.
        destroyed: Epochs whose private key was destroyed.
        is_elsewhere: Another process was running, so nothing was done.
    """

    resealed: list[Resealed] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_elsewhere: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyHolder:
    """Re-seals recordings' keys and destroys the private keys of past epochs.

    Attributes:
        index: Tells which recordings are held, and how long they are kept.
        lock: File lock of the process that may change finished recordings.
        now: The clock, UTC.
        elsewhere: Returns sentences why recordings of other nodes need an epoch.
    """

    vault: Vault
    keys: EpochKeys
    index: Index
    audit: AuditLog
    lock: Path
    now: Callable[[], datetime]
    elsewhere: Callable[[str], list[str]] = lambda _: []

    def maintain(self, *, wait: bool = False) -> KeyMaintenance:
        """Do what is due.

        Args:
            wait: Wait for another process, instead of leaving the work to it.

        Raises:
            StorageError, OSError: Database or audit log failed; the next run goes on.
        """
        result = KeyMaintenance()
        with locked(self.lock, wait=wait) as is_alone:
            result.is_elsewhere = not is_alone
            if is_alone:
                self.keys.finish_destroying()
                for name in self.keys.names():
                    self._maintain_epoch(name, result)
        return result

    def use_of(self, name: str) -> EpochUse:
        """Return why an epoch is still needed."""
        try:
            current = current_public(self.keys.public_folder, self.now()).name
        except KeyProblemError:
            current = ""
        sealed = len(set(self.vault.sealed.each(name)) | Objects(self.index.database).sealed_to(name))
        return EpochUse(
            epoch=name, sealed=sealed, is_current=name == current, is_over=self._is_over(name),
            elsewhere=tuple(self.elsewhere(name)),
        )  # fmt: skip

    def destroy(self, name: str, *, by: str, details: dict[str, Any] | None = None) -> list[str]:
        """Destroy the private key of an epoch that nothing needs.

        Args:
            name: The epoch.
            by: Who orders it.
            details: More for the audit log.

        Returns:
            Sentences why it must stay; empty if it is destroyed.

        Raises:
            KeyProblemError: The private key is not here.
            StorageError, OSError: The audit log or the disk failed; do it again.
        """
        with locked(self.lock, wait=True):
            return self._destroy(name, by, details or {})

    def _maintain_epoch(self, name: str, result: KeyMaintenance) -> None:
        if not self.use_of(name).is_over:
            return
        try:
            self._empty(name, result)
            if not self.use_of(name).sentences and not self._destroy(name, RECORDER, {}):
                result.destroyed.append(name)
        except AuditUnavailableError:
            raise
        except (StorageError, OSError) as error:
            result.problems.append(f"epoch {name}: {error}")

    def _empty(self, name: str, result: KeyMaintenance) -> None:
        """Re-seal recordings that must not stay sealed to a past epoch, or that alone keep it."""
        self._drop_useless(name)
        for recording, target in self._movers(name):
            try:
                done = reseal(
                    self.vault, self.keys, recording, target, note=self._note_resealed, row=self._row(recording)
                )  # fmt: skip
            except AuditUnavailableError:
                raise
            except (StorageError, OSError) as error:
                result.problems.append(f"recording {recording}: {error}")
                continue
            if done is not None:
                Objects(self.index.database).key_changed([recording])
                result.resealed.append(done)

    def _movers(self, name: str) -> list[tuple[RecordingId, EpochPublicKey]]:
        sealed = set(self.vault.sealed.each(name))
        successor = self._successor(name)
        if successor is not None:
            return [(one, successor) for one in sorted(sealed) if self._is_at_rest(one)]
        current = current_public(self.keys.public_folder, self.now())
        if epoch_order(current.name) <= epoch_order(name):
            return []
        held = sealed.intersection(Holds(self.index.database).held_ids(self.now()))
        moved = [
            one
            for one in sorted(held)
            if self._is_at_rest(one) and (held == sealed or self._is_due(one) or self._is_elsewhere(one, name))
        ]
        return [(one, current) for one in moved]

    def _drop_useless(self, name: str) -> None:
        """Destroy the last few keys of an epoch that belong to calls of which nothing was kept.

        A key without a row stays: a missing index or disk must not cost a recording.
        """
        sealed = list(islice(self.vault.sealed.each(name), _FEW + 1))
        for recording in sealed if len(sealed) <= _FEW else []:
            row = self._row(recording)
            if row is None or row.path is not None or self.vault.files_of(recording):
                continue
            details = {"epoch": name, "at": time_to_json(self.now())}
            self.audit.append(act="recording.key_destroyed", actor=RECORDER, subject=recording, details=details)
            self.vault.sealed.destroy(recording)

    def _is_elsewhere(self, recording: RecordingId, name: str) -> bool:
        """Tell whether an interrupted run, or a backup, left the key in an older epoch too."""
        return self.vault.sealed.find(recording) != name

    def _is_due(self, recording: RecordingId) -> bool:
        row = self._row(recording)
        return row is not None and row.retention_due is not None and row.retention_due <= self.now()

    def _row(self, recording: RecordingId) -> RecordingRow | None:
        try:
            return self.index.get(recording)
        except NotFoundError:
            return None

    def _is_at_rest(self, recording: RecordingId) -> bool:
        """Tell whether a recording is finished and no rewrite of it was interrupted."""
        suffixes = {path.suffix for path in self.vault.files_of(recording)}
        return (suffixes == {".rec"} or (not suffixes and self._is_only_elsewhere(recording))) and not any(
            self.vault.sealed.next_path(recording, epoch).exists() for epoch in self.vault.sealed.epochs()
        )

    def _is_only_elsewhere(self, recording: RecordingId) -> bool:
        row = self._row(recording)
        return row is not None and row.path is not None and self.vault.elsewhere is not None and self.vault.has(row)

    def _successor(self, name: str) -> EpochPublicKey | None:
        """Return the newest epoch of the same month that replaced this one, or None.

        One with only a private half does not count: its creation was interrupted, or it is being destroyed.
        """
        month, generation = epoch_order(name)
        public = names_in(self.keys.public_folder, ".pub")
        later = [
            n
            for n in self.keys.names()
            if n in public and epoch_order(n)[0] == month and epoch_order(n)[1] > generation
        ]
        return self.keys.public_of(later[-1]) if later else None

    def _is_over(self, name: str) -> bool:
        month, generation = epoch_order(name)
        now = self.now()
        if month < (now - MARGIN).astimezone(UTC).strftime("%Y-%m"):
            return True
        later = [
            n
            for n in names_in(self.keys.public_folder, ".pub")
            if epoch_order(n)[0] == month and epoch_order(n)[1] > generation
        ]
        made = self.keys.made_at(later[0]) if later else None
        return made is not None and made + ROTATED_MARGIN <= now

    def _destroy(self, name: str, by: str, details: dict[str, Any]) -> list[str]:
        """Destroy a private key. The public half goes first, so that nothing is sealed to it between the checks."""
        key = self.keys.public_of(name)
        if sentences := self.use_of(name).sentences:
            return sentences
        self.keys.retire(name)
        if sentences := self.use_of(name).sentences:
            return sentences
        self._remove_folder(name)
        noted = {**details, "epoch": name, "fingerprint": key.fingerprint, "at": time_to_json(self.now())}
        self.audit.append(act="epoch.destroyed", actor=by, subject="", details=noted)
        self.keys.destroy(name)
        _log.info("Private key of epoch %s destroyed, fingerprint %s", name, key.fingerprint[:16])
        return []

    def _remove_folder(self, name: str) -> None:
        """Remove an epoch's folder of sealed keys with leftovers of killed writers; fails if a key has come in."""
        folder = self.vault.home / "keys" / "sealed" / name
        if folder.is_dir():
            for path in folder.glob(".new-*"):
                remove(path)
            folder.rmdir()
            sync_folder(folder.parent)

    def _note_resealed(self, done: Resealed) -> None:
        details = {"from": done.old, "to": done.new.name, "fingerprint": done.new.fingerprint}
        noted = {**details, "at": time_to_json(self.now())}
        self.audit.append(act="recording.resealed", actor=RECORDER, subject=done.id, details=noted)


def run_housekeeping(
    holder: KeyHolder,
    archiver: Archiver,
    stopping: threading.Event,
    *,
    more: Callable[[], object] = lambda: None,
    turn: Turn | None = None,
    first_after_s: float = FIRST_AFTER_S,
    every_s: float = EVERY_S,
) -> None:
    """Do the daily work until told to stop; a failure is logged, and the next day tries again.

    Args:
        holder: Re-seals keys and destroys them.
        archiver: Compresses old recordings.
        stopping: Set to end it.
        more: Further daily work.
        turn: Keeps the archiving of several consoles of a site apart; None if there is one.
        first_after_s: Seconds until the first run, plus jitter.
        every_s: Seconds between runs.
    """

    def archive() -> list[str]:
        if turn is None:
            return archiver.run(stopping=stopping).problems
        packed = turn.do(lambda database: archiver.on(database).run(stopping=stopping))
        turn.close()
        return [] if packed is None else packed.problems

    def do_more() -> list[str]:
        more()
        return []

    duties: list[Callable[[], list[str]]] = [lambda: holder.maintain().problems, archive, do_more]
    wait_s = first_after_s + random.uniform(0, min(_JITTER_S, first_after_s))  # noqa: S311 - spreads the load
    while not stopping.wait(wait_s):
        wait_s = every_s
        for work in duties:
            try:
                problems = work()
            except Exception as error:  # noqa: BLE001 - keys of deleted recordings must be destroyed in the end
                _log.error(
                    "Daily work of the key holder failed; retrying tomorrow: %s",
                    error if isinstance(error, StorageError) else type(error),
                )
                continue
            for problem in problems:
                _log.error("Daily work of the key holder: %s", problem)
