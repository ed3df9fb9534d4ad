"""`recorder nodes list`: the nodes of a site, as the database lists them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from recorder.cli.context import HomeContext
from recorder.cli.output import fail
from storage.database import Database
from storage.nodes import NodeRow, Nodes

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMNS = [
    ("name", "Node"),
    ("address", "Address"),
    ("version", "Version"),
    ("state", "State"),
    ("load", "Calls"),
    ("seen_ago", "Last seen"),
]


def list_nodes(context: HomeContext) -> None:
    """List the nodes of the site: address, version, state, calls and capacity, and when each was last seen.

    A node that has not been seen for 6 seconds is `away`.
    """
    config = context.config
    if config.storage.index_url is None or not config.is_shared_index:
        fail("this site has one recorder: nodes share an index on PostgreSQL, see index_url in [storage]", 2)
    database = Database(config.storage.index_url)
    try:
        nodes, now_us = Nodes(database).all()
    finally:
        database.close()
    rows = [_row(node, now_us) for node in nodes]
    context.print_rows(rows, _COLUMNS, empty="no node has registered yet", lines=[_line(row) for row in rows])


def _row(node: NodeRow, now_us: int) -> dict[str, Any]:
    is_away = node.state in ("accepting", "draining") and node.is_away(now_us)
    return {
        "name": node.name,
        "address": node.address,
        "version": node.version,
        "state": "away" if is_away else node.state,
        "calls": node.calls,
        "capacity": node.capacity,
        "seen_at": _time(node.seen_us),
        "seen_ago_s": None if node.seen_us is None else round((now_us - node.seen_us) / 1e6, 1),
        "started_at": _time(node.started_us),
        "fingerprint": node.fingerprint,
    }


def _line(row: dict[str, Any]) -> dict[str, Any]:
    ago_s = row["seen_ago_s"]
    return {
        **row,
        "load": f"{row['calls']}/{row['capacity']}",
        "seen_ago": "never" if ago_s is None else f"{timedelta(seconds=round(ago_s))} ago",
    }


def _time(us: int | None) -> str | None:
    return None if us is None else (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="seconds")
