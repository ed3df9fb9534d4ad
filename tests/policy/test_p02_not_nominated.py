"""P2: other officers' calls are not recorded now, but may be in a later extension of the system.

Walked: a transfer to an officer who is not nominated ends the recording, which nobody resumes; one block of
configuration and `recorder reload` nominate that officer while the call goes on, and the next call is recorded.
"""

from collections.abc import Iterator

import pytest

from tests.helpers.policy_site import PolicySite
from tests.helpers.recorder_home import eventually
from tests.helpers.transfers import expect_newcomer, refer, wait_told

VERA = '\n[[extension]]\nnumber = "2009"\noperator = "Vera Vale"\nservice = "Benefits"\nteam = "Benefits"\n'


@pytest.fixture
def unchanged(site: PolicySite) -> Iterator[None]:
    """Bring the configuration of before into force again."""
    before = site.home.config.read_text()
    yield
    site.home.config.write_text(before)
    site.nobody.does("reload")


@pytest.mark.usefixtures("unchanged")
def test_a_transfer_ends_the_recording_until_the_officer_is_nominated(site: PolicySite) -> None:
    dora, olive = site["dora"], site["olive"]
    call, talk = site.talk("2001")
    talk.talk_for(0.6)
    vera = expect_newcomer(talk, "2009")
    leg = talk.wait_second()
    refer(leg, "2009")
    vera.join()
    wait_told(leg, 200)
    (shown,) = [one for one in dora.json("calls") if one["id"] == call]
    assert shown["state"] == "out_of_scope"
    assert "not your call" in olive.is_refused("resume", "--call", call)
    assert "whose calls are not recorded" in dora.is_refused("resume", "--call", call)

    site.home.config.write_text(site.home.config.read_text() + VERA)
    assert "extension" in site.nobody.does("reload")
    assert call in [one["id"] for one in dora.json("calls")], "no call was dropped"
    nominated, second = site.talk("2009")
    second.talk_for(0.3)
    assert second.hang_up()["operator"] == "Vera Vale"
    talk.hang_up()
    vera.voice.hush()

    segments = [(one["kind"], one["operator"]) for one in dora.json("show", call)["segments"]]
    assert segments == [("recording", "Olive Officer"), ("out_of_scope", "")]
    assert "no such recording" in site["bea"].is_refused("show", nominated), "of her team, and not her call"
    eventually(lambda: dora.json("show", nominated)["outcome"] == "recorded", "the next call is recorded")
