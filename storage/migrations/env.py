"""Alembic's environment: runs migrations on the connection and in the transaction of `storage.migrations.upgrade`."""

from alembic import context

from storage.migrations import VERSION_TABLE
from storage.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
