"""Seals the secrets of authenticators and the hashes of recovery codes."""

import sqlalchemy as sa
from alembic import op

from recorder.access.account_key import Use, key_id_of, key_of

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Seal every value, with a key that is made first if it is missing; end sign-ins that set up an authenticator."""
    connection = op.get_bind()
    key = key_of(connection)
    key.create()  # on the disk before the sealed values are
    for table, column, use in (
        ("second_factors", "secret", Use.AUTHENTICATOR),
        ("recovery_codes", "code_hash", Use.RECOVERY_CODE),
    ):
        change = sa.text(f"UPDATE {table} SET {column} = :sealed WHERE account = :account AND {column} = :plain")  # noqa: S608 - constants
        for account, plain in connection.execute(sa.text(f"SELECT account, {column} FROM {table}")).all():  # noqa: S608 - constants
            if key_id_of(plain):
                continue  # of a file whose revision was lost: sealed twice, it would be no secret any more
            sealed = key.seal(account, use, plain)
            connection.execute(change, {"sealed": sealed, "account": account, "plain": plain})
    op.execute("DELETE FROM sessions WHERE enrolling IS NOT NULL")
