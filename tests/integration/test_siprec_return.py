"""Recording sessions that come back after the recorder was killed begin as they were left, paused or opted out."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import Session, siprec_site
from tests.helpers.siprec_policy import METADATA, Site, document


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("return")) as (home, clients):
        yield Site(home, clients)


def again(site: Site, before: Session, *, group_only: bool = False) -> Session:
    """Return a session of the same call in a new dialog, as after a failover."""
    names = {"group": before.call.group} if group_only else {"session": before.call.session, "group": before.call.group}
    return site.session(caller=before.call.caller.user, officer=before.call.officer.user, names=names)


def test_after_a_kill(site: Site) -> None:
    home = site.home
    paused, opted_out, plain = site.session(), site.session(), site.session(officer="2002")
    for session in (paused, opted_out, plain):
        session.invite()
    paused.talk_for(0.8)
    home.act(f"/api/calls/{site.live(paused)['id']}/pause").raise_for_status()
    home.act(f"/api/calls/{site.live(opted_out)['id']}/opt-out", by="mary", reason="they asked").raise_for_status()
    home.kill()
    for session in (paused, opted_out, plain):
        session.hush()
    home.start()

    back, transferred = again(site, paused), again(site, opted_out, group_only=True)
    out, fresh = again(site, opted_out), again(site, plain)
    for session in (back, out, fresh):
        assert session.invite().status == 200
    transferred.invite((transferred.sdp(), "application/sdp"))  # its name comes later
    back.talk_for(0.3)
    assert transferred.ask("UPDATE", document(transferred), METADATA).status == 200
    states = {one["id"]: (one["state"], one["reasons"]) for one in home.calls()}
    assert states[_id(site, back)] == ("paused", ["agent"])
    assert states[_id(site, fresh)] == ("recording", [])
    assert [state for state, _ in states.values()].count("opted_out") == 2
    resumed_s = time.monotonic()
    home.act(f"/api/calls/{_id(site, back)}/resume").raise_for_status()
    back.talk_for(0.4)
    for session in (back, out, fresh, transferred):
        session.bye()

    row = _last(site, back)
    assert "returned" in row["remarks"]
    assert [one["kind"] for one in row["segments"]] == ["paused", "recording"]
    left = home.copy(row["id"])[0]
    assert kept_of(left, back.lines[0].voice).bytes_between(0, resumed_s) == 0
    assert (_last(site, fresh)["outcome"], _last(site, fresh)["remarks"]) == ("recorded", ["siprec"])
    for session in (out, transferred):
        row = _last(site, session, reason="opted_out")
        assert (row["outcome"], row["path"]) == ("blocked", None)

    third = again(site, back)  # it was resumed: nothing holds it any more
    third.invite()
    assert site.live(third)["state"] == "recording"
    third.bye()


def _id(site: Site, session: Session) -> str:
    return str(site.live(session)["id"])


def _last(site: Site, session: Session, *, reason: str = "session_ended") -> dict[str, Any]:
    """Return the newest row of the session's number that ended for that reason."""

    number = session.call.caller.user
    found = eventually(
        lambda: [one for one in site.home.rows(number=number) if one["reason"] == reason], "it is filed", timeout_s=8
    )
    return found[0]
