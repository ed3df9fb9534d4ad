"""What the PBX and the trunk have to be set to, as `recorder site-check` says it. Judgements; pure."""

from collections.abc import Iterator, Mapping

from recorder.config.settings import Config
from recorder.rules.alarms import ALARMS
from recorder.rules.routing import Peer, Route, find_peer
from recorder.service.findings import SiteFinding, ok, warning
from sip.sdes import Srtp

TOLD = (
    "account_refused",
    "media_refused",
    "caller_media_refused",
    "caller_address_refused",
    "nominated_passed",
    "answered_elsewhere",
)
"""Alarms that speak of a setting of the PBX."""


def check_targets(config: Config) -> Iterator[SiteFinding]:
    """Say of each route what its targets must allow, and look whether what is known of them contradicts it."""
    for route in config.route:
        there = _peer_of(config, route)
        what = f"route {route.name}"
        if there is not None and there.srtp is Srtp.REQUIRED and route.srtp is Srtp.OFF:
            yield warning(
                what, f"calls to peer {there.name!r} are offered plain RTP, and it has to encrypt its own",
                why="a PBX that wants SRTP refuses plain audio (488), after the caller heard the notice",
                do=f'srtp = "optional" or "required" in [[route]] {route.name}, or no media_encryption at the PBX',
            )  # fmt: skip
        else:
            yield ok(what, _wanted(route, there))


def check_alarms(alarms: Mapping[str, int]) -> Iterator[SiteFinding]:
    """Say which alarms of the running daemon speak of a setting of the PBX, and of which one."""
    for name in TOLD:
        if count := alarms.get(name, 0):
            advice = ALARMS[name]
            yield warning(name, f"{count} since the daemon started", why=advice.means.rstrip("."), do=advice.do)


def _wanted(route: Route, there: Peer | None) -> str:
    audio = {
        Srtp.OFF: "plain RTP",
        Srtp.OPTIONAL: "RTP, and SRTP (SDES) for callers who have it",
        Srtp.REQUIRED: "SRTP (SDES)",
    }[route.srtp]
    account = "the recorder without an account, by its address"
    if there is not None and there.auth_user is not None:
        account = f"the account {there.auth_user!r}"
    return f"its targets must take {account}, and PCMA, PCMU or G.722 over {audio}"


def _peer_of(config: Config, route: Route) -> Peer | None:
    for target in route.targets:
        try:
            return find_peer(config.peer, target.host)
        except ValueError:  # a name: nothing is known of it here
            continue
    return None
