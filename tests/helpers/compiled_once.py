"""Statements of SQLAlchemy that a process compiles once, and not once for each database that it opens.

A recorder has one index and one file of people for months, and compiles each statement once. The tests open thousands
of them, and compiling was a twentieth of their CPU.
"""

from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.util import LRUCache

_STATEMENTS = 2000
"""More than the program has."""


class CompiledStatements:
    """What engines ask for compiled statements: a part of `LRUCache`. It takes all dialects of a kind for the same."""

    def __init__(self) -> None:
        self._known: LRUCache[Any, Any] = LRUCache(_STATEMENTS)

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return a compiled statement, or None."""
        return self._known.get(_shared(key))

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        """Keep one."""
        self._known[_shared(key)] = compiled

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()


def _shared(key: tuple[Any, ...]) -> tuple[Any, ...]:
    dialect, *others = key
    assert isinstance(dialect, Dialect)
    return (type(dialect), dialect.server_version_info, dialect.paramstyle, *others)


class _Shared:
    """In the place of an engine's own cache; an engine that wants none has none."""

    def __init__(self) -> None:
        self._statements = CompiledStatements()

    def __get__(self, engine: Engine, _owner: type[Engine]) -> CompiledStatements | None:
        return self._statements if vars(engine)["is_caching"] else None

    def __set__(self, engine: Engine, cache: object) -> None:
        vars(engine)["is_caching"] = cache is not None


def compile_once() -> None:
    """Have all engines of this process share what was compiled."""
    Engine._compiled_cache = _Shared()  # type: ignore[assignment]
