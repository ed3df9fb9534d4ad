"""P6: the caller may choose to hear a second message about how data is used.

Walked: the key 1 during the notice plays it before the officer is connected; later the call's officer has it played,
and an officer of another team does not; whether it was asked for is kept with each call.
"""

from collections.abc import Iterator

import pytest

from tests.helpers.policy_site import PolicySite
from tests.helpers.recorder_home import SECOND_HZ, SECOND_S, eventually, tone_file
from tests.helpers.sip_peer import Answer


def test_a_caller_asks_for_the_second_message(site: PolicySite) -> None:
    olive, bea = site["olive"], site["bea"]
    keyed = site.lines.call("2001", answer=Answer(after_s=4.0))
    keyed.begin()
    keyed.left.press("1")
    call = keyed.join()
    keyed.talk_for(0.3)
    keyed.hang_up()
    assert olive.json("show", call)["notice"]["second_message"] is True

    plain, talk = site.talk("2001")
    talk.talk_for(0.3)
    assert "No call" in bea.is_refused("second-message", "--call", plain)
    olive.does("second-message", "--extension", "2001")
    ended = eventually(
        lambda: site.entries(plain, "call.second_message.ended"), "the caller has heard the second message"
    )
    assert ended[0].details["complete"] is True
    (asked,) = [one for one in site.entries(plain) if one.act == "call.second_message"]
    assert asked.actor == "olive"
    talk.hang_up()
    assert olive.json("show", plain)["notice"]["second_message"] is True

    never, talk = site.talk("2001")
    talk.talk_for(0.3)
    talk.hang_up()
    assert olive.json("show", never)["notice"]["second_message"] is False


@pytest.fixture
def long_message(site: PolicySite) -> Iterator[None]:
    """Have the second message last a minute, and afterwards what it lasted before."""
    dora = site["dora"]
    dora.does("notice", "set", "second", str(tone_file(site.folder / "long.wav", SECOND_HZ, 60)))
    site.nobody.does("reload")
    yield
    dora.does("notice", "set", "second", str(tone_file(site.folder / "second.wav", SECOND_HZ, SECOND_S)))
    site.nobody.does("reload")


@pytest.mark.usefixtures("long_message")
def test_a_caller_who_hears_the_second_message_does_not_hear_another(site: PolicySite) -> None:
    olive = site["olive"]
    _, talk = site.talk("2001")
    olive.does("second-message", "--extension", "2001")
    assert "hearing the second message already" in olive.is_refused("second-message", "--extension", "2001")
    talk.hang_up()
