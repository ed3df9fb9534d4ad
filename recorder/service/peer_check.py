"""Checks of `recorder site-check` on the settings that PBX and trunk need. Pure."""

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
"""Alarms that a setting of the PBX causes."""


def check_targets(config: Config) -> Iterator[SiteFinding]:
    """Report what the targets of each route must allow, and whether the configuration contradicts it."""
    for route in config.route:
        there = _peer_of(config, route)
        what = f"route {route.name}"
        if there is not None and there.srtp is Srtp.REQUIRED and route.srtp is Srtp.OFF:
            yield warning(
                what, f"calls to peer {there.name!r} are offered plain RTP, but its own calls must be encrypted",
                why="a PBX that requires SRTP refuses plain audio (488), after the caller has heard the notice",
                do=f'set srtp = "optional" or "required" in [[route]] {route.name}, or media_encryption off at the PBX',
            )  # fmt: skip
        else:
            yield ok(what, _wanted(route, there))


def check_alarms(alarms: Mapping[str, int]) -> Iterator[SiteFinding]:
    """Report alarms of the running daemon that a setting of the PBX causes, with the setting."""
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
        except ValueError:  # a name, not an address, so its peer is unknown
            continue
    return None
