"""The source distribution holds all that a wheel is built from, and the wheel all that is run."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("recorder", "sip", "audio", "storage")
VENDOR = "recorder/web/static/vendor"
"""Comes from npm, so the repository does not have it (docs/adr/0060-govuk-frontend.md)."""
TRANSLATED = "audio/_relay.c"
"""What Cython makes: two seconds of CPU."""
COMPILED = (".c", ".h", ".pxd", ".pyx")
"""Goes into the compiled module; the kernel's program is compiled too."""


def tracked(*folders: str) -> set[str]:
    """Return the files of folders that the repository has."""
    listed = subprocess.run(["git", "ls-files", *folders], cwd=ROOT, check=True, capture_output=True, text=True)
    return set(listed.stdout.split())


def vendored() -> set[str]:
    """Return the files that the set-up took from npm."""
    held = {str(path.relative_to(ROOT)) for path in (ROOT / VENDOR).iterdir()}
    assert len(held) >= 6, "make setup brings them"
    return held


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source distribution, made from what the repository has."""
    folder = tmp_path_factory.mktemp("package")
    tree = folder / "tree"
    for name in tracked():
        copy = tree / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / name).read_bytes())
    shutil.copytree(ROOT / VENDOR, tree / VENDOR)
    if (ROOT / TRANSLATED).exists():
        # Younger than what it was made from, so that it is not made again; nor does it go into the distribution.
        (tree / TRANSLATED).write_bytes((ROOT / TRANSLATED).read_bytes())
    subprocess.run([sys.executable, "setup.py", "-q", "sdist", "-d", str(folder)], cwd=tree, check=True)
    (made,) = folder.glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def sources(archive: Path) -> Path:
    """Return the unpacked source distribution."""
    with tarfile.open(archive) as held:
        held.extractall(archive.parent / "unpacked", filter="data")
    (unpacked,) = (archive.parent / "unpacked").iterdir()
    return unpacked


def test_the_source_distribution_is_whole(sources: Path) -> None:
    held = {str(path.relative_to(sources)) for path in sources.rglob("*") if path.is_file()}
    needed = tracked(*PACKAGES, "deploy", "requirements") | {
        "pyproject.toml",
        "setup.py",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        *vendored(),
    }
    assert needed - held == set()
    assert TRANSLATED not in held, "it is made anew where a wheel is built"


@pytest.mark.long
def test_a_wheel_is_built_from_the_source_distribution_alone(sources: Path, tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index",
            "-w", str(tmp_path), str(sources),
        ],
        check=True,
        cwd=tmp_path,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    needed = {name for name in tracked(*PACKAGES) if not name.endswith(COMPILED)} | vendored()
    assert needed - held == set()
    assert "audio/relay.bpf.o" in held
    assert any(name.startswith("audio/_relay.") and name.endswith(".so") for name in held)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_source_distribution_is_installed_in_an_empty_environment(archive: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv/bin"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([programs / "pip", "install", "-q", str(archive)], check=True, cwd=tmp_path, env=environment)
    said = subprocess.run(
        [programs / "recorder", "--version"], check=True, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert said.stdout == f"recorder {tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}\n"
    core = "from audio import _relay; print(_relay.__file__)"
    found = subprocess.run(
        [programs / "python", "-c", core], check=True, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert found.stdout.startswith(str(tmp_path / "venv/lib"))
