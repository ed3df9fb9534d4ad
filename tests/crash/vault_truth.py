"""What must be true of a vault, from what its processes said before they were killed, and the check that it is."""

import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.recordings.fsck import Checker
from recorder.recordings.inspection import Inspector
from storage.audit_chain import AuditState
from storage.audit_reading import newest_first, of_act
from storage.errors import StorageError
from storage.fsck import Kind
from storage.reader import open_recording
from storage.retention_types import ErasureState
from storage.runs import AUDIO, TICKS_PER_S, parse
from storage.tombstones import DELETED, tombstones_of
from storage.types import RecordingId, RecordingRow, Search
from tests.crash.vault_site import KEPT_DAYS, VaultSite, ended_at, sound

_LEAVINGS = {Kind.LONE_KEY, Kind.TEMPORARY}
LONG_AFTER_S = 4e9
"""A moment at which every file is old enough to be in the index."""


@dataclass
class Written:
    """What is known of one recording.

    Attributes:
        appended: Seconds that were handed to the system.
        synced: Seconds that a power cut must not take.
        is_closed: `close` has returned: never to be lost.
        is_discarding: It was about to be discarded: the register on the disk knows it, or does not.
        is_discarded: Nothing of it may be left.
        kept_s: Seconds that it held when it was last looked at; it must go on holding them.
    """

    appended: int = 0
    synced: int = 0
    is_closed: bool = False
    is_discarding: bool = False
    is_discarded: bool = False
    kept_s: int | None = None


@dataclass
class Truth:
    """What was said until now.

    Attributes:
        written: Every recording that was ever begun.
        held: Holds that were acknowledged, and not released since; to the recording's id.
        ordered: Orders to erase that were acknowledged.
        gone: Recordings that have a tombstone: they must never be seen again.
        swept_at: When the last sweep that came to its end was made.
        is_powerless: The machine loses power: what was not synced may be gone.
    """

    is_powerless: bool = False
    written: dict[RecordingId, Written] = field(default_factory=dict)
    held: dict[str, RecordingId] = field(default_factory=dict)
    ordered: dict[str, RecordingId] = field(default_factory=dict)
    gone: set[RecordingId] = field(default_factory=set)
    swept_at: datetime | None = None
    audit: AuditState | None = None
    said: Counter[str] = field(default_factory=Counter)

    def hear(self, line: dict[str, Any]) -> None:
        """Take what a process said."""
        what, recording = line["what"], RecordingId(line.get("id", ""))
        self.said[what] += 1
        if what == "beginning":
            self.written[recording] = Written()
        elif what in ("appended", "synced"):
            setattr(self.written[recording], what, line["seconds"])
        elif what == "closed":
            self.written[recording].is_closed = True
        elif what == "discarding":
            self.written[recording].is_discarding = True
        elif what == "discarded":
            self.written[recording].is_discarded = True
        elif what == "held":
            self.held[line["hold"]] = recording
        elif what == "releasing":
            self.held.pop(line["hold"], None)
        elif what == "ordered":
            self.ordered[line["order"]] = recording
        elif what == "swept":
            self.swept_at = datetime.fromisoformat(line["at"])


class Check:
    """One look at a vault after its recovery."""

    def __init__(self, site: VaultSite, truth: Truth) -> None:
        self._site = site
        self._truth = truth
        self.problems: list[str] = []
        self._rows: dict[RecordingId, RecordingRow] = {row.id: row for row in site.index.each(Search())}
        self._files: dict[str, list[Path]] = {}
        for path in sorted(site.vault.root.glob("*/*/*/*/*")):
            self._files.setdefault(path.stem, []).append(path)
        self._keys: dict[str, list[Path]] = {}
        for path in sorted((site.home.root / "keys" / "sealed").glob("*/*.*")):
            if not path.name.startswith(".new-"):
                self._keys.setdefault(path.stem, []).append(path)
        self._tombstones = site.deletions.known(list(truth.written))

    def run(self) -> list[str]:
        """Return what is not as it must be, a sentence each; what was recovered becomes part of the truth."""
        try:
            self._look()
        except StorageError as error:
            self._bad("", f"it cannot be looked at: {error}")
        return self.problems

    def _look(self) -> None:
        self._look_at_audit()
        self._look_at_leavings()
        for recording, written in self._truth.written.items():
            self._look_at(recording, written)
        self._look_at_holds()
        self._look_at_deletions()
        self._look_at_orders()
        self._verify()
        self._agree()
        self._truth.gone |= self._tombstones

    def _bad(self, recording: str, sentence: str) -> None:
        self.problems.append(f"{recording}: {sentence}" if recording else sentence)

    def _look_at_leavings(self) -> None:
        for name, paths in self._files.items():
            if [path.suffix for path in paths] != [".rec"]:
                self._bad(name, f"after recovery there are {[path.name for path in paths]}")
        for name, paths in self._keys.items():
            if any(path.suffix != ".key" for path in paths):
                self._bad(name, f"there is a key in the making: {[path.name for path in paths]}")
        for name in sorted({*self._files, *self._keys, *self._rows} - self._truth.written.keys()):
            self._bad(name, "nobody ever recorded that")

    def _look_at(self, recording: RecordingId, written: Written) -> None:
        if recording in self._tombstones or recording in self._truth.gone:
            self._look_at_deleted(recording, written)
        elif written.is_discarded or (written.is_discarding and self._is_away(recording, written)):
            written.is_discarded = True
            if recording in self._files or recording in self._keys:
                self._bad(recording, "it was discarded, and something of it is left")
        elif recording in self._files:
            self._look_at_kept(recording, written)
        elif written.is_closed or written.kept_s is not None:
            self._bad(recording, "it was finished, is not deleted, and is lost")
        elif (written.appended and not self._truth.is_powerless) or written.synced:
            self._bad(recording, "it was being recorded, and is lost")

    def _is_away(self, recording: RecordingId, written: Written) -> bool:
        """Tell whether the start found in the register that it was being discarded; what was kept once stays."""
        return recording not in self._files and written.kept_s is None

    def _look_at_deleted(self, recording: RecordingId, written: Written) -> None:
        left = [name for name, things in self._things() if recording in things]
        if left:
            self._bad(recording, f"it was deleted, and there is its {', '.join(left)}")
        if recording not in self._tombstones:
            self._bad(recording, "its tombstone is gone")
        if ended_at(recording, written.kept_s or 0) + timedelta(days=KEPT_DAYS) > self._site.now:
            self._bad(recording, "it was deleted before its day")

    def _things(self) -> list[tuple[str, Any]]:
        return [("row", self._rows), ("file", self._files), ("key", self._keys)]

    def _look_at_kept(self, recording: RecordingId, written: Written) -> None:
        row = self._rows.get(recording)
        if row is None or row.path is None:
            self._bad(recording, "there is a file, and no row that says so")
            return
        if written.is_closed and str(row.outcome) != "recorded":
            self._bad(recording, f"it was closed as recorded, the row says {row.outcome} ({row.reason})")
        try:
            reader = open_recording(self._site.vault.locate(row.path), self._site.home.root, self._site.epochs)
            heard = _heard(reader.blocks())
        except (StorageError, OSError) as error:
            self._bad(recording, f"it cannot be opened: {error}")
            return
        seconds = row.duration_s if written.kept_s is None else written.kept_s
        most = written.appended if written.is_closed else written.appended + 1  # it was killed before it could say so
        if seconds != int(seconds) or not self._least(written) <= seconds <= most:
            self._bad(recording, f"{seconds} s are kept, {self._least(written)} to {most} must be")
            return
        written.kept_s = int(seconds)
        for channel, said in enumerate(self._said(recording, written.kept_s)):
            if bytes(heard[channel]).ljust(len(said), b"\0") != said:
                self._bad(recording, f"what is heard on channel {channel} is not what was said, less what was erased")

    def _least(self, written: Written) -> int:
        if written.is_closed:
            return written.appended
        return written.synced if self._truth.is_powerless else written.appended

    def _said(self, recording: RecordingId, seconds: int) -> tuple[bytes, bytes]:
        channels = [bytearray(b"".join(sound(recording, s)[c] for s in range(seconds))) for c in (0, 1)]
        for order in self._site.erasures.of_recording(recording):
            if order.state is ErasureState.DONE and order.end_s is not None:
                begin, end = math.floor(order.start_s * TICKS_PER_S), math.ceil(order.end_s * TICKS_PER_S)
                for channel in channels:
                    channel[begin:end] = bytes(len(channel[begin:end]))
        return bytes(channels[0]), bytes(channels[1])

    def _look_at_holds(self) -> None:
        standing = set(self._site.holds.held_ids(self._site.now))
        for recording in sorted(set(self._truth.held.values()) - standing):
            self._bad(recording, "its hold was acknowledged, and is forgotten")
        for recording in sorted(standing & (self._tombstones | self._truth.gone)):
            self._bad(recording, "it was held, and is deleted")

    def _look_at_deletions(self) -> None:
        standing = set(self._site.holds.held_ids(self._site.now))
        for entry in of_act(self._site.audit.path, DELETED):
            for one in tombstones_of(entry):
                if one.id not in self._tombstones and one.id not in standing:
                    self._bad(one.id, "the audit log has its tombstone, the database has not")
        if self._truth.swept_at is not None:
            self._look_at_due(self._truth.swept_at, standing)

    def _look_at_due(self, swept: datetime, standing: set[RecordingId]) -> None:
        standing = standing | set(self._site.holds.held_ids(swept))
        for recording, row in self._rows.items():
            is_due = row.ended_at is not None and row.ended_at + timedelta(days=KEPT_DAYS) <= swept
            if is_due and row.path is not None and recording not in standing:
                self._bad(recording, "it was due when a sweep came to its end, and is there")

    def _look_at_orders(self) -> None:
        for order_id, recording in self._truth.ordered.items():
            if recording in self._tombstones or recording in self._truth.gone:
                continue
            orders = {order.id: order for order in self._site.erasures.of_recording(recording)}
            if order_id not in orders:
                self._bad(recording, "an order to erase was acknowledged, and is forgotten")
            elif orders[order_id].state is ErasureState.FAILED:
                self._bad(recording, f"an order to erase failed: {orders[order_id].problem}")

    def _verify(self) -> None:
        inspector = Inspector(vault=self._site.vault, index=self._site.index, now_s=lambda: LONG_AFTER_S)
        for found in inspector.all():
            if found.problem is not None:
                self._bad(found.id, f"verify --all: {found.problem}")

    def _look_at_audit(self) -> None:
        state, before = self._site.audit.verify(), self._truth.audit
        if state.bad is not None:
            self._bad("", f"audit verify: line {state.bad.line}: {state.bad.problem}")
        if before is not None and not self._follows(before, state):
            self._bad("", f"the audit log had {before.entries} entries before the kill and {state.entries} after it")
        self._truth.audit = state

    def _agree(self) -> None:
        """Have fsck compare files, index, keys and audit log; what a killed writer left lying about is no finding."""
        site = self._site
        checker = Checker(
            home=site.home, vault=site.vault, database=site.database, audit=site.audit, now=lambda: site.now,
            is_live=False, is_quick=True,
        )  # fmt: skip
        for found in checker.findings():
            if found.kind is Kind.ORDER and not any(order in found.what for order in self._truth.ordered):
                continue  # killed before it was acknowledged: named here, placed by a repair
            if found.kind not in _LEAVINGS:
                self._bad(found.where, f"fsck: {found.kind}: {found.what}")

    def _follows(self, before: AuditState, now: AuditState) -> bool:
        if now.entries == before.entries:
            return now.head == before.head
        return any(
            entry.hash == before.head for entry in newest_first(self._site.audit.path) if entry.number == before.entries
        )


def _heard(blocks: Any) -> tuple[bytearray, bytearray]:
    channels = (bytearray(), bytearray())
    for one in blocks:
        for run in parse(one):
            if run.kind == AUDIO:
                channel = channels[run.channel]
                channel.extend(bytes(max(run.start + run.length - len(channel), 0)))
                channel[run.start : run.start + run.length] = run.payload
    return channels
