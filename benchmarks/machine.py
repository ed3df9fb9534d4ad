"""The machine and the process under measurement, as the kernel sees them."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a figure depends on and a reader cannot see."""

    cpu: str
    cores: int
    kernel: str
    python: str


def this_machine() -> Machine:
    """Describe the machine that the benchmark runs on."""
    return Machine(
        cpu=_cpu_name(), cores=os.cpu_count() or 1, kernel=platform.release(), python=platform.python_version()
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def this_commit() -> str:
    """Return the commit that is measured, with ``-dirty`` for changed files, or ``unknown`` outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def cpu_ms(pid: int) -> float:
    """Return the CPU time a process has used so far, user and system, all its threads, in ms.

    Resolution is one tick of the kernel (10 ms): measure over seconds.

    Raises:
        FileNotFoundError: There is no such process.
    """
    # The name in field 2 may hold blanks and brackets: count from the last one (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / _TICKS_PER_S
