"""The registry of sinks: every place that may outlive a secret, how to read it, and how to plant one in it.

`SINKS` is the table; `docs/leak-suite.md` says how to add to it. A sink yields named pieces of bytes. Where nothing but
the file system is known of a place it is a pattern of files; `unregistered` names what the recorder wrote to elsewhere.
"""

import contextlib
import fnmatch
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import httpx2

from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from storage import crypto
from storage.epochs import EpochKeys
from storage.errors import StorageError
from storage.format import ContainerScan, FrameType
from storage.keys import NodeKeys, SealedKeys
from storage.recording import index_context
from storage.runs import AUDIO, PCMA, pack, parse
from storage.types import RecordingId
from storage.vault import Vault
from tests.helpers.data_inventory import OUTSIDE_PLACES, place_of
from tests.helpers.storage_home import head
from tests.leak.site import Site
from tests.leak.watch import Watch, Written, open_files

Piece = tuple[str, bytes]


@dataclass
class Scene:
    """What sinks are read from: one recorder with what has been seen of it.

    Attributes:
        site: The recorder.
        watch: What its processes wrote.
        pids: Processes to look into; those that are gone are passed over.
        urls: Pages that are read, by the client to read them with.
    """

    site: Site
    watch: Watch
    pids: set[int] = field(default_factory=set)
    urls: list[tuple[httpx2.Client, str]] = field(default_factory=list)

    @property
    def home(self) -> Home:
        """Where the recorder lives."""
        return Home(self.site.home.root)

    @cached_property
    def settings(self) -> Config:
        """What its configuration says; it is hundreds of lines, and is read once."""
        return read_config(self.home.config)

    @property
    def epochs(self) -> EpochKeys:
        """The keys that open its recordings."""
        home, told = self.home, self.settings.storage.private_keys
        return EpochKeys(home.root / "keys" / "epochs", Path(told) if told else home.private_keys)


Read = Callable[[Scene], Iterator[Piece]]
Plant = Callable[[Scene, bytes, str, ExitStack], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sink:
    """One kind of place.

    Attributes:
        name: As the report calls it.
        read: Yields what is there now.
        plant: Puts audio and digits there; what it needs is undone with the stack.
        files: Patterns below the recorder's folder, or absolute, that belong to it; ``*`` stays within one part.
        is_audio: Whether audio can be there at all; a plant of digits only otherwise.
        is_log: Whether its lines are searched for digits that are said one by one.
        hides_numbers: Whether full telephone numbers must not be in it either.
    """

    name: str
    read: Read
    plant: Plant
    files: tuple[str, ...] = ()
    is_audio: bool = True
    is_log: bool = False
    hides_numbers: bool = False


# --- reading


def _below(scene: Scene, *patterns: str) -> Iterator[Path]:
    for path in sorted(scene.site.folder.rglob("*")):
        relative = path.relative_to(scene.site.folder).as_posix()
        if any(_fits(relative, pattern) for pattern in patterns) and path.is_file():
            yield path


def _fits(path: str, pattern: str) -> bool:
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


def _deleted(scene: Scene) -> Iterator[Piece]:
    for pid in sorted(scene.pids):
        for path, content in open_files(pid, is_deleted_only=True):
            yield f"{path} of process {pid}", content or b""


def _elsewhere(scene: Scene) -> Iterator[Piece]:
    for written in list(scene.watch.written):
        if written.content is not None:
            yield f"{written.path} of process {written.pid}", written.content


def _titles(scene: Scene) -> Iterator[Piece]:
    for pid in sorted(scene.pids):
        for name in ("cmdline", "environ", "comm"):
            with contextlib.suppress(OSError):
                yield f"{name} of process {pid}", Path(f"/proc/{pid}/{name}").read_bytes()
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                yield f"comm of thread {thread.name}", (thread / "comm").read_bytes()


def memory_of(pid: int) -> Iterator[Piece]:
    """Yield every writable region of a process's memory, in pieces that overlap."""
    with contextlib.suppress(OSError), Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_, name = (*line.split(maxsplit=5), "")[:6]
            if not rights.startswith("rw") or name.startswith(("[vvar", "[vsyscall")):
                continue
            start, end = (int(bound, 16) for bound in span.split("-"))
            for at in range(start, end, 16 << 20):
                with contextlib.suppress(OSError, OverflowError, ValueError):
                    memory.seek(at)
                    content = memory.read(min((16 << 20) + 256, end - at))
                    if content.strip(b"\0"):
                        yield f"process {pid}, {name.strip() or 'anonymous'} at {at:#x}", content


def _memory(scene: Scene) -> Iterator[Piece]:
    for pid in sorted(scene.pids):
        yield from memory_of(pid)


def _answers(scene: Scene) -> Iterator[Piece]:
    for client, path in scene.urls:
        with contextlib.suppress(httpx2.HTTPError):
            answer = client.get(path)
            yield f"{path} ({answer.status_code})", answer.content
            yield f"{path}, headers", repr(answer.headers.raw).encode()


def _sent(scene: Scene) -> Iterator[Piece]:
    yield from scene.site.receivers.pieces()


def _server_files(scene: Scene) -> Iterator[Piece]:
    assert scene.site.database is not None
    yield from scene.site.database.pieces()


def _server_log(scene: Scene) -> Iterator[Piece]:
    assert scene.site.database is not None
    yield from scene.site.database.log()


def _objects(scene: Scene) -> Iterator[Piece]:
    assert scene.site.objects is not None
    yield from scene.site.objects.pieces()


def _commands(scene: Scene) -> Iterator[Piece]:
    for number, text in enumerate(scene.site.said):
        yield f"output {number}", text.encode()


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


_CHILD = """
import os, sys, time, ctypes
audio = bytearray.fromhex(sys.stdin.readline())
digits = sys.stdin.readline().strip()
{act}
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
print("planted", flush=True)
time.sleep(60)
"""


def in_child(
    scene: Scene,
    act: str,
    audio: bytes,
    digits: str,
    undo: ExitStack,
    *,
    words: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> None:
    """Run a few lines in a process that counts as one of the recorder's, until the stack is closed."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD.format(act=act), *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})},
    )  # fmt: skip
    undo.callback(child.wait)
    undo.callback(child.kill)
    assert child.stdin is not None
    assert child.stdout is not None
    undo.callback(child.stdin.close)
    undo.callback(child.stdout.close)
    scene.pids.add(child.pid)
    undo.callback(scene.pids.discard, child.pid)
    child.stdin.write(f"{audio.hex()}\n{digits}\n")
    child.stdin.flush()
    assert child.stdout.readline().strip() == "planted"


def _by_child(act: str) -> Plant:
    def plant(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
        in_child(scene, act, audio, digits, undo)

    return plant


def _into_titles(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    in_child(scene, "pass", audio, digits, undo, words=("--number", digits), env={"PLANTED": digits})


def _into_answers(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    answering = httpx2.MockTransport(lambda _request: httpx2.Response(200, content=audio + digits.encode()))
    client = undo.enter_context(httpx2.Client(transport=answering, base_url="http://planted"))
    scene.urls.append((client, "/metrics"))
    undo.callback(scene.urls.pop)


def _into_sent(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    scene.site.receivers.plant(audio + b"\n" + digits.encode(), undo)


def _into_server(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    assert scene.site.database is not None
    scene.site.database.plant(audio, digits, undo)


def _into_objects(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    assert scene.site.objects is not None
    scene.site.objects.plant(audio, digits, undo)


def _into_server_log(scene: Scene, _audio: bytes, digits: str, _undo: ExitStack) -> None:
    assert scene.site.database is not None
    scene.site.database.plant_log(digits)


def _into_commands(scene: Scene, _audio: bytes, digits: str, undo: ExitStack) -> None:
    scene.site.said.append(f"keyed {digits}")
    undo.callback(scene.site.said.pop)


def _into_elsewhere(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    act = (
        "folder = '/dev/shm/recorder-planted'; os.makedirs(folder, exist_ok=True)\n"
        "with open(folder + '/copy', 'wb') as file: file.write(audio + digits.encode())\n"
        "os.unlink(folder + '/copy'); os.rmdir(folder)"
    )
    before = len(scene.watch.written)
    in_child(scene, act, audio, digits, undo)
    deadline = time.monotonic() + 3
    while len(scene.watch.written) == before and time.monotonic() < deadline:
        time.sleep(0.01)
    undo.callback(lambda: scene.watch.written.__delitem__(slice(before, None)))


_DELETED = (
    "import tempfile\nfile = tempfile.TemporaryFile(dir='/tmp')\n"
    "file.write(audio + digits.encode()); file.flush()\naudio = digits = None"
)

DATABASE_ENDS = ("", "-wal", "-shm", "-journal", "-lock")


def _database(name: str) -> tuple[str, ...]:
    return tuple(f"home/{name}{end}" for end in DATABASE_ENDS)


def _file_sink(name: str, *patterns: str, **options: bool) -> Sink:
    return Sink(name=name, read=_files(*patterns), plant=_into_files(*patterns), files=patterns, **options)


SINKS: tuple[Sink, ...] = (
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
    Sink(name="output of commands", read=_commands, plant=_into_commands, is_audio=False, is_log=True),
    Sink(name="what is sent by syslog and webhooks", read=_sent, plant=_into_sent, is_log=True, hides_numbers=True),
    Sink(name="answers: health, metrics, listings, pages", read=_answers, plant=_into_answers),
    Sink(name="files elsewhere, temporary ones", read=_elsewhere, plant=_into_elsewhere,
         files=tuple(place.pattern for place in OUTSIDE_PLACES)),
    Sink(name="open deleted files", read=_deleted, plant=_by_child(_DELETED)),
    Sink(name="titles and environment of processes", read=_titles, plant=_into_titles, is_audio=False),
    Sink(name="memory of the processes", read=_memory, plant=_by_child("pass")),
)  # fmt: skip
"""Exports are a sink too, in `tests.leak.exports`: what they hold is compared, not searched byte for byte."""

SERVER_SINKS: tuple[Sink, ...] = (
    Sink(name="files of PostgreSQL", read=_server_files, plant=_into_server),
    Sink(name="log of PostgreSQL", read=_server_log, plant=_into_server_log, is_audio=False, is_log=True,
         hides_numbers=True),
)  # fmt: skip
"""Of a run whose index is in PostgreSQL."""

OBJECT_SINKS: tuple[Sink, ...] = (
    Sink(name="objects, their versions, and files of the gateway", read=_objects, plant=_into_objects),
)
"""Of a run that stores finished recordings in an object store."""


def sinks_of(scene: Scene) -> tuple[Sink, ...]:
    """Return the sinks that a run has."""
    of_servers = () if scene.site.database is None else SERVER_SINKS
    return (*SINKS, *of_servers, *(() if scene.site.objects is None else OBJECT_SINKS))


# --- what is in no row


def is_registered(scene: Scene, path: str) -> bool:
    """Tell whether a file that was written belongs to a sink, and to a row of the recorder's own list of places."""
    name = path.removesuffix(" (deleted)")
    folder = str(scene.site.folder) + "/"
    if not name.startswith(folder):
        return any(_fits(name, pattern) for sink in SINKS for pattern in sink.files if pattern.startswith("/"))
    relative = name.removeprefix(folder)
    if not any(_fits(relative, pattern) for sink in SINKS for pattern in sink.files):
        return False
    return not relative.startswith("home/") or place_of(relative.removeprefix("home/")) is not None


def unregistered(scene: Scene) -> list[Written]:
    """Return what the recorder's processes wrote to places that no sink covers."""
    scene.watch.look()
    return [written for written in list(scene.watch.written) if not is_registered(scene, written.path)]


def strangers_in(scene: Scene) -> list[str]:
    """Return the files in the recorder's folder that no sink covers, whoever wrote them."""
    ours = ("password", "first.wav", "second.wav")
    found = (path for path in scene.site.folder.rglob("*") if path.is_file() and path.name not in ours)
    return [str(path) for path in found if not is_registered(scene, str(path))]
