"""A PostgreSQL server of our own: `benchmarks.postgres`, which cannot import from here. See tests/conftest.py."""

from benchmarks.postgres import PASSWORD, PostgresServer

__all__ = ["PASSWORD", "PostgresServer"]
