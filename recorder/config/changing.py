"""Changes one setting in the text of `recorder.toml`, and leaves everything else as people wrote it."""

import json
from datetime import UTC, datetime
from pathlib import Path

from recorder.config.reading import read_config
from storage.durable import remove, save_atomically

_NEW = ".new-"


def with_setting(text: str, section: str, key: str, value: str) -> str:
    """Return a configuration with one text value changed, or added to its section.

    Args:
        text: TOML.
        section: Name of a table.
        key: Key in it.
        value: The new value.
    """
    line, found, inside = f"{key} = {json.dumps(value, ensure_ascii=False)}", [], False
    for one in text.splitlines():
        stripped = one.split("#", 1)[0].strip()
        if stripped.startswith("["):
            inside = stripped.strip("[]").strip() == section
            found += [one, line] if inside else [one]
        elif not (inside and stripped.split("=", 1)[0].strip() == key):
            found.append(one)
    if f"[{section}]" not in (one.split("#", 1)[0].strip() for one in found):
        found += ["", f"[{section}]", line]
    return "\n".join(found) + "\n"


def change_setting(path: Path, section: str, key: str, value: str, now: datetime) -> Path:
    """Change one text value of a configuration, and keep the file as it was beside it.

    Returns:
        The path of the file as it was.

    Raises:
        ConfigError: The new text cannot be read as a configuration; nothing was changed.
        OSError: From the system; nothing was changed.
    """
    before = path.read_text(encoding="utf-8")
    mode = path.stat().st_mode & 0o777
    text = with_setting(before, section, key, value).encode()
    new = path.with_name(f"{_NEW}{path.name}")
    kept = path.with_name(f"former-{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{path.name}")
    try:
        save_atomically(new, text, mode=mode)
        read_config(new)
    finally:
        remove(new)
    save_atomically(kept, before.encode(), mode=mode)
    save_atomically(path, text, mode=mode)
    return kept
