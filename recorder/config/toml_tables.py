"""Reads TOML into frozen dataclasses; a mistake is reported in one plain sentence with its line."""

import dataclasses
import functools
import math
import types
import typing
from enum import Enum
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Interval, Le

from recorder.common.known_values import nearest
from recorder.config.sip_transports import parse_address, parse_target
from sip.options import Address

DEFAULT_PORTS = {"listen_tls": 5061}
DERIVED = frozenset({"sha256", "unsaid_answered_by"})
"""Fields of the configuration that are derived from the file and are no keys in it."""
TARGETS = frozenset({"targets", "registrar"})
"""Keys with addresses that may name a transport."""


_KINDS: dict[Any, tuple[str, str]] = {
    str: ("text in quotes", '"text"'), int: ("a whole number", "5"), float: ("a number", "2.5"),
    bool: ("true or false", "true"),
}  # fmt: skip
"""What a value must be, and an example, by its type."""


class ConfigError(Exception):
    """The configuration cannot be used; the message is a sentence with file and line."""


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's keys; cached, because this takes most of the time of reading."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {key: hint for key, hint in hints.items() if key not in DERIVED}


def _outside(limit: Gt | Ge | Le | Interval, value: float) -> str | None:
    """Return the words for a range that a value does not lie in, or None."""
    over, least, most = (getattr(limit, name, None) for name in ("gt", "ge", "le"))
    if (over is None or value > over) and (least is None or value >= least) and (most is None or value <= most):
        return None
    if most is not None and over is None and least is None:
        return f"be at most {most:g}"
    if most is not None:
        return f"lie in [{least}, {most}]" if over is None else f"lie in ({over}, {most}]"
    return f"be at least {least}" if over is None else f"be over {over}"


def _shown(value: object) -> str:
    """Return a value as TOML has it, for an example."""
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else f"{value}"


class Reader:
    """Builds dataclasses from TOML tables and finds the line of a mistake."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def fail(self, sentence: str, section: str = "", key: str = "", entry: int = 0) -> typing.NoReturn:
        """Raise ConfigError with the line of a key of a section's entry."""
        raise ConfigError(f"{self._path}, line {self._line(section, key, entry)}: {sentence}")

    def build(self, kind: type[Any], table: dict[str, Any], section: str, entry: int = 0) -> Any:  # noqa: ANN401
        """Build one dataclass; every key must be one of its fields."""
        hints = _hints(kind)  # type: ignore[arg-type]  # mypy does not take type[Any] for hashable
        for key in table:
            if key not in hints:
                known = ", ".join(sorted(hints))
                self.fail(
                    f"unknown key {key!r}; known here are {known}; the nearest is {nearest(key, hints)}",
                    section or key, key, entry,
                )  # fmt: skip
        values = {key: self._value(hints[key], value, section, key, entry) for key, value in table.items()}
        try:
            return kind(**values)
        except TypeError:
            needed = [
                f.name for f in dataclasses.fields(kind) if f.default is dataclasses.MISSING and f.name not in values
            ]
            self.fail(f"[[{section}]] needs {', '.join(needed)}", section, "", entry)

    def _value(self, hint: Any, value: Any, section: str, key: str, entry: int) -> Any:  # noqa: ANN401
        where = (section or key, key, entry)
        if dataclasses.is_dataclass(hint) and hint is not Address:
            if not isinstance(value, dict):
                self.fail(f"{key} must be a section: [{key}]", *where)
            return self.build(typing.cast("type[Any]", hint), value, key)
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin in (types.UnionType, typing.Union):
            if value == "off":
                return None
            hint = next(a for a in arguments if a is not type(None))
            return self._ranged(hint, value, section, key, entry, or_off=', or "off"')
        if origin is tuple:
            return self._sequence(arguments, value, section, key, entry)
        if origin is typing.Annotated:
            return self._ranged(hint, value, section, key, entry)
        return self._scalar(hint, value, where)

    def _ranged(self, hint: Any, value: Any, section: str, key: str, entry: int, *, or_off: str = "") -> Any:  # noqa: ANN401
        """Return a value that lies in its range, if its type has one (`recorder.common.ranges`)."""
        if typing.get_origin(hint) is not typing.Annotated:
            return self._value(hint, value, section, key, entry)
        plain, limit = typing.get_args(hint)
        found = self._value(plain, value, section, key, entry)
        if (words := _outside(limit, found)) is not None:
            said = f"{found:g}" if isinstance(found, float) else str(found)
            self.fail(f"{key} is {said}: it must {words}{or_off}", section or key, key, entry)
        return found

    def _sequence(self, arguments: tuple[Any, ...], value: Any, section: str, key: str, entry: int) -> Any:  # noqa: ANN401
        if not isinstance(value, list):
            self.fail(
                f"{key} must be a list, in square brackets; such as {key} = [{_shown(value)}]",
                section or key,
                key,
                entry,
            )
        if dataclasses.is_dataclass(arguments[0]) and arguments[0] is not Address:
            return tuple(
                self.build(typing.cast("type[Any]", arguments[0]), item, key, i) for i, item in enumerate(value)
            )
        if len(arguments) == 2 and arguments[1] is not Ellipsis and len(value) != 2:
            self.fail(f"{key} must be two numbers: [first, last]", section, key, entry)
        return tuple(self._value(arguments[0], item, section, key, entry) for item in value)

    def _scalar(self, hint: Any, value: Any, where: tuple[str, str, int]) -> Any:  # noqa: ANN401
        key = where[1]
        if hint is Address:
            try:
                text = value if isinstance(value, str) else ""
                if key in TARGETS:
                    return parse_target(text)
                return parse_address(text, DEFAULT_PORTS.get(key, 5060))
            except ValueError:
                what = 'HOST:PORT, "tcp:HOST:PORT" or "tls:HOST:PORT"' if key in TARGETS else "IP:PORT in quotes"
                self.fail(f'{key} must be {what}, not {value!r}; such as "192.0.2.10:5060"', *where)
        if isinstance(hint, type) and issubclass(hint, Enum):
            try:
                return hint(value)
            except ValueError:
                known = [str(one.value) for one in hint]
                said = ", ".join(map(repr, known))
                like = nearest(str(value), known)
                self.fail(f'{key} must be one of {said}, not {value!r}; the nearest is {key} = "{like}"', *where)
        if hint is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if type(value) is not hint or (hint is float and not math.isfinite(value)):
            words, example = _KINDS.get(hint, (str(hint), ""))
            self.fail(
                f"{key} must be {words}, not {value!r}{f'; such as {key} = {example}' if example else ''}", *where
            )
        return value

    def _line(self, section: str, key: str, entry: int) -> int:
        seen, inside, section_line = -1, section == "", 1
        for number, line in enumerate(self._lines, 1):
            stripped = line.split("#", 1)[0].strip()
            if stripped.startswith("["):
                if stripped.strip("[]").strip() == section:
                    seen += 1
                    inside = seen == entry or not stripped.startswith("[[")
                    section_line = number if inside else section_line
                else:
                    inside = False
            elif inside and key and stripped.split("=", 1)[0].strip() == key:
                return number
        return section_line
