"""What a process does to itself: settings that are read at its start, limits, and what becomes of freed memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from audio.taps import ring_ticks
from recorder.common.process_hardening import (
    LimitError,
    descriptors_needed,
    is_freed_memory_wiped,
    locked_bytes_per_call,
    raise_descriptors,
    take_short_turns,
    wiping_environment,
)
from tests.helpers.process_memory import can_search, search

SOURCE = bytes(65 + 7 * i % 26 for i in range(26)) + b"QZJK"
_CHILD = f"""
import sys
sizes = (0, 300, 5000, 90000) * 20
pieces = [{SOURCE!r}.lower() + b"!" * size for size in sizes]
pieces += [{SOURCE.decode()!r}.lower() + "!" * size for size in sizes]
kept = {SOURCE[::-1]!r}.lower()
del pieces
print("ready", flush=True)
sys.stdin.read()
"""


def test_other_tunables_stay_and_ours_win() -> None:
    made = wiping_environment({"A": "b", "GLIBC_TUNABLES": "glibc.cpu.x=1:glibc.malloc.perturb=0:"})
    assert made["A"] == "b"
    assert made["PYTHONMALLOC"] == "malloc"
    ours = "glibc.malloc.perturb=255:glibc.malloc.tcache_count=0:glibc.malloc.hugetlb=1"
    assert made["GLIBC_TUNABLES"] == f"glibc.cpu.x=1:{ours}"
    assert wiping_environment(made) == made, "a second start would start a third"


def test_this_process_knows_whether_it_wipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONMALLOC", raising=False)
    assert not is_freed_memory_wiped()
    for name, value in wiping_environment(os.environ).items():
        monkeypatch.setenv(name, value)
    assert is_freed_memory_wiped()


def test_units_that_open_recordings_set_what_the_program_would_set() -> None:
    made = wiping_environment({})
    line = " ".join(f"{name}={value}" for name, value in made.items())
    units = {unit.name: unit.read_text() for unit in Path("deploy").glob("*.service")}
    started = {name: text for name, text in units.items() if "\nExecStart=/opt/council-recorder/bin/recorder " in text}
    assert {name: None for name in units} == {**dict.fromkeys(started), "council-recorder-restart.service": None}
    for unit, text in started.items():
        assert f"Environment={line}\n" in text, unit
        assert "LimitCORE=0\n" in text, unit
        assert "LimitMEMLOCK=infinity\n" in text, unit


@pytest.mark.parametrize("is_wiping", [False, True])
def test_freed_objects_are_gone_from_memory_when_it_is_wiped(is_wiping: bool) -> None:
    environment = wiping_environment(os.environ) if is_wiping else {**os.environ, "PYTHONMALLOC": "pymalloc"}
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        if not can_search(child.pid):
            child.kill()
            pytest.skip("the memory of another process may not be read here")
        needles = {"freed": SOURCE.lower(), "kept": SOURCE[::-1].lower()}
        found = {hit.needle for hit in search(child.pid, needles)}
        child.kill()
    assert "kept" in found, "what is planted is not found: the search shows nothing"
    assert ("freed" in found) is not is_wiping


_DUMPED = """
import ctypes, os, resource
from recorder.common.process_hardening import forbid_dumps, is_dumpable
if os.getuid() == 0:
    os.setresuid(65534, 65534, 65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)
def owner(): return os.stat("/proc/self/mem").st_uid == os.getuid()
print(is_dumpable(), owner())
forbid_dumps()
print(is_dumpable(), owner(), resource.getrlimit(resource.RLIMIT_CORE))
"""


def test_a_process_that_forbids_dumps_belongs_to_nobody_who_could_read_it() -> None:
    done = subprocess.run([sys.executable, "-c", _DUMPED], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == ["True True", "False False (0, 0)"]


def test_too_many_calls_for_the_descriptors() -> None:
    with pytest.raises(LimitError, match="raise LimitNOFILE or lower max_calls"):
        raise_descriptors(100_000_000)
    assert descriptors_needed(1000) == 5200


def test_locked_memory_is_what_the_relay_asks_for() -> None:
    assert locked_bytes_per_call(5.0) == 2 * 81_920
    for look_back_s in (1.0, 5.0, 20.0, 60.0):
        assert locked_bytes_per_call(look_back_s) == 2 * ring_ticks(round(look_back_s * 8000))


def test_a_thread_waits_half_a_millisecond_for_the_interpreter() -> None:
    before = sys.getswitchinterval()
    try:
        take_short_turns()
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    finally:
        sys.setswitchinterval(before)
