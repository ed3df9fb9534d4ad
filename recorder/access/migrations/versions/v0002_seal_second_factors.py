"""Seals the secrets of authenticators and the hashes of recovery codes."""

import sqlalchemy as sa
from alembic import op

from recorder.access.account_key import Use, key_id_of, key_of

revision = "0002"
down_revision = "0001"


_COLUMNS = (("second_factors", "secret", Use.AUTHENTICATOR), ("recovery_codes", "code_hash", Use.RECOVERY_CODE))


def upgrade() -> None:
    """Seal every value, with a key that is made first if it is missing; end sign-ins that set up an authenticator.

    If a value is sealed already, the revision was lost or set back. As all are sealed in one transaction, the others
    were put there by somebody else: they stay as they are, and count for nothing.
    """
    connection = op.get_bind()
    key = key_of(connection)
    key.create()  # on the disk before the sealed values are
    found = [
        (table, column, use, account, value)
        for table, column, use in _COLUMNS
        for account, value in connection.execute(sa.text(f"SELECT account, {column} FROM {table}")).all()  # noqa: S608 - constants
    ]
    if not any(key_id_of(value) for *_, value in found):
        for table, column, use, account, plain in found:
            change = sa.text(f"UPDATE {table} SET {column} = :sealed WHERE account = :account AND {column} = :plain")  # noqa: S608 - constants
            connection.execute(change, {"sealed": key.seal(account, use, plain), "account": account, "plain": plain})
    op.execute("DELETE FROM sessions WHERE enrolling IS NOT NULL")
