"""`make deb`: builds the Debian package of this checkout into dist/, for the Debian release and Python of this machine.

Run by the system's Python, with its standard library only. The locked releases and the recorder become wheels in
build/deb; `deploy/debian` makes the package of them with debhelper.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from email.utils import formatdate
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/deb"
TREE = BUILD / "tree"
PYTHON = "/usr/bin/python3"
VENDOR = "recorder/web/static/vendor"
SHIPPED = ROOT / "deploy/requirements/shipped.txt"
PIP = ("-m", "pip", "--disable-pip-version-check", "-q")
LOCKED = ("--require-hashes", "--no-deps", "--no-build-isolation")


def _run(*words: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    # Of the caller's Python nothing counts: a PYTHONPATH would bring this checkout into the package's environment.
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    subprocess.run(words, check=True, cwd=cwd, env={**own, **environment}, stdout=sys.stderr)  # noqa: S603 - fixed words


def _output(*words: str) -> str:
    return subprocess.run(words, check=True, cwd=ROOT, capture_output=True, text=True).stdout  # noqa: S603


def read_version() -> str:
    """Return the version in pyproject.toml."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def package_version(version: str) -> str:
    """Return the package's version, which names the Debian release that it was built on: ``0.2.0-1+deb13``."""
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    name = {"debian": "deb"}.get(fields["ID"].strip('"'), fields["ID"].strip('"'))
    return f"{version}-1+{name}{fields['VERSION_ID'].strip(chr(34))}"


def copy_tree(version: str) -> None:
    """Copy the tracked files as they are here, with the package's own in debian/, under a version."""
    shutil.rmtree(TREE, ignore_errors=True)
    _run(PYTHON, ROOT / "deploy/web_assets/fetch.py")
    shutil.copytree(ROOT / VENDOR, TREE / VENDOR)
    for name in _output("git", "ls-files", "-z").split("\0"):
        if name and not name.startswith("tests/"):
            copy = TREE / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy)
    project = TREE / "pyproject.toml"
    project.write_text(project.read_text().replace(f'version = "{read_version()}"', f'version = "{version}"', 1))
    shutil.copytree(TREE / "deploy/debian", TREE / "debian")
    changed_at = formatdate(int(_output("git", "log", "-1", "--format=%ct")))
    maintainer = next(line for line in (TREE / "debian/control").read_text().splitlines() if line.startswith("Maint"))
    (TREE / "debian/changelog").write_text(
        f"council-recorder ({package_version(version)}) unstable; urgency=medium\n\n"
        f"  * Release {version}: see changelog.gz.\n\n -- {maintainer.partition(': ')[2]}  {changed_at}\n"
    )


def code_name() -> str:
    """Return a name of what is packaged: eight hex digits of its files and of the locked releases."""
    digest = hashlib.sha256()
    for path in sorted(TREE.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(TREE)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:8]


def make_wheels(python: Path) -> Path:
    """Return a folder with wheels of the shipped releases, which are kept for the next time, and of the recorder."""
    kept = BUILD / f"wheels-{hashlib.sha256(SHIPPED.read_bytes()).hexdigest()[:12]}"
    if not kept.is_dir():
        unfinished = kept.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        _run(python, *PIP, "wheel", *LOCKED, "-r", SHIPPED, "-w", unfinished)
        unfinished.rename(kept)
    wheels = BUILD / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    shutil.copytree(kept, wheels, copy_function=os.link)
    _run(python, *PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", TREE, "-w", wheels)
    return wheels


def main() -> int:
    """Build; return the exit code."""
    parser = argparse.ArgumentParser(prog="make deb", description=__doc__)
    parser.add_argument("--version", default=read_version(), help="another version than that of pyproject.toml")
    parser.add_argument("--tools", type=Path, default=ROOT / ".venv/tools", help="environment with cyclonedx-py")
    options = parser.parse_args()
    environment = BUILD / "venv"
    if not environment.is_dir():
        _run(PYTHON, "-m", "venv", environment)
    python = environment / "bin/python"
    _run(python, *PIP, "install", "--require-hashes", "--no-deps", "-r", ROOT / "deploy/requirements/build.txt")
    copy_tree(options.version)
    code = code_name()
    wheels = make_wheels(python)
    version = package_version(options.version)
    for old in BUILD.glob("*.deb"):
        old.unlink()
    cyclonedx = options.tools / "bin/cyclonedx-py"
    _run(
        "dpkg-buildpackage", "-b", "-us", "-uc", "-tc",
        cwd=TREE, VERSION=version, CODE=code, WHEELS=str(wheels), BUILD=str(environment), CYCLONEDX=str(cyclonedx),
    )  # fmt: skip
    dist = ROOT / "dist"
    dist.mkdir(exist_ok=True)
    for made in BUILD.glob("council-recorder_*.deb"):
        made.replace(dist / made.name)
        shutil.copy(TREE / "debian/made/sbom.cdx.json", (dist / made.name).with_suffix(".cdx.json"))
        print(dist / made.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
