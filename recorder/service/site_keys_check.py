"""Findings of `recorder site-check` about the keys of a site with several machines."""

from collections.abc import Iterator
from datetime import datetime

from recorder.common.home import Home
from recorder.rules import times
from recorder.service.findings import SiteFinding, error, ok, warning
from recorder.site_keys.authority import SOON, load_authority, read_certificate
from recorder.site_keys.node_records import read_records
from recorder.site_keys.places import has_joined, node_certificate
from recorder.site_keys.publishing import has_nodes, stored_list
from storage.errors import KeyProblemError

_RENEW = "run `recorder nodes request` there, `recorder nodes add` on the console host, and `recorder nodes join` there"


def check_site_keys(home: Home, now: datetime) -> Iterator[SiteFinding]:
    """Check the site's authority and the certificates of its nodes, or on a node its own."""
    try:
        if has_nodes(home):
            yield from _of_key_holder(home, now)
        elif has_joined(home):
            yield from _of_node(home, now)
    except KeyProblemError as problem:
        yield error("keys of the site", str(problem), why="nodes get no new keys", do="restore `keys/` and `private/`")


def _of_key_holder(home: Home, now: datetime) -> Iterator[SiteFinding]:
    ends_at = load_authority(home).certificate.not_valid_after_utc
    yield _ending("certificate authority", ends_at, now, do="begin a new site: remove and add every node")
    for node in read_records(home).values():
        if node.removed_at is None:
            yield _ending(f"certificate of node {node.name}", node.ends_at, now, do=_RENEW)


def _of_node(home: Home, now: datetime) -> Iterator[SiteFinding]:
    found = stored_list(home)
    assert found is not None, "a home that has joined has a list"
    yield ok("keys of the site", f"key list {found.content.number}")
    if node_certificate(home).exists():
        ends_at = read_certificate(node_certificate(home)).not_valid_after_utc
        yield _ending("certificate of this node", ends_at, now, do=_RENEW)


def _ending(what: str, ends_at: datetime, now: datetime, *, do: str) -> SiteFinding:
    day = times.day(ends_at)
    if ends_at <= now:
        return error(what, f"it ended on {day}", why="the machines of the site refuse it", do=do)
    if ends_at - now < SOON:
        return warning(what, f"it ends on {day}", why="from then on the machines of the site refuse it", do=do)
    return ok(what, f"good until {day}")
