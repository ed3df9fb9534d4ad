"""The machine and the process under measurement, as the kernel sees them."""

import os
import platform
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = "benchmarks/results"
_SCHED_CLOCK = 2
"""The kernel's clock id of a process: ~pid << 3, and this for its CPU time (clock_getcpuclockid(3))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a figure depends on and a reader cannot see."""

    cpu: str
    cores: int
    memory_mib: int
    kernel: str
    python: str


def this_machine() -> Machine:
    """Describe the machine that the benchmark runs on."""
    return Machine(
        cpu=_cpu_name(),
        cores=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        kernel=platform.release().partition("-")[0],
        python=platform.python_version(),
    )


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def this_commit() -> str:
    """Return the commit that is measured, with ``-dirty`` for changed files, or ``unknown`` outside a checkout.

    Documentation and results of benchmarks change nothing that is measured: several runs in turn write them.
    """
    git, root = ["git", "-C", str(Path(__file__).parents[1])], ["--", ".", ":(exclude)docs", f":(exclude){RESULTS}"]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", *root], capture_output=True, check=False)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("-dirty" if changed.returncode else "")


def measured_here() -> dict[str, Any]:
    """Return what every document says of its origin: the machine, the commit, and the time in UTC."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"machine": asdict(this_machine()), "commit": this_commit(), "date": now}


def end(process: subprocess.Popen[Any], within_s: float) -> None:
    """Tell a process to end, and kill it when it has not."""
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def cpu_ms(pid: int) -> float:
    """Return the CPU time a process has used so far, user and system, all its threads, in ms.

    From the scheduler's clock, in ns. The ticks of ``/proc/PID/stat`` count 10 to 15 % more for a process that wakes up
    thousands of times a second.

    Raises:
        ProcessLookupError: There is no such process.
    """
    try:
        return time.clock_gettime_ns(~pid << 3 | _SCHED_CLOCK) / 1e6
    except (OSError, OverflowError) as error:
        raise ProcessLookupError(f"there is no process {pid}") from error


def cpu_of_family_ms(pid: int) -> float:
    """Return the CPU time of a process and of those that it has started and that still run, in ms.

    Raises:
        ProcessLookupError: There is no such process.
    """
    total = cpu_ms(pid)
    for child in _children(pid):
        with suppress(ProcessLookupError):  # it has just ended
            total += cpu_of_family_ms(child)
    return total


def cpu_of_server_ms(pid: int) -> float:
    """Return the CPU time of a process and of all that it has started, ended ones too, in ms.

    Those that ended count in ticks of 10 ms. Only children that the process has waited for count.

    Raises:
        ProcessLookupError: There is no such process.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error
    waited_for = int(fields[13]) + int(fields[14])
    return cpu_of_family_ms(pid) + 1000 * waited_for / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            after_name = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
            if int(after_name.split()[1]) == pid:
                found.append(int(process.name))
    return found


def peak_kib() -> int:
    """Return the most memory that this process has held at once, KiB.

    Not ``ru_maxrss``: a process inherits that of the one that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What a process holds: resident and locked memory in kB, open descriptors (None where we may not look)."""

    resident_kb: int
    locked_kb: int
    descriptors: int | None


def holdings(pid: int) -> Holdings:
    """Return what a process holds now.

    Raises:
        ProcessLookupError: There is no such process.
    """
    process = Path(f"/proc/{pid}")
    try:
        lines = (process / "status").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise ProcessLookupError(f"there is no process {pid}") from error
    sizes = {name: value for name, _, value in (line.partition(":") for line in lines)}
    try:
        descriptors = len(list((process / "fd").iterdir()))
    except PermissionError:  # the daemon forbids dumps, which closes this folder to all but root
        descriptors = None
    return Holdings(
        resident_kb=int(sizes["VmRSS"].split()[0]), locked_kb=int(sizes["VmLck"].split()[0]), descriptors=descriptors
    )


def has_io_uring() -> bool:
    """Tell whether the kernel lets this user have io_uring: many containers and hardened hosts do not.

    Kernels older than 6.6 do not say so: there it is not measured unless asked for.
    """
    try:
        disabled = int(Path("/proc/sys/kernel/io_uring_disabled").read_text())
    except (OSError, ValueError):
        return False
    return disabled == 0 or (disabled == 1 and os.geteuid() == 0)
