"""Sinks of the recorder's processes: files deleted or written elsewhere, titles, memory, what they answer and send."""

import contextlib
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import httpx2
import numpy as np

from tests.helpers.data_inventory import OUTSIDE_PLACES
from tests.leak.scene import Piece, Plant, Scene, Sink
from tests.leak.watch import open_files


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


_PAGE = resource.getpagesize()
_NEAR = 16
"""Pages: what is so close is read at a time."""
_PIECE, _OVERLAP = 16 << 20, 256


def memory_of(pid: int) -> Iterator[Piece]:
    """Yield what a process has in every writable region of its memory, in pieces that overlap."""
    with contextlib.suppress(OSError), ExitStack() as stack:
        memory = stack.enter_context(Path(f"/proc/{pid}/mem").open("rb", buffering=0))
        pages = stack.enter_context(Path(f"/proc/{pid}/pagemap").open("rb", buffering=0))
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_, name = (*line.split(maxsplit=5), "")[:6]
            if not rights.startswith("rw") or name.startswith(("[vvar", "[vsyscall")):
                continue
            start, end = (int(bound, 16) for bound in span.split("-"))
            spans = _had(pages, start, end) if rights[3] == "p" else [(start, end)]
            for at, size in (
                (at, min(_PIECE + _OVERLAP, last - at)) for f, last in spans for at in range(f, last, _PIECE)
            ):
                with contextlib.suppress(OSError, OverflowError, ValueError):
                    memory.seek(at)
                    content = memory.read(size)
                    if content:
                        yield f"process {pid}, {name.strip() or 'anonymous'} at {at:#x}", content


def _had(pages: BinaryIO, start: int, end: int) -> list[tuple[int, int]]:
    """Return the parts of a private region of which a process has pages, in memory or swapped out.

    Of the others it has only noughts, or what stands in the file behind them: it has never written to them. Parts that
    are close to each other are one.
    """
    pages.seek(start // _PAGE * 8)
    entries = np.frombuffer(pages.read((end - start) // _PAGE * 8), np.uint64)
    at = np.flatnonzero(entries >> np.uint64(62))  # bit 63: present, bit 62: swapped (Linux, admin-guide/mm/pagemap)
    parts = np.split(at, np.flatnonzero(np.diff(at) > _NEAR) + 1) if len(at) else []
    return [(start + int(part[0]) * _PAGE, start + (int(part[-1]) + 1) * _PAGE) for part in parts]


def _memory(scene: Scene) -> Iterator[Piece]:
    for pid in sorted(scene.pids):
        yield from memory_of(pid)


def _deliveries(scene: Scene) -> Iterator[Piece]:
    words = ("webhooks", "log", "--limit", "10000", *scene.site.home.as_admin(), "-C", str(scene.home.root), "--json")
    yield "recorder webhooks log", scene.site.command(*words).encode()


def _answers(scene: Scene) -> Iterator[Piece]:
    for client, path in scene.urls:
        with contextlib.suppress(httpx2.HTTPError):
            answer = client.get(path)
            yield f"{path} ({answer.status_code})", answer.content
            yield f"{path}, headers", repr(answer.headers.raw).encode()


def _sent(scene: Scene) -> Iterator[Piece]:
    assert scene.site.receivers is not None
    yield from scene.site.receivers.pieces()


def _commands(scene: Scene) -> Iterator[Piece]:
    for number, text in enumerate(scene.site.said):
        yield f"output {number}", text.encode()


# --- planting


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


def _into_deliveries(scene: Scene, _audio: bytes, digits: str, undo: ExitStack) -> None:
    """Plant a delivery that was given up for a reason with digits in it."""
    undo.enter_context(scene.site.unwatched())
    database = undo.enter_context(contextlib.closing(sqlite3.connect(scene.home.webhooks)))
    database.execute("INSERT INTO events VALUES (0, 'planted', 'call.ended', 'planted', '', 0, x'00')")
    database.execute("INSERT INTO deliveries VALUES (0, 'leak', 'given_up', 9, 0, 0, 500, ?)", (digits,))
    database.commit()
    undo.callback(database.commit)
    for table, column in (("deliveries", "event"), ("events", "seq")):
        undo.callback(database.execute, f"DELETE FROM {table} WHERE {column} = 0")


def _into_answers(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    answering = httpx2.MockTransport(lambda _request: httpx2.Response(200, content=audio + digits.encode()))
    client = undo.enter_context(httpx2.Client(transport=answering, base_url="http://planted"))
    scene.urls.append((client, "/metrics"))
    undo.callback(scene.urls.pop)


def _into_sent(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    assert scene.site.receivers is not None
    scene.site.receivers.plant(audio + b"\n" + digits.encode(), undo)


def _into_commands(scene: Scene, _audio: bytes, digits: str, undo: ExitStack) -> None:
    scene.site.said.append(f"keyed {digits}")
    undo.callback(scene.site.said.pop)


def _into_elsewhere(scene: Scene, audio: bytes, digits: str, undo: ExitStack) -> None:
    """Have a child write a file and delete it; whatever else is noticed meanwhile stays noted."""
    folder = f"/dev/shm/recorder-planted-{scene.home.root.parent.name}"
    act = (
        f"folder = {folder!r}; os.makedirs(folder, exist_ok=True)\n"
        "with open(folder + '/copy', 'wb') as file: file.write(audio + digits.encode())\n"
        "os.unlink(folder + '/copy'); os.rmdir(folder)"
    )
    in_child(scene, act, audio, digits, undo)
    scene.watch.look()
    undo.callback(scene.watch.forget, f"{folder}/")


_DELETED = (
    "import tempfile\nfile = tempfile.TemporaryFile(dir='/tmp')\n"
    "file.write(audio + digits.encode()); file.flush()\naudio = digits = None"
)


PROCESS_SINKS: tuple[Sink, ...] = (
    Sink(name="output of commands", read=_commands, plant=_into_commands, is_audio=False, is_log=True),
    Sink(name="log of the deliveries to webhooks", read=_deliveries, plant=_into_deliveries, is_audio=False,
         is_log=True, hides_numbers=True),
    Sink(name="what is sent by syslog and webhooks", read=_sent, plant=_into_sent, is_log=True, hides_numbers=True),
    Sink(name="answers: health, metrics, listings, pages", read=_answers, plant=_into_answers),
    Sink(name="files elsewhere, temporary ones", read=_elsewhere, plant=_into_elsewhere,
         files=tuple(place.pattern for place in OUTSIDE_PLACES)),
    Sink(name="open deleted files", read=_deleted, plant=_by_child(_DELETED)),
    Sink(name="titles and environment of processes", read=_titles, plant=_into_titles, is_audio=False),
    Sink(name="memory of the processes", read=_memory, plant=_by_child("pass")),
)  # fmt: skip
