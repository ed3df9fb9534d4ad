"""A `RebuildSite` with a configuration, backed up to folders beside it and restored into another one."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

from recorder.backups.backup import Backup, Made
from recorder.backups.destinations import ADVICE
from recorder.backups.following import Following
from recorder.backups.restore import Restore, Restored
from recorder.backups.restore_plan import public_key_of
from recorder.backups.snapshots import Repository
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.objects.folder_store import FolderStore
from recorder.objects.store import Store
from recorder.recordings.agreement import agree
from recorder.retention.call_deletion import RULE
from recorder.retention.eraser import Eraser
from storage.claim_journal import asked_details, asked_text
from storage.claims import Claims
from storage.deletion import Shredder
from storage.retention_types import Claim, ErasureKind, ErasureOrder, ErasureState, Right
from storage.tombstones import Tombstone
from storage.types import RecordingId
from tests.helpers.rebuild_site import RebuildSite
from tests.helpers.sweep_site import NOW

LATER = NOW + timedelta(hours=1)


class BackupSite(RebuildSite):
    """Adds destinations; the clock of backups is ``at``."""

    def __init__(self, folder: Path, url: str | None = None, days: str = "", *, name: str = "home") -> None:
        super().__init__(folder, url, name=name)
        self.folder = folder
        self.at = NOW
        self.dest, self.keys = folder / "dest", folder / "keys-dest"
        if self.home.config.exists():  # a copy, or one that a killed process left
            return
        for one in (self.dest, self.keys):
            one.mkdir()
        storage = f'[storage]\nindex_url = "{url}"\n' if url else ""
        self.home.config.write_text(
            f'{storage}[backup]\ndestination = "{self.dest}"\nkeys_destination = "{self.keys}"\n{days}'
        )
        self.home.notices.mkdir()
        (self.home.notices / "first.wav").write_bytes(b"a message")
        agree(self.home.state, self.database, self.audit)
        self.init()

    @property
    def config(self) -> Config:
        return read_config(self.home.config)

    def repository(self, folder: Path | None = None) -> Repository:
        return Repository(FolderStore(folder or self.dest, ADVICE), self.node.sign_public)

    def init(self) -> None:
        for folder in (self.dest, self.keys):
            self.repository(folder).create(self.node, self.at)

    def backup_of(self, store: Store | None = None) -> Backup:
        return Backup(
            home=self.home, config=self.config, database=self.database, node=self.node, audit=self.audit,
            repository=Repository(store or FolderStore(self.dest, ADVICE), self.node.sign_public),
            keys=self.repository(self.keys), now=lambda: self.at, by="os:tester",
        )  # fmt: skip

    def back_up(self, store: Store | None = None, *, at: Any = None) -> Made:
        self.at = at or self.at + timedelta(minutes=1)
        self.now = self.at
        return self.backup_of(store).run()

    def follow(self, store: Store | None = None) -> str:
        """Do what the console's thread does; returns the problem."""
        opened = store or FolderStore(self.dest, ADVICE)
        following = Following(
            home=self.home, destination=str(self.dest), open=lambda: opened, node=self.node,
            audit=self.audit, now=lambda: self.at,
        )  # fmt: skip
        following.run_due(is_forced=True)
        return following.problem

    def restore_to(
        self, name: str, *, snapshot: str | None = None, url: str | None = None, store: Store | None = None
    ) -> Restore:
        public = public_key_of(FolderStore(self.keys, ADVICE))
        return Restore(
            data=Repository(store or FolderStore(self.dest, ADVICE), public),
            keys=Repository(FolderStore(self.keys, ADVICE), public),
            home=Home(self.folder / name), snapshot=snapshot, index_url=url, now=lambda: LATER, by="os:tester",
        )  # fmt: skip

    def restore(self, name: str = "restored", **options: Any) -> Restored:
        return self.restore_to(name, **options).run()

    def wipe(self) -> None:
        """Lose the machine."""
        self.close()
        shutil.rmtree(self.home.root)

    # --- acts

    def delete(self, *recordings: RecordingId) -> None:
        doomed = [Tombstone(id=one, deleted_at=self.now, rule=RULE) for one in recordings]
        Shredder(self.vault, self.deletions, self.audit).delete(doomed, rule=RULE)

    def erase(self, recording: RecordingId) -> None:
        """Erase the first half second, as the console does for an order that was confirmed."""
        self.count += 1
        order = ErasureOrder(
            id=f"{self.count:08x}", recording=recording, start_s=0.0, end_s=0.5, kind=ErasureKind.CARD_DATA,
            ordered_by="olive", ordered_at=self.now, state=ErasureState.CONFIRMED,
        )  # fmt: skip
        details = {
            "order": order.id, "start_s": 0.0, "end_s": 0.5, "kind": "card_data", "state": "confirmed",
            "at": self.now.isoformat(),
        }  # fmt: skip
        self.audit.append("erasure.ordered", "olive", recording, details)
        self.erasures.place(order)
        eraser = Eraser(
            vault=self.vault, keys=self.epochs, index=self.index, erasures=self.erasures, holds=self.holds,
            audit=self.audit, lock=self.home.erasing_lock, now=lambda: self.now,
        )  # fmt: skip
        (done,) = eraser.carry_out_due()
        assert done.state is ErasureState.DONE, done.problem

    def claim(self, recording: RecordingId) -> Claim:
        claim = Claim(
            id="1a2b3c4d", recording=recording, right=Right.RESTRICTION, ground="accuracy",
            received_on=self.now.date(), asked_by="lena", asked_at=self.now, requester="Jane Doe", reason="not said",
        )  # fmt: skip
        self.audit.append("claim.asked", "lena", recording, asked_details(claim), asked_text(claim))
        Claims(self.database).save([claim])
        return claim

    def objects_of(self, recording: RecordingId) -> list[Path]:
        """Return what the destination has of a recording."""
        return sorted(self.dest.glob(f"media/*/{recording}/*"))
