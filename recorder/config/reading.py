"""Reads a configuration file: TOML into the dataclasses of `settings`, then the checks of `rules`.

A mistake is reported in one plain sentence with its line: unknown keys, bad values and impossible combinations alike.
"""

import dataclasses
import functools
import hashlib
import re
import tomllib
from pathlib import Path

from recorder.config.rules import check
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError, Reader


def read_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: It cannot be read or used; the message says what and where.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; run `recorder init` or give the folder with -C") from error
    return _built(path, content)


@functools.lru_cache(maxsize=4)  # a command asks for it several times, and to build it is a third of the command's CPU
def _built(path: Path, content: bytes) -> Config:
    try:
        text = content.decode()
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r" \(at line (\d+), column \d+\)$", str(error))
        where = f"{path}, line {line[1]}" if line else str(path)
        said = str(error).removesuffix(line[0] if line else "")
        raise ConfigError(f'{where}: this is not TOML: {said}; a line is such as name = "text" or [sip]') from error
    except ValueError as error:  # not UTF-8, or a number with thousands of digits
        raise ConfigError(f"{path}: {error}") from error
    reader = Reader(path, text)
    built: Config = reader.build(Config, table, "")
    unsaid = tuple(entry["number"] for entry in table.get("extension", ()) if "answered_by" not in entry)
    config = dataclasses.replace(built, sha256=hashlib.sha256(content).hexdigest(), unsaid_answered_by=unsaid)
    check(config, reader)
    return config
