"""What keeps a version from being released."""

from pathlib import Path

import pytest

from deploy.release.publish import find_obstacles, read_sections

ROOT = Path(__file__).parents[3]
CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-29\n\n- New.\n\n## [0.1.0] - 2026-10-01\n\n- First.\n"
)
GOOD = {"built": "0.2.0", "changelog": CHANGELOG, "changes": "", "tags": "v0.1.0\n"}


def test_a_version_that_can_be_released() -> None:
    assert find_obstacles("0.2.0", **GOOD) == []


@pytest.mark.parametrize(
    ("version", "change", "said"),
    [
        ("0.2", {}, "'0.2' is not a version such as 0.2.0"),
        ("0.2.0", {"changes": " M README.md\n"}, "the working tree has changes: commit them first"),
        ("0.2.0", {"built": "0.1.0"}, "pyproject.toml says 0.1.0: set version to 0.2.0, and commit"),
        ("0.2.0", {"tags": "v0.1.0\nv0.2.0\n"}, "the tag v0.2.0 exists: choose the next version"),
        (
            "0.2.0",
            {"changelog": CHANGELOG.replace(" - 2026-11-29", "")},
            "CHANGELOG.md needs a section `## [0.2.0] - YYYY-MM-DD` that says what changed",
        ),
        (
            "0.2.0",
            {"changelog": CHANGELOG.replace("- New.", "")},
            "CHANGELOG.md needs a section `## [0.2.0] - YYYY-MM-DD` that says what changed",
        ),
        (
            "0.2.0",
            {"changelog": CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n- Newer.\n")},
            "CHANGELOG.md: move the entries below [Unreleased] to [0.2.0]",
        ),
        (
            "0.1.0",
            {"built": "0.1.0", "tags": ""},
            "CHANGELOG.md: [0.1.0] must be the first section below [Unreleased]",
        ),
    ],
)
def test_what_stands_in_the_way_is_said(version: str, change: dict[str, str], said: str) -> None:
    assert find_obstacles(version, **{**GOOD, **change}) == [said]


def test_the_changelog_has_the_version_of_pyproject() -> None:
    sections = read_sections((ROOT / "CHANGELOG.md").read_text())
    assert next(iter(sections)) == "Unreleased"
    assert f'version = "{list(sections)[1]}"' in (ROOT / "pyproject.toml").read_text()
