"""The lock: the release of each dependency that is shipped and tested, with the hashes of its files.

In `deploy/requirements`, `shipped.txt` has what the recorder needs, `tested.txt` that and what the tests need, in the
same releases; `build.txt` has what builds wheels, and `release.txt` the tools of `make lock`, `make audit` and `make
release`. uv resolves them for every Python of `requires-python`; pip installs them with ``--require-hashes`` and
``--no-deps``.

``python -m deploy.release.lock check`` compares them with pyproject.toml and with the environment that it runs in. It
needs no network. ``renew`` resolves anew, and keeps every release that still fits, unless ``--upgrade`` is given.
"""

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any

from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/requirements"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
UV = ROOT / ".venv/tools/bin/uv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A line of the lock: one release of one package."""

    name: str
    version: str
    marker: Marker | None
    hashes: frozenset[str]

    def counts_in(self, environment: Mapping[str, str]) -> bool:
        """Whether pip would install it in an environment of markers (PEP 508)."""
        return self.marker is None or self.marker.evaluate(dict(environment))


def read_pins(text: str) -> list[Pin]:
    """Return the pins of a file of the lock.

    Raises:
        ValueError: A line is not ``name==version``.
    """
    lines = [line.strip() for line in text.splitlines()]
    joined = "\n".join(line for line in lines if line and not line.startswith("#")).replace("\\\n", " ")
    return [_pin(line) for line in joined.splitlines()]


def _pin(line: str) -> Pin:
    words, *hashes = line.split("--hash=")
    asked = Requirement(words)
    versions = [one.version for one in asked.specifier if one.operator == "=="]
    if len(versions) != 1:
        raise ValueError(f"the lock has a line that names no single release: {words.strip()}")
    return Pin(
        name=canonicalize_name(asked.name),
        version=versions[0],
        marker=asked.marker,
        hashes=frozenset(word.strip() for word in hashes),
    )


def environment_of(python: str) -> dict[str, str]:
    """Return the markers of CPython on Linux in a version such as ``3.13``."""
    return {
        **{key: str(value) for key, value in default_environment().items()},
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": "linux",
        "platform_system": "Linux",
    }


def find_gaps(required: Iterable[str], pins: Iterable[Pin], file: str) -> Iterator[str]:
    """Yield what a file of the lock lacks of the requirements, for each Python."""
    kept = list(pins)
    yield from (f"{file}: {pin.name} {pin.version} has no hash" for pin in kept if not pin.hashes)
    for asked in map(Requirement, required):
        name = canonicalize_name(asked.name)
        for python in PYTHONS:
            environment = environment_of(python)
            if asked.marker is not None and not asked.marker.evaluate(environment):
                continue
            found = [pin.version for pin in kept if pin.name == name and pin.counts_in(environment)]
            if len(found) != 1:
                yield f"{file}: Python {python} gets {len(found)} releases of {name}, not one"
            elif not asked.specifier.contains(found[0], prereleases=True):
                yield f"{file}: {name} {found[0]} does not fit {asked} in pyproject.toml"


def find_problems(project: Mapping[str, Any], files: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the lock, as sentences; none if it fits.

    Args:
        project: pyproject.toml.
        files: Text of each file of the lock by its name.
    """
    pins = {name: read_pins(text) for name, text in files.items()}
    needed: list[str] = project["project"]["dependencies"]
    extras = [one for extra in project["project"]["optional-dependencies"].values() for one in extra]
    found = [
        *find_gaps(needed, pins["shipped.txt"], "shipped.txt"),
        *find_gaps([*needed, *extras], pins["tested.txt"], "tested.txt"),
        *find_gaps(project["dependency-groups"]["build"], pins["build.txt"], "build.txt"),
        *find_gaps(project["dependency-groups"]["release"], pins["release.txt"], "release.txt"),
    ]
    tested = set(pins["tested.txt"])
    found += [
        f"shipped.txt: {pin.name} {pin.version} is not what tested.txt has"
        for pin in pins["shipped.txt"]
        if pin not in tested
    ]
    supported = SpecifierSet(project["project"]["requires-python"])
    found += [f"pyproject.toml: Python {python} is locked for, but not supported" for python in PYTHONS
              if f"{python}.0" not in supported]  # fmt: skip
    return found


def find_strays(pins: Iterable[Pin]) -> list[str]:
    """Return where this environment differs from the lock: another release, or a dependency that the lock lacks."""
    environment = {key: str(value) for key, value in default_environment().items()}
    counting = {pin.name: pin for pin in pins if pin.counts_in(environment)}
    found = []
    for pin in counting.values():
        try:
            installed = version(pin.name)
        except PackageNotFoundError:
            found.append(f"{pin.name} {pin.version} is not installed")
            continue
        if installed != pin.version:
            found.append(f"{pin.name} {installed} is installed, and {pin.version} locked")
        for asked in map(Requirement, distribution(pin.name).requires or ()):
            is_needed = asked.marker is None or asked.marker.evaluate({**environment, "extra": ""})
            if is_needed and canonicalize_name(asked.name) not in counting:
                found.append(f"{pin.name} needs {asked.name}, which is not locked")
    return found


def read_files() -> dict[str, str]:
    """Return the text of each file of the lock."""
    return {path.name: path.read_text() for path in sorted(FOLDER.glob("*.txt"))}


def renew(*, is_upgrade: bool) -> None:
    """Resolve all files of the lock with uv; keep releases that fit, unless they are to be upgraded."""
    always = ["--universal", "--python-version", PYTHONS[0], "--generate-hashes", "--no-header", "--quiet"]
    always += ["--upgrade"] if is_upgrade else []
    tested = ["pyproject.toml", "--all-extras", "--annotation-style", "line", "-o", "deploy/requirements/tested.txt"]
    shipped = [
        "pyproject.toml",
        "--no-annotate",
        "-c",
        "deploy/requirements/tested.txt",
        "-o",
        "deploy/requirements/shipped.txt",
    ]
    build = [
        "--group",
        "build",
        "--no-annotate",
        "-c",
        "deploy/requirements/tested.txt",
        "-o",
        "deploy/requirements/build.txt",
    ]
    release = ["--group", "release", "--annotation-style", "line", "-o", "deploy/requirements/release.txt"]
    for words in (tested, shipped, build, release):
        subprocess.run([str(UV), "pip", "compile", *always, *words], cwd=ROOT, check=True)  # noqa: S603 - fixed words


def main() -> int:
    """Check or renew; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.release.lock", description=__doc__)
    parser.add_argument("act", choices=("check", "renew"))
    parser.add_argument("--upgrade", action="store_true", help="with renew: take the newest release of everything")
    options = parser.parse_args()
    if options.act == "renew":
        renew(is_upgrade=options.upgrade)
    files = read_files()
    found = find_problems(tomllib.loads((ROOT / "pyproject.toml").read_text()), files)
    if options.act == "check" and not found:
        found = [f"this environment: {one}" for one in find_strays(read_pins(files["tested.txt"]))]
    for one in found:
        print(one, file=sys.stderr)
    if found:
        print("The lock does not fit. After a change of pyproject.toml: make lock; else: make setup", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
