"""Opens the accounts of a home for commands, wherever its configuration says that they are."""

from sqlalchemy import Engine

from recorder.access.database import has_accounts, open_accounts
from recorder.common.home import Home
from recorder.config.reading import read_config


def accounts_of(home: Home) -> Engine:
    """Open the accounts of a home.

    Raises:
        ConfigError: The configuration cannot be read.
        OSError, DatabaseError: See `recorder.access.database.open_accounts`.
    """
    return open_accounts(home, _url_of(home))


def accounts_exist(home: Home) -> bool:
    """Tell whether a home has accounts; those on a server are taken to exist.

    Raises:
        ConfigError: The configuration cannot be read.
    """
    return has_accounts(home, _url_of(home))


def _url_of(home: Home) -> str | None:
    return read_config(home.config).storage.accounts_url if home.config.exists() else None
