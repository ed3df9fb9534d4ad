"""What site-check says of the settings of PBX and trunk."""

from typing import Any

from recorder.config.settings import Config
from recorder.rules.routing import Peer, Route
from recorder.service.findings import Level, SiteFinding
from recorder.service.peer_check import TOLD, check_alarms, check_targets
from sip.options import Address
from sip.sdes import Srtp

THERE = Address(host="192.0.2.20", port=5060)


def found(peer: Peer, route: Route) -> SiteFinding:
    (finding,) = check_targets(Config(peer=(peer,), route=(route,)))
    return finding


def peer(**changes: Any) -> Peer:
    return Peer(name="pbx", networks=("192.0.2.0/24",), **changes)


def test_what_targets_have_to_allow_is_said() -> None:
    finding = found(peer(), Route(name="in", targets=(THERE,)))
    assert finding.level is Level.OK
    assert "without an account" in finding.says
    assert "PCMA, PCMU or G.722 over plain RTP" in finding.says
    with_account = found(peer(auth_user="rec"), Route(name="in", targets=(THERE,), srtp=Srtp.REQUIRED))
    assert "the account 'rec'" in with_account.says
    assert "over SRTP (SDES)" in with_account.says


def test_a_pbx_that_encrypts_is_not_offered_plain_audio() -> None:
    finding = found(peer(srtp=Srtp.REQUIRED), Route(name="in", targets=(THERE,)))
    assert finding.level is Level.WARNING
    assert "488" in finding.why
    assert "srtp" in finding.do
    assert found(peer(srtp=Srtp.REQUIRED), Route(name="in", targets=(THERE,), srtp=Srtp.OPTIONAL)).level is Level.OK


def test_of_a_target_by_name_nothing_is_known() -> None:
    named = Address(host="pbx.council.example", port=5060)
    assert found(peer(srtp=Srtp.REQUIRED), Route(name="in", targets=(named,))).level is Level.OK


def test_alarms_of_the_daemon_name_the_setting() -> None:
    (finding,) = check_alarms({"media_refused": 3, "disk_full": 1})
    assert (finding.level, finding.what, finding.says) == (Level.WARNING, "media_refused", "3 since the daemon started")
    assert "media_encryption" in finding.do
    assert len(list(check_alarms(dict.fromkeys(TOLD, 1)))) == len(TOLD)
    assert not list(check_alarms({}))
