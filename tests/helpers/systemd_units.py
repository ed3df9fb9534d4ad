"""The systemd units of `deploy/`, as their keys and values."""

from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"


def read_unit(name: str) -> dict[str, list[str]]:
    """Return the words of each key of a unit; those of a key that is there several times follow each other."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / name).read_text().splitlines():
        key, is_key, value = line.partition("=")
        if is_key and not line.startswith("#"):
            found.setdefault(key, []).extend(value.split())
    return found
