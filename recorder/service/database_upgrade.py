"""Creates or upgrades the tables of index and accounts on a server as their owner, and gives roles their rights."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from recorder.access.database import open_accounts
from recorder.access.tables import REVISION as ACCOUNTS_REVISION
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.service.database_roles import ACCOUNTS, ROLES, rights_sql
from storage.database import POSTGRESQL, Database, parse_url, server_name
from storage.database_problems import database_problem
from storage.tables import REVISION as INDEX_REVISION

_ARE_READY = """
SELECT (SELECT count(*) FROM pg_roles WHERE rolname = ANY(:roles)) = cardinality(CAST(:roles AS text[]))
  AND EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = :schema AND pg_has_role(nspowner, 'USAGE'))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """One of the databases of a site.

    Attributes:
        what: ``index`` or ``accounts``.
        name: Of the database, for people.
        before: Revision of its tables before; None if there were none.
        needed: Revision that this program needs.
    """

    what: str
    name: str
    before: str | None
    needed: str


def urls_as(config: Config, user: str | None, passfile: Path | None) -> dict[str, str]:
    """Return the URLs of the databases on a server, ``index`` and ``accounts``, with another user.

    Args:
        config: The configuration.
        user: The role; None for the configured one.
        passfile: File of its password, in place of the configured one.
    """
    found = {}
    for what, text in (("index", config.storage.index_url), ("accounts", config.storage.accounts_url)):
        url = None if text is None else parse_url(text)
        if url is None or url.get_backend_name() != POSTGRESQL:
            continue
        if user is not None:
            url = url.set(username=user, password=None).difference_update_query(["passfile"])
        if passfile is not None:
            url = url.update_query_dict({"passfile": str(passfile)})
        found[what] = url.render_as_string(hide_password=False)
    return found


def states(home: Home, urls: dict[str, str]) -> Iterator[DatabaseState]:
    """Yield the state of each database, without changing it.

    Raises:
        DatabaseError: One does not answer, or refuses.
    """
    from recorder.access import accounts_server, server_schema  # noqa: PLC0415 - the driver takes long to import

    for what, url in urls.items():
        with closing(Database(url, is_deferred=True)) as database:
            before, name, needed = database.revision, database.name, INDEX_REVISION
        if what == "accounts":
            engine = accounts_server.make_engine(parse_url(url), home.people)
            before, needed = server_schema.revision_of(engine), ACCOUNTS_REVISION
            engine.dispose()
        yield DatabaseState(what=what, name=name, before=before, needed=needed)


def upgrade(home: Home, urls: dict[str, str]) -> bool:
    """Create or upgrade the tables of each database; returns whether the roles got their rights on them.

    The roles have none if they do not exist, or if another role than the owner does this.

    Raises:
        DatabaseError: One does not answer or refuses, or the role does not own its tables.
    """
    if "index" in urls:
        Database(urls["index"]).close()
    if "accounts" in urls:
        open_accounts(home, urls["accounts"]).dispose()
    return all([_give_rights(url) for url in dict.fromkeys(urls.values())])


def _give_rights(url: str) -> bool:
    from storage.postgresql import make_server_engine  # noqa: PLC0415 - the driver takes long to import

    parsed = parse_url(url)
    engine = make_server_engine(parsed)
    try:
        with engine.begin() as connection:
            if not connection.execute(sa.text(_ARE_READY), {"roles": list(ROLES), "schema": ACCOUNTS}).scalar():
                return False
            connection.execute(sa.text(rights_sql()))
    except sa.exc.SQLAlchemyError as error:
        raise database_problem(server_name(parsed), error) from error
    finally:
        engine.dispose()
    return True
