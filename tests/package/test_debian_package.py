"""The Debian package, from `make deb` to purge, in a new root of this machine's Debian release.

Takes root, mmdebstrap, and what `make deb` needs: `make deb-test` installs that. About five minutes on two idle cores.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(version: str) -> Path:
    """Build the package under a version; return its path."""
    done = subprocess.run(
        ["make", "--no-print-directory", "deb", f"DEB_VERSION={version}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return Path(done.stdout.splitlines()[-1])


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_install_call_upgrade_remove_and_purge(tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    packages = [build(version), build(f"{version}.post1")]
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.MULTILINE)
    assert release is not None
    copied = [f"/srv/{package.name}" for package in packages]
    words = ["--release", release[1], *(word for package in packages for word in ("--copy", str(package)))]
    done = subprocess.run(
        [sys.executable, "tests/fresh_root", *words, f"python3 tests/package/scenario.py {' '.join(copied)}"],
        cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    assert "--- all done" in done.stdout
