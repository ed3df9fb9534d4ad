"""Sinks of the recorder's folder: files, containers that are opened, and databases."""

import contextlib
import fnmatch
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from storage import crypto
from storage.errors import StorageError
from storage.format import ContainerScan, FrameType
from storage.keys import NodeKeys, SealedKeys
from storage.recording import index_context
from storage.runs import AUDIO, PCMA, pack, parse
from storage.types import RecordingId
from storage.vault import Vault
from tests.helpers.storage_home import head
from tests.leak.scene import Piece, Plant, Read, Scene, Sink


def _below(scene: Scene, *patterns: str) -> Iterator[Path]:
    for path in sorted(scene.site.folder.rglob("*")):
        relative = path.relative_to(scene.site.folder).as_posix()
        if any(fits(relative, pattern) for pattern in patterns) and path.is_file():
            yield path


def fits(path: str, pattern: str) -> bool:
    """Tell whether a path fits a pattern, in which ``*`` stays within one part; so does the file that replaces it."""
    parts, wanted = path.split("/"), pattern.split("/")
    if len(parts) != len(wanted):
        return False
    *folders, last = zip(parts, wanted, strict=True)
    if not all(fnmatch.fnmatchcase(part, want) for part, want in folders):
        return False
    return fnmatch.fnmatchcase(*last) or last[0].startswith(".new-")


def _files(*patterns: str) -> Read:
    def read(scene: Scene) -> Iterator[Piece]:
        for path in _below(scene, *patterns):
            with contextlib.suppress(OSError):
                yield path.relative_to(scene.site.folder).as_posix(), path.read_bytes()

    return read


def opened(scene: Scene, path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield kind and content of every frame of a container that its keys open, finished or not."""
    home = scene.home
    node = NodeKeys.load(home.root)
    with path.open("rb") as file:
        scan = ContainerScan(file)
        prologue = scan.prologue
        key = SealedKeys(home.root).open(RecordingId(prologue.id), scene.epochs)
        opener = crypto.StreamOpener(key, prologue.stream_header)
        bound = prologue.pack()
        with contextlib.suppress(StorageError):  # the tail of a `.part` may be torn
            for frame in scan.frames():
                if frame.type is FrameType.INDEX:
                    context = index_context(prologue.id, frame.header, frame.offset)
                    yield "index", crypto.open_index(frame.body, node.index_key, context)
                elif frame.type is not FrameType.FOOTER:
                    plain, _ = opener.open(frame.body, bound + frame.header)
                    bound = b""
                    yield frame.type.name.lower(), plain


def _containers(suffix: str) -> Read:
    def read(scene: Scene) -> Iterator[Piece]:
        for path in sorted(scene.home.recordings.rglob(f"*.{suffix}")):
            yield f"{path.name} as it lies there", path.read_bytes()
            channels = (bytearray(), bytearray())
            with contextlib.suppress(FileNotFoundError):
                for kind, plain in opened(scene, path):
                    if kind != "audio":
                        yield f"{path.name}, {kind}", plain
                        continue
                    for run in parse(plain):
                        if run.kind == AUDIO:
                            channels[run.channel].extend(run.payload)
            for side, channel in zip(("left", "right"), channels, strict=True):
                yield f"{path.name}, {side}", bytes(channel)

    return read


_JOURNALS = ("/var/log/journal/**/*", "/run/log/journal/**/*", "/var/log/syslog", "/var/log/messages")


def _journal(scene: Scene) -> Iterator[Piece]:
    since = scene.site.home.config.stat().st_ctime
    for pattern in _JOURNALS:
        for path in Path("/").glob(pattern.lstrip("/")):
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_mtime >= since:
                    yield str(path), path.read_bytes()
    for path in _below(scene, "journal.log"):
        yield path.name, path.read_bytes()


# --- planting


def _into_files(*names: str) -> Plant:
    """Plant at the end of a file of each pattern; where there is none yet, one is made."""

    def plant(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
        for name in names:
            *folders, last = (part.replace("*", "planted") for part in name.split("/"))
            found = list(_below(scene, name)) or [
                scene.site.folder.joinpath(*folders, f"{last}.bin" if "*" in name else last)
            ]
            undo.callback(_restore, found[0], found[0].stat().st_size if found[0].exists() else None)
            found[0].parent.mkdir(parents=True, exist_ok=True)
            with found[0].open("ab") as file:
                file.write(b"\n" + audio + b"\n" + digits.encode() + b"\n")

    return plant


def _restore(path: Path, size: int | None) -> None:
    if size is None:
        path.unlink(missing_ok=True)
        return
    with path.open("r+b") as file:
        file.truncate(size)


def _into_container(*, is_finished: bool) -> Plant:
    def plant(scene: Scene, audio: bytes, digits: str, _undo: ExitStack) -> None:
        planted_container(scene, audio, digits, is_finished=is_finished)

    return plant


def planted_container(scene: Scene, audio: bytes, digits: str, *, is_finished: bool = True) -> Path:
    """Make a container with a secret in its right channel and digits in its marks; return its path."""
    name = f"20261124T093000Z-2001-{'00' if is_finished else '11'}{abs(hash(digits)) % 0xFFFF:04x}"
    vault = Vault(scene.home.root, NodeKeys.load(scene.home.root))
    opened_one = vault.create(head(RecordingId(name)))
    silence = bytes((tick * 7 + 1) % 251 for tick in range(8000))
    opened_one.append(pack(AUDIO, 0, PCMA, 0, payload=silence) + pack(AUDIO, 1, PCMA, 0, payload=audio))
    opened_one.mark({"note": digits})
    if not is_finished:
        opened_one.sync()
        return opened_one.path
    return vault.root / opened_one.close(head(RecordingId(name)).index_row, is_complete=True).path


def _into_database(name: str) -> Plant:
    """Plant a row of digits, and audio in a table that is dropped again: its bytes are in a free page."""

    def plant(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
        database = undo.enter_context(contextlib.closing(sqlite3.connect(scene.home.root / name)))
        database.execute("PRAGMA secure_delete=OFF")
        database.execute("CREATE TABLE planted_digits (said BLOB)")
        database.execute("CREATE TABLE planted_audio (said BLOB)")
        database.execute("INSERT INTO planted_digits VALUES (?)", (digits,))
        database.execute("INSERT INTO planted_audio VALUES (?)", (audio,))
        database.commit()
        database.execute("DROP TABLE planted_audio")
        database.commit()

    return plant


# --- rows

DATABASE_ENDS = ("", "-wal", "-shm", "-journal", "-lock")


def _database(name: str) -> tuple[str, ...]:
    return tuple(f"home/{name}{end}" for end in DATABASE_ENDS)


def _file_sink(name: str, *patterns: str, **options: bool) -> Sink:
    return Sink(name=name, read=_files(*patterns), plant=_into_files(*patterns), files=patterns, **options)


FILE_SINKS: tuple[Sink, ...] = (
    Sink(name="containers, opened", read=_containers("rec"), plant=_into_container(is_finished=True),
         files=("home/recordings/*/*/*/*/*.rec",)),
    Sink(name="containers in progress, opened", read=_containers("part"), plant=_into_container(is_finished=False),
         files=("home/recordings/*/*/*/*/*.part",)),
    Sink(name="index with its log and free pages", read=_files(*_database("index.sqlite")),
         plant=_into_database("index.sqlite"), files=_database("index.sqlite")),
    Sink(name="events for webhooks", read=_files(*_database("webhooks.sqlite")),
         plant=_into_database("webhooks.sqlite"), files=_database("webhooks.sqlite")),
    Sink(name="people and tokens", read=_files(*_database("people.sqlite")), plant=_into_database("people.sqlite"),
         files=_database("people.sqlite")),
    _file_sink("audit log", "home/audit/audit.log", "home/audit/torn-*", is_log=True),
    Sink(name="audit texts", read=_files(*_database("audit/texts.sqlite")), plant=_into_database("audit/texts.sqlite"),
         files=_database("audit/texts.sqlite")),
    _file_sink("pauses, opt-outs and other state", "home/state/*"),
    _file_sink("keys", "home/keys/*/*", "home/keys/*/*/*", "home/private/*"),
    _file_sink("notices", "home/notices/*"),
    _file_sink("configuration", "home/recorder.toml"),
    _file_sink("spool", "home/spool/*", "home/spool/*/*"),
    _file_sink("log of the daemon", "daemon.log", "home/recorder.log", is_log=True, hides_numbers=True),
    _file_sink("log and access log of the console", "console.log", is_log=True, hides_numbers=True),
    Sink(name="journal", read=_journal, plant=_into_files("journal.log"), files=("journal.log",), is_log=True,
         hides_numbers=True),
)  # fmt: skip
