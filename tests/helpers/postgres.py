"""A PostgreSQL server of our own: `benchmarks.postgres`, which cannot import from here; fixtures in tests/conftest.py."""

from benchmarks.postgres import PASSWORD, PostgresServer

__all__ = ["PASSWORD", "PostgresServer"]
