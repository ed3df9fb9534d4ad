"""Files and folders that get their name when they are whole: killed, refused, on a full disk, at the same time."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.errors import ExportError
from storage.new_file import PART_SUFFIX, new_folder, write_file, write_new

ROOT = Path(__file__).parents[2]
SMALL_DISK = (
    "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
    'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"',
)  # fmt: skip
ENDLESS = """
import itertools, sys
from pathlib import Path
from storage.new_file import new_folder, write_file, write_new
target, kind = Path(sys.argv[1]), sys.argv[2]
def chunks():
    for number in itertools.count():
        yield b"secret" * 10_000
        if number == 100:
            print("on its way", flush=True)
            sys.stdin.read()
            sys.exit("nobody killed me")
if kind == "file":
    write_new(target, chunks())
else:
    with new_folder(target) as folder:
        write_file(folder / "one", chunks())
"""
FILL = """
import os, sys
from pathlib import Path
from storage.errors import ExportError
from storage.new_file import new_folder, write_file, write_new
for kind in ("file", "folder"):
    target = Path(sys.argv[1]) / kind
    try:
        if kind == "file":
            write_new(target, (b"x" * 8192 for _ in range(20)))
        else:
            with new_folder(target) as folder:
                write_file(folder / "one", (b"x" * 8192 for _ in range(20)))
    except ExportError as error:
        print(error)
    print(os.listdir(sys.argv[1]))
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_appears_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    target = tmp_path / "copy.wav"

    def chunks() -> Iterator[bytes]:
        yield b"a"
        assert names(tmp_path) == [f".copy.wav{PART_SUFFIX}", f".copy.wav{PART_SUFFIX}.lock"]
        assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())
        yield b"b"

    write_new(target, chunks())
    assert (names(tmp_path), target.read_bytes()) == (["copy.wav"], b"ab")
    assert target.stat().st_mode & 0o777 == 0o600
    with new_folder(tmp_path / "folder") as folder:
        write_file(folder / "one", iter([b"1"]))
        assert not (tmp_path / "folder").exists()
    assert names(tmp_path / "folder") == ["one"]
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700


def test_what_exists_is_never_touched_even_if_it_comes_meanwhile(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="exists already"):
        write_new(target, iter([b"x"]))
    target.unlink()

    def taken() -> Iterator[bytes]:
        yield b"x"
        target.write_bytes(b"mine")

    with pytest.raises(ExportError, match="exists"):
        write_new(target, taken())
    with pytest.raises(ExportError, match="exists"), new_folder(tmp_path / "folder"):
        (tmp_path / "folder").mkdir()
    assert (names(tmp_path), target.read_bytes()) == (["copy", "folder"], b"mine")
    with pytest.raises(ExportError, match="is not there: make it first"):
        write_new(tmp_path / "missing" / "copy", iter([b"x"]))


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_new(tmp_path / "copy", broken())
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "folder") as folder:
        write_file(folder / "one", iter([b"1"]))
        raise ZeroDivisionError
    assert names(tmp_path) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [*SMALL_DISK, str(tmp_path), sys.executable, "-c", FILL, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[1::2] == ["[]", "[]"]
    assert all("No space left on device; nothing is left of it" in line for line in said[0::2])


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_kill_left_is_removed_by_the_next_one_and_no_sooner(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "copy"
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(target), kind],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as writing:  # fmt: skip
        assert writing.stdout is not None
        assert writing.stdout.readline() == "on its way\n"
        with pytest.raises(ExportError, match="another program is writing copy now"):
            write_new(target, iter([b"x"]))
        write_new(tmp_path / "other", iter([b"x"]))
        assert len(names(tmp_path)) == 3
        os.kill(writing.pid, signal.SIGKILL)
    assert not target.exists()
    assert len(names(tmp_path)) == 3
    began = time.monotonic()
    write_new(tmp_path / "third", iter([b"x"]))
    assert time.monotonic() - began < 10
    assert names(tmp_path) == ["other", "third"]
