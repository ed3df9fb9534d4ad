"""`make release VERSION=x.y.z`: builds everything of a release into dist/x.y.z, writes its checksums, and tags it.

It refuses before it builds anything if the tree has changes, if the version, the changelog or the lock do not fit, or
if the tag exists. The tag is made last, so a release that failed to build has none; the same command starts anew.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from deploy.release.lock import ROOT, find_problems, read_files

SUMS = "SHA256SUMS"
_HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\d{4}-\d\d-\d\d))?$", re.MULTILINE)


def read_sections(changelog: str) -> dict[str, tuple[str | None, str]]:
    """Return date and text of each version of a changelog, in its order; the unreleased one has no date."""
    found = list(_HEADING.finditer(changelog))
    ends = [match.start() for match in found[1:]] + [len(changelog)]
    return {match[1]: (match[2], changelog[match.end() : end].strip()) for match, end in zip(found, ends, strict=True)}


def find_obstacles(version: str, *, built: str, changelog: str, changes: str, tags: str) -> list[str]:
    """Return why a version cannot be released; nothing if it can.

    Args:
        version: The version to release.
        built: The version in pyproject.toml.
        changelog: CHANGELOG.md.
        changes: What ``git status --porcelain`` says.
        tags: What ``git tag`` says.
    """
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        return [f"{version!r} is not a version such as 0.2.0"]
    if changes.strip():
        found.append("the working tree has changes: commit them first")
    if built != version:
        found.append(f"pyproject.toml says {built}: set version to {version}, and commit")
    sections = read_sections(changelog)
    date, text = sections.get(version, (None, ""))
    if date is None or not text:
        found.append(f"CHANGELOG.md needs a section `## [{version}] - YYYY-MM-DD` that says what changed")
    elif list(sections)[1:2] != [version]:
        found.append(f"CHANGELOG.md: [{version}] must be the first section below [Unreleased]")
    if sections.get("Unreleased", (None, ""))[1]:
        found.append(f"CHANGELOG.md: move the entries below [Unreleased] to [{version}]")
    if f"v{version}" in tags.split():
        found.append(f"the tag v{version} exists: choose the next version")
    return found


def _output(*words: str) -> str:
    return subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


def build(folder: Path) -> None:
    """Build source distribution, wheel from it alone, Debian package and SBOM into a folder, with their checksums."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    words = [sys.executable, "setup.py", "-q", "sdist", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - fixed words
    (source,) = folder.glob("*.tar.gz")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(folder), str(source)], cwd=folder, check=True)  # noqa: S603 - fixed words
    package = Path(_output("make", "-s", "deb").splitlines()[-1])
    for made in (package, package.with_suffix(".cdx.json")):
        shutil.copy2(made, folder / made.name)
    sums = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(sums))


def main() -> int:
    """Release; return the exit code."""
    parser = argparse.ArgumentParser(prog="make release", description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--dry-run", action="store_true", help="say what stands in the way, and build nothing")
    parser.add_argument("--sign", action="store_true", help="sign the tag with git's signing key")
    options = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = find_obstacles(
        options.version,
        built=project["project"]["version"],
        changelog=(ROOT / "CHANGELOG.md").read_text(),
        changes=_output("git", "status", "--porcelain"),
        tags=_output("git", "tag"),
    ) + find_problems(project, read_files())
    for one in found:
        print(one, file=sys.stderr)
    if found or options.dry_run:
        return 1 if found else 0
    folder = ROOT / "dist" / options.version
    build(folder)
    tag = f"v{options.version}"
    _output("git", "tag", "-s" if options.sign else "-a", tag, "-m", f"Release {options.version}")
    print(*(path.name for path in sorted(folder.iterdir())), f"tag {tag}: git push origin {tag}", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
