"""Snapshots at a destination: what each holds, file by file, signed with the node's key.

A snapshot is complete when its document is there; that is written last. Layout of a destination:

- ``repository.json``: which recorder it belongs to;
- ``snapshots/ID/snapshot.json``: the signed document, with the digest of each list of files;
- ``snapshots/ID/CLASS.jsonl``: the list of files of a class of data, one a line;
- ``CLASS/...``: pieces of files, named by their SHA-256, shared by all snapshots (`recorder.backups.rules`);
- ``journal/FIRST-LAST.json``: entries of the audit log since (`recorder.backups.journal`).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from recorder.backups.errors import BackupError
from recorder.backups.rules import SNAPSHOTS, BackupClass, is_snapshot
from recorder.objects.store import Store
from storage import crypto
from storage.heads import Head
from storage.keys import NodeKeys
from storage.rows import time_from_json, time_to_json

VERSION = 1
REPOSITORY = "repository.json"
_DOCUMENT = "snapshot.json"
_DOMAIN = b"council-call-recorder backup v1\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file of a snapshot.

    Attributes:
        path: Relative to the home.
        size: Bytes.
        sha256: Of the whole file.
        pieces: Keys of the objects that make up the file, in order.
        seen: Size, modification time in ns and inode of the original, by which a later backup knows it unchanged.
    """

    path: str
    size: int
    sha256: str
    pieces: tuple[str, ...]
    seen: tuple[int, int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the file as JSON values."""
        return {
            "path": self.path, "size": self.size, "sha256": self.sha256, "pieces": list(self.pieces),
            "seen": None if self.seen is None else list(self.seen),
        }  # fmt: skip

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "StoredFile":
        """Return the file that JSON values describe; raises KeyError, TypeError or ValueError if they do not."""
        seen = found["seen"]
        return cls(
            path=str(found["path"]),
            size=int(found["size"]),
            sha256=str(found["sha256"]),
            pieces=tuple(map(str, found["pieces"])),
            seen=None if seen is None else (int(seen[0]), int(seen[1]), int(seen[2])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOfSnapshot:
    """What a snapshot has of one class: number and bytes of files, digest of their list."""

    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The document of a snapshot.

    Attributes:
        id: Number and time: `recorder.backups.rules.next_id`.
        at: When it was begun, UTC.
        by: The user of the operating system.
        host: Name of the machine.
        head: Newest entry of the audit log in the snapshot; None if the log was empty.
        classes: What it had when it was made; the lists of expired classes are gone.
    """

    id: str
    at: datetime
    by: str
    host: str
    head: Head | None
    classes: Mapping[BackupClass, ClassOfSnapshot]

    def to_json(self) -> dict[str, Any]:
        """Return the snapshot as JSON values, without its signature."""
        return {
            "version": VERSION,
            "id": self.id,
            "at": time_to_json(self.at),
            "by": self.by,
            "host": self.host,
            "head": None if self.head is None else {"number": self.head.number, "hash": self.head.hash},
            "classes": {str(name): asdict(one) for name, one in self.classes.items()},
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Snapshot":
        """Return the snapshot that JSON values describe; raises KeyError, TypeError or ValueError if they do not."""
        at, head = time_from_json(found["at"]), found["head"]
        if found["version"] != VERSION or at is None:
            raise ValueError("another version")
        return cls(
            id=str(found["id"]),
            at=at,
            by=str(found["by"]),
            host=str(found["host"]),
            head=None if head is None else Head(number=int(head["number"]), hash=str(head["hash"])),
            classes={BackupClass(name): ClassOfSnapshot(**one) for name, one in found["classes"].items()},
        )


def signed(document: Mapping[str, Any], node: NodeKeys) -> bytes:
    """Return a document as JSON with the node's signature."""
    return _bytes({**document, "signature": crypto.sign(_DOMAIN + _bytes(document), node.sign_secret).hex()})


def read_signed(content: bytes, public: bytes, what: str) -> dict[str, Any]:
    """Return a document without its signature.

    Args:
        content: As `signed` returned it.
        public: The node's public key.
        what: Name of the document, for the message.

    Raises:
        BackupError: It is damaged, was changed, or is another recorder's.
    """
    try:
        document = dict(json.loads(content))
        signature = bytes.fromhex(document.pop("signature"))
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{what} is damaged: it is not what a backup wrote") from error
    if not crypto.is_signed(_DOMAIN + _bytes(document), signature, public):
        raise BackupError(
            f"{what} was changed after the backup, or belongs to another recorder: its signature is wrong"
        )
    return document


def _bytes(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


class Repository:
    """The snapshots at one destination.

    Args:
        store: The destination.
        public: The node's public key.
    """

    def __init__(self, store: Store, public: bytes) -> None:
        self.store = store
        self.public = public

    def check_owner(self) -> None:
        """Check that the destination belongs to this recorder.

        Raises:
            BackupError: It does not, or is no destination yet.
        """
        content = self.store.get(REPOSITORY)
        if content is None:
            raise BackupError(
                f"{self.store.name} holds no backup of this recorder. Is the disk mounted? For a new destination, add "
                "--init"
            )
        read_signed(content, self.public, f"{self.store.name}/{REPOSITORY}")

    def create(self, node: NodeKeys, now: datetime) -> None:
        """Make an empty destination this recorder's; a destination that already is stays as it is.

        Raises:
            BackupError: It is another recorder's, or holds other files.
        """
        if self.store.get(REPOSITORY) is not None:
            self.check_owner()
            return
        for key in SNAPSHOTS, *map(str, BackupClass):
            if next(self.store.keys(key), None) is not None:
                raise BackupError(f"{self.store.name} holds {key}/ but no {REPOSITORY}: name an empty folder")
        document = {"version": VERSION, "node": node.fingerprint, "created_at": time_to_json(now)}
        self.store.put(REPOSITORY, signed(document, node))

    def ids(self) -> list[str]:
        """Return the ids of the complete snapshots, oldest first."""
        names = (key.split("/")[1] for key in self.store.keys(SNAPSHOTS) if key.endswith(f"/{_DOCUMENT}"))
        return sorted(filter(is_snapshot, names))

    def load(self, snapshot: str) -> Snapshot:
        """Return a snapshot.

        Raises:
            BackupError: It is missing, damaged or was changed.
        """
        key = f"{SNAPSHOTS}/{snapshot}/{_DOCUMENT}"
        content = self.store.get(key)
        if content is None:
            raise BackupError(f"there is no snapshot {snapshot} in {self.store.name}: see `recorder backups list`")
        try:
            found = Snapshot.from_json(read_signed(content, self.public, f"{self.store.name}/{key}"))
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(f"{self.store.name}/{key} is of another version of the recorder") from error
        if found.id != snapshot:
            raise BackupError(f"{self.store.name}/{key} is that of snapshot {found.id}: it was moved")
        return found

    def has(self, snapshot: Snapshot, name: BackupClass) -> bool:
        """Tell whether a snapshot still has a class: it was backed up, and its period is not over."""
        return name in snapshot.classes and self.store.size(list_key(snapshot.id, name)) is not None

    def files(self, snapshot: Snapshot, name: BackupClass) -> list[StoredFile]:
        """Return the files of a class of a snapshot.

        Raises:
            BackupError: The list is missing, damaged or was changed.
        """
        key = list_key(snapshot.id, name)
        content = self.store.get(key)
        if content is None:
            raise BackupError(f"{self.store.name}/{key} is missing: its period is over, or it was removed")
        if name not in snapshot.classes or hashlib.sha256(content).hexdigest() != snapshot.classes[name].sha256:
            raise BackupError(f"{self.store.name}/{key} was changed after the backup: its digest is wrong")
        try:
            return [StoredFile.from_json(json.loads(line)) for line in content.splitlines()]
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(f"{self.store.name}/{key} is of another version of the recorder") from error

    def put_list(self, snapshot: str, name: BackupClass, files: Sequence[StoredFile]) -> ClassOfSnapshot:
        """Store the list of files of a class, before the snapshot's document."""
        content = b"".join(_bytes(one.to_json()) + b"\n" for one in files)
        self.store.put(list_key(snapshot, name), content)
        sha256 = hashlib.sha256(content).hexdigest()
        return ClassOfSnapshot(files=len(files), bytes=sum(one.size for one in files), sha256=sha256)

    def put(self, snapshot: Snapshot, node: NodeKeys) -> None:
        """Store a snapshot's document: from now on it is complete."""
        self.store.put(f"{SNAPSHOTS}/{snapshot.id}/{_DOCUMENT}", signed(snapshot.to_json(), node))

    def remove_class(self, snapshot: Snapshot, name: BackupClass) -> None:
        """Remove a class from a snapshot; a snapshot without classes goes too."""
        self.store.remove(list_key(snapshot.id, name))
        if not any(self.has(snapshot, one) for one in snapshot.classes):
            self.store.remove(f"{SNAPSHOTS}/{snapshot.id}/{_DOCUMENT}")

    def remove_incomplete(self) -> None:
        """Remove the lists of snapshots that were never completed."""
        complete = set(self.ids())
        for key in list(self.store.keys(SNAPSHOTS)):
            if key.split("/")[1] not in complete:
                self.store.remove(key)


def list_key(snapshot: str, name: BackupClass) -> str:
    """Return the key of a class's list of files."""
    return f"{SNAPSHOTS}/{snapshot}/{name}.jsonl"


def read_unverified(store: Store, snapshot: str, name: BackupClass) -> list[StoredFile]:
    """Return the files of a class of a snapshot without checking a signature, to find the key that checks it.

    Raises:
        BackupError: The list is damaged.
    """
    try:
        return [
            StoredFile.from_json(json.loads(one)) for one in (store.get(list_key(snapshot, name)) or b"").splitlines()
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise BackupError(f"{store.name}/{list_key(snapshot, name)} is damaged") from error


def read_pieces(store: Store, file: StoredFile) -> Iterator[bytes]:
    """Yield a file piece by piece, each checked against its name.

    Raises:
        BackupError: A piece is missing, or was changed.
    """
    for key in file.pieces:
        content = store.get(key)
        if content is None:
            raise BackupError(f"{store.name}/{key} is missing, a piece of {file.path}")
        if hashlib.sha256(content).hexdigest() != key.rpartition("/")[2]:
            raise BackupError(f"{store.name}/{key} was changed after the backup, a piece of {file.path}")
        yield content
