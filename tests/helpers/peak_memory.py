"""Whether an act takes more memory for a long recording than for a short one, in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

_CHILD = """
import re, sys
from pathlib import Path
from storage.rows import row_from_json
sys.path.insert(0, "tests/helpers")
from storage_home import Site, row
{imports}
site = Site(Path(sys.argv[1]))
def peak():  # not ru_maxrss: a process inherits that of the one that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
def act(recording, seconds):
    path, finished = site.record(seconds, recording)
    found = row_from_json(row(recording, path=finished.path, bytes=finished.bytes, sha256=finished.sha256))
    before = peak()
    {act}
    return peak() - before
act("20261124T093000Z-2001-0a1b2c", {short_s})  # loads what is loaded once, and fills the allocator's pools
print(act("20261124T103000Z-2001-0a1b2d", {long_s}))
"""


def growth_kib(folder: Path, act: str, *, imports: str, short_s: int = 120, long_s: int = 900) -> int:
    """Return by how much the peak of memory rises for a long recording once the act was done to a short one, KiB.

    Args:
        folder: Where a home may be made.
        act: A statement; knows ``site`` and ``found``, the row of the recording.
        imports: What it needs.
        short_s: Seconds of the first recording; longer than what the act may hold at once.
        long_s: Seconds of the second; 16 kB each.
    """
    code = _CHILD.format(imports=imports, act=act, short_s=short_s, long_s=long_s)
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"\d+\n", done.stdout), done.stdout
    return int(done.stdout)
