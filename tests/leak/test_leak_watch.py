"""The watch over written files, beside a process that uses the same files."""

import fcntl
import mmap
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from tests.leak.process_sinks import memory_of
from tests.leak.watch import Watch

_WRITE = """
import sys
open({path!r}, 'ab').write(b'x')
print('written', flush=True)
sys.stdin.read()
"""
_TRY = """
import fcntl
with open({path!r}, 'r+b') as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print('locked')
"""
MANY, SPARE = 1000, 400
_WRITE_MANY = f"""
import sys
for number in range({MANY}):
    open('{{path}}/' + str(number), 'wb').close()
print('written', flush=True)
sys.stdin.read()
"""


def _begin(code: str, path: Path) -> "subprocess.Popen[str]":
    words = [sys.executable, "-c", code.format(path=str(path))]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_while_it_is_paused_no_lock_of_ours_is_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "people.sqlite"
    path.write_bytes(b"")
    with Watch(lambda _: True) as watch, path.open("r+b") as ours, _begin(_WRITE, path) as writer:
        with watch.paused():
            fcntl.lockf(ours, fcntl.LOCK_EX)
            assert writer.stdout is not None
            assert writer.stdout.readline() == "written\n"
            time.sleep(0.05)  # five looks of the watch, if it looked
            assert _begin(_TRY, path).communicate(timeout=60)[0] == "locked\n"
            fcntl.lockf(ours, fcntl.LOCK_UN)
        watch.look()
        assert str(path) in {written.path for written in watch.written}, "it was noticed all the same"


def test_all_is_noticed_though_more_was_written_meanwhile_than_this_process_may_have_open(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Watch(lambda _: True) as watch, _begin(_WRITE_MANY, tmp_path) as writer:
        with watch.paused():
            assert writer.stdout is not None
            assert writer.stdout.readline() == "written\n"
            few = max(int(one.name) for one in Path("/proc/self/fd").iterdir()) + SPARE
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
        try:
            watch.look()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        noticed = {written.path for written in watch.written}
        assert writer.stdin is not None
        writer.stdin.close()
    assert {str(tmp_path / str(number)) for number in range(MANY)} <= noticed


def test_memory_is_read_where_a_process_has_written_and_nowhere_else() -> None:
    page, secret = mmap.PAGESIZE, os.urandom(20)
    size, at = 4096 * page, 1000 * page - 10
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as private, mmap.mmap(-1, size) as shared:
        private[at : at + 20] = secret
        shared[at : at + 20] = secret
        had = list(memory_of(os.getpid()))
    places = [data.find(secret) for _, data in had if data.find(secret) >= 0]
    assert places.count(page - 10) >= 1, "the private pages are read from the first one that was written on"
    assert at in {place % size for place in places}, "of shared memory everything is read"
    assert len(places) >= 3, "and the secret itself was found as well"
