"""Alembic's scripts for the accounts database; `recorder.access.schema` runs them."""
