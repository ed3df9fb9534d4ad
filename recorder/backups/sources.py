"""The files of a home that belong into a snapshot, by class; databases are put together in a private folder first."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from recorder.access.accounts_copy import copy_to_file as copy_accounts
from recorder.access.database import open_accounts
from recorder.backups.rules import BackupClass, is_state
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.keyring import private_folder
from storage.audit import AuditLog
from storage.audit_texts import NAME as TEXTS
from storage.database import POSTGRESQL, Database
from storage.database_copy import copy_sqlite, copy_to_file
from storage.durable import make_folder

INDEX = "index.sqlite"
"""Path of the index in every snapshot, wherever it is in the home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSource:
    """A file to copy.

    Attributes:
        path: In the snapshot, relative to the home.
        file: Where it is now.
        limit: How many bytes belong to the snapshot; None for all.
    """

    path: str
    file: Path
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files of a home, except recordings.

    Attributes:
        home: The home.
        config: Its configuration.
        database: The index, opened.
        audit: The audit log.
        staging: A private folder at the destination.
    """

    home: Home
    config: Config
    database: Database
    audit: AuditLog
    staging: Path

    def of(self, name: BackupClass) -> Iterator[BackupSource]:
        """Yield the files of a class other than media.

        Take the classes in the order of `recorder.backups.rules.DATA`: an act is in the audit log before it is in a
        database, and a row waits in ``state`` before it is in the index. So a later copy explains an earlier one.

        Raises:
            StorageError, OSError: One of them cannot be read, or the folder cannot be written.
        """
        match name:
            case BackupClass.INDEX:
                yield from self._site()
                yield self._index()
                yield from self._sqlite(self.home.webhooks, self.home.webhooks.name)
            case BackupClass.ACCOUNTS:
                yield from self._accounts()
                yield from self._plain(self.home.root, self.home.pins)
            case BackupClass.AUDIT:
                yield BackupSource(path="audit/audit.log", file=self.audit.path, limit=self.audit.size())
                yield from self._sqlite(self.home.audit / TEXTS, f"audit/{TEXTS}")
                yield from self._plain(self.home.root, *sorted(self.home.audit.glob("torn-*.bin")))
            case BackupClass.KEYS:
                yield from self._keys()
            case BackupClass.MEDIA:
                raise ValueError("recordings are copied one by one")

    def size(self) -> int:
        """Return roughly how many bytes there are, without recordings and an index on a server."""
        files = (self.home.index, self.home.people, self.audit.path, self.home.audit / TEXTS)
        return sum(file.stat().st_size for file in files if file.exists())

    def _site(self) -> Iterator[BackupSource]:
        home = self.home
        yield from self._plain(home.root, home.config, *sorted(self._keys_of_home(".pub")))
        yield from self._plain(home.root, *sorted(one for one in home.notices.rglob("*") if one.is_file()))
        state = sorted(one for one in home.state.rglob("*") if one.is_file() and not one.is_symlink())
        kept = (one for one in state if is_state(PurePosixPath(one.relative_to(home.state))))
        yield from self._plain(home.root, *kept)

    def _index(self) -> BackupSource:
        make_folder(self.staging, is_private=True)
        target = self.staging / INDEX
        if self.database.dialect == POSTGRESQL:
            copy_to_file(self.database, target)
        else:
            copy_sqlite(Path(self.database.name), target)
        return BackupSource(path=INDEX, file=target)

    def _accounts(self) -> Iterator[BackupSource]:
        """Yield the accounts as a SQLite file, also those on a server."""
        url, name = self.config.storage.accounts_url, self.home.people.name
        if url is None:
            yield from self._sqlite(self.home.people, name)
            return
        make_folder(self.staging, is_private=True)
        copy_accounts(open_accounts(self.home, url), self.staging / name)
        yield BackupSource(path=name, file=self.staging / name)

    def _sqlite(self, file: Path, path: str) -> Iterator[BackupSource]:
        if file.exists():
            target = self.staging / file.name
            copy_sqlite(file, target)
            yield BackupSource(path=path, file=target)

    def _keys(self) -> Iterator[BackupSource]:
        home = self.home
        yield from self._plain(home.root, *sorted(self._keys_of_home(".key")))
        # The key of the accounts is in the home, wherever the private keys of recordings are.
        private = {file.name: file for file in home.private_keys.glob("*.key")}
        private |= {file.name: file for file in private_folder(home, self.config).glob("*.key")}
        for name, file in sorted(private.items()):
            yield BackupSource(path=f"{home.private_keys.name}/{name}", file=file)

    def _keys_of_home(self, suffix: str) -> Iterator[Path]:
        """Yield the files of a kind in every folder of keys, except the sealed keys of recordings."""
        folders = (one for one in (self.home.root / "keys").iterdir() if one.is_dir() and one.name != "sealed")
        return (file for folder in folders for file in folder.glob(f"*{suffix}"))

    @staticmethod
    def _plain(root: Path, *files: Path) -> Iterator[BackupSource]:
        for file in files:
            if file.is_file() and not file.is_symlink():
                yield BackupSource(path=file.relative_to(root).as_posix(), file=file)
