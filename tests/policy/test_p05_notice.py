"""P5: every caller is told, with the reasons, before the conversation opens, by a recorded message.

Walked: the officer's phone does not ring before the notice has been heard in full; which notice, from when to when, is
kept with the call; who hangs up during it reaches nobody and is not recorded; an officer may not change the notice,
hears it in the console, and acknowledges there that officers are told too. The second notice is a minute long, so that
nothing hurries.
"""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.helpers.policy_site import PolicySite
from tests.helpers.recorder_home import NOTICE_HZ, NOTICE_S, tone_file


@pytest.fixture
def notice_of_before(site: PolicySite) -> Iterator[None]:
    """Have the notice of before be played again to the callers of other walks."""
    yield
    site["dora"].does("notice", "set", "first", str(tone_file(site.folder / "notice.wav", NOTICE_HZ, NOTICE_S)))
    site.nobody.does("reload")


@pytest.mark.usefixtures("notice_of_before")
def test_the_notice_is_heard_before_an_officer_is_reached(site: PolicySite, console: str) -> None:
    olive, dora = site["olive"], site["dora"]
    call, talk = site.talk("2001")
    talk.talk_for(0.3)
    row = talk.hang_up()
    notice = olive.json("show", call)["notice"]
    assert (notice["complete"], notice["proof"], notice["sha256"] in site.notices()) == (True, "heard", True)
    assert notice["started_at"] < notice["ended_at"] <= row["started_at"]

    sound = tone_file(site.folder / "longer.wav", NOTICE_HZ, 60)
    assert "role" in olive.is_refused("notice", "set", "first", str(sound))
    dora.does("notice", "set", "first", str(sound))
    site.nobody.does("reload")
    talk = site.lines.call("2001")
    talk.begin()
    assert talk.wait_phase("notice")["is_recorded"] is False
    assert talk.second is None, "the officer's phone does not ring while it plays"
    row = talk.hang_up()
    assert (row["outcome"], row["path"], row["notice"]["complete"]) == ("no_conversation", None, False)
    assert row["notice"]["sha256"] != notice["sha256"]
    assert talk.second is None

    def told_on() -> Any:
        (account,) = [one for one in site.founder.json("users", "list") if one["name"] == "olive"]
        return account["told_on"]

    assert told_on() is None
    days = [site.today.isoformat()]
    with site.browser(console, "olive") as browser:
        assert "I have been told" in browser.get("/agent").text
        assert "In force before" in browser.get("/notices").text
        assert browser.get("/notices/first/1/audio").headers["Content-Type"] == "audio/wav"
        assert browser.submit("/agent/told").status_code == httpx2.codes.OK
    assert told_on() in [*days, site.today.isoformat()]
    assert [one.actor for one in site.entries("olive", "people.told_of_recording")] == ["olive"]
