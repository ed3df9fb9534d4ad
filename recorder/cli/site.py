"""The way of commands to live calls: this machine's daemon, or all nodes of a site that has several."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Union

from recorder.access.signing import Signer
from recorder.cli.output import say
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.control.client import LiveClient
from storage.errors import DatabaseError

if TYPE_CHECKING:  # a site with one recorder loads neither TLS nor the database's library
    from recorder.control.site_calls import SiteCalls
    from recorder.control.site_members import SiteMembers

Calls = Union[LiveClient, "SiteCalls"]
"""Lists of live calls, and acts on them."""


@contextmanager
def open_calls(home: Home) -> Iterator[Calls]:
    """Open the way to live calls.

    A mistake in the configuration, or a database that is away, must not stop a pause: this machine's daemon is asked
    then.
    """
    with open_members(home) as members:
        if members is not None:
            from recorder.control.site_calls import SiteCalls  # noqa: PLC0415 - see above

            yield SiteCalls(members)
            return
        with LiveClient(home.socket, signer=Signer(home.root)) as client:
            yield client


@contextmanager
def open_members(home: Home) -> "Iterator[SiteMembers | None]":
    """Give the nodes of a site with several, as far as this machine may reach them; else None."""
    config = _config_of_node(home)
    if config is None or config.storage.index_url is None:
        yield None
        return
    from recorder.control.site import site_members  # noqa: PLC0415 - see above
    from storage.database import Database  # noqa: PLC0415

    try:
        database = Database(config.storage.index_url, is_deferred=True)
    except DatabaseError as error:
        say(f"{error}; only this machine's daemon is asked")
        yield None
        return
    members = site_members(home, config.node, database, Signer(home.root))
    try:
        yield members
    finally:
        if members is not None:
            members.close()
        database.close()


def _config_of_node(home: Home) -> Config | None:
    """Return the configuration of a site with several nodes; None without such a section, or with a mistake."""
    try:
        section = tomllib.loads(home.config.read_text()).get("node", {})
        if all(value == "off" for value in section.values()):
            return None
        return read_config(home.config)
    except (ConfigError, OSError, ValueError, AttributeError) as error:
        say(f"the configuration cannot be read: {error}; only this machine's daemon is asked")
        return None
