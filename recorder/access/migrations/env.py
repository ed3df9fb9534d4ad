"""Alembic's environment: runs migrations on the connection and in the transaction of `storage.schema_upgrade`."""

from alembic import context

context.config.attributes["schema"].run(context)
