"""A site of several machines, each a host of a switch: trunk, Kamailio, two recorders, PostgreSQL, store and PBX."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.placed import Place, PlacedCalls, extensions
from benchmarks.postgres import PostgresServer
from tests.helpers.certificates import Authority
from tests.helpers.kamailio import Address, Kamailio, kamailio
from tests.helpers.networks import Host, Switch
from tests.helpers.radosgw import radosgw
from tests.helpers.recorder_home import Edits, RecorderHome, eventually, recorder_home
from tests.helpers.site_nodes import edits_of, give_own_keys

HOSTS = ("kamailio", "north", "south", "database", "store", "trunk", "pbx")
_SIP_PORT, _CONTROL_PORT = 5060, 7443
_PORTS_PER_CALL = 4


@dataclass
class Cluster:
    """The site; `cluster` makes one.

    Attributes:
        switch: Its hosts; `Switch.partition` cuts one off.
        nodes: The recorders by host. Each has a home of its own; their index is one database, and each is a node of
            that name, with its control API over mutual TLS at port 7443.
        proxy: Kamailio.
        server: PostgreSQL.
        placed: The calls between trunk and PBX, with streams.
    """

    switch: Switch
    nodes: dict[str, RecorderHome]
    proxy: Kamailio
    server: PostgresServer
    placed: PlacedCalls

    def name_of(self, address: Address) -> str:
        """Return the host of a recorder's SIP address."""
        return next(name for name, home in self.nodes.items() if home.sip == address)

    @property
    def welcoming(self) -> set[str]:
        """Return the recorders that Kamailio gives new calls to."""
        return {self.name_of(address) for address in self.proxy.gives_calls_to()}

    def wait_welcoming(self, *names: str) -> None:
        """Wait until Kamailio gives new calls to these recorders and no other."""
        eventually(lambda: self.welcoming == set(names), f"new calls go to {names} only")

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the common index."""
        with self.switch["north"].inside():
            return self.nodes["north"].rows()


@contextmanager
def cluster(folder: Path, *, calls: int, talk_s: float | None = None, has_store: bool = False) -> Iterator[Cluster]:
    """Start the site; ends what it started whatever happens.

    Args:
        folder: For homes and logs.
        calls: How many calls there will be; each is of an extension of its own.
        talk_s: When the officer of each hangs up, seconds after answering; None if calls last.
        has_store: Whether recordings go to an object store, in parts while their calls last.
    """
    with ExitStack() as stack:
        switch = stack.enter_context(Switch(*HOSTS))
        front, database = (switch["kamailio"].address, _SIP_PORT), switch["database"]
        with database.inside():
            server = PostgresServer(host=database.address)
            stack.callback(server.close)
            url = server.new_database()
        placed = stack.enter_context(
            PlacedCalls(calls, callers=_place(switch["trunk"]), officers=_place(switch["pbx"]), talk_s=talk_s)
        )
        authority, nodes = Authority(folder / "authority"), {}
        stored = stack.enter_context(_store(folder, switch["store"], authority)) if has_store else ()
        for name in ("north", "south"):
            edits = edits_of(authority, name, url, listen=_CONTROL_PORT, host=switch[name].address)
            nodes[name] = stack.enter_context(_node(folder, switch[name], front, calls, edits=[*edits, *stored]))
        proxy = stack.enter_context(
            kamailio(
                folder, address=front, trunk=placed.caller.address, pbx=placed.officer.address,
                recorders=[home.sip for home in nodes.values()],
                networks=(switch["kamailio"].network, switch["trunk"].network),
            )
        )  # fmt: skip
        made = Cluster(switch, nodes, proxy, server, placed)
        made.wait_welcoming(*nodes)
        yield made


@contextmanager
def _store(folder: Path, host: Host, authority: Authority) -> Iterator[Edits]:
    """Start the object store; yields the changes of a configuration that stores there."""
    with ExitStack() as stack:
        with host.inside():
            gateway = stack.enter_context(radosgw(folder / host.name, host=host.address, authority=authority))
        account = gateway.account(folder / "account.toml")
        yield (
            ('url = "off"                     # "s3://BUCKET', f'url = "s3://{gateway.bucket}/site"  # "s3://BUCKET'),
            ('s3_file = "off"                 # for s3://B', f's3_file = "{account}"  # for s3://B'),
            ("parts = false", "parts = true"),
        )


def _place(host: Host) -> Place:
    return Place(host.address, host.inside)


@contextmanager
def _node(folder: Path, host: Host, front: Address, calls: int, *, edits: Edits) -> Iterator[RecorderHome]:
    rules = (
        *edits,
        ("refuse_options = false", "refuse_options = true"),
        ('when_disk_fails = "take"', 'when_disk_fails = "refuse"'),
    )
    with recorder_home(
        folder / host.name, is_started=False, next_hop="{}:{}".format(*front), host=host.address, network=host.network,
        extensions=tuple(extensions(calls)), ports=_PORTS_PER_CALL * calls + 100, edits=rules,
    ) as home:  # fmt: skip
        give_own_keys(home.root)
        home.start()
        yield home
