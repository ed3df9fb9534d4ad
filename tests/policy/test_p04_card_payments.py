"""P4: a call in which the caller gives payment-card details is not recorded.

Walked: the officer pauses at the phone and resumes at the shell, the caller's digits pause by themselves, and an
officer who forgot has the span erased; nobody else resumes; nothing that was said in a pause is in the recording. Where
the service discards card calls the officer's pause destroys the recording, and a colleague's only pauses it.
"""

from collections.abc import Iterator

import pytest

from recorder.permissions import Role
from tests.helpers.exactness import SILENT_ALAW, kept_of
from tests.helpers.policy_site import PolicySite
from tests.helpers.recorder_home import eventually
from tests.helpers.voices import TICKS_PER_S


@pytest.mark.usefixtures("console")
def test_what_is_said_while_paused_is_not_recorded(site: PolicySite) -> None:
    olive, otto, hugo, mary = (site[name] for name in ("olive", "otto", "hugo", "mary"))
    call, talk = site.talk("2001")

    def state() -> tuple[str, tuple[str, ...]]:
        (shown,) = [one for one in olive.json("calls") if one["id"] == call]
        return shown["state"], tuple(shown["reasons"])

    talk.talk_for(0.6)
    talk.right.press("*1")
    eventually(lambda: state() == ("paused", ("agent",)), "the officer's keys pause")
    secret = site.saying(talk.left)
    assert "needs a person" in site.nobody.is_refused("resume", "--call", call, code=2)
    assert "not your call" in otto.is_refused("resume", "--call", call)
    assert "in progress" in hugo.is_refused("resume", "--call", call)
    assert olive.json("resume", "--extension", "2001")[0]["state"] == "recording"

    talk.talk_for(0.5)
    talk.left.press("4929")
    eventually(lambda: state() == ("paused", ("card_digits",)), "the caller's digits pause")
    digits = site.saying(talk.left)
    assert mary.json("resume", "--call", call)["state"] == "recording"
    talk.talk_for(1.0)
    order = olive.json("forgot", "--call", call, "--seconds", "0.5")
    assert (order["state"], order["erasure"]["state"]) == ("paused", "confirmed")
    olive.does("resume", "--call", call)
    talk.talk_for(0.5)
    talk.hang_up()

    assert [one["reason"] for one in olive.json("show", call)["segments"] if one["kind"] == "paused"] == [
        "agent", "card_digits", "agent",
    ]  # fmt: skip
    eventually(lambda: olive.json("show", call)["erasures"][0]["state"] == "done", "what was forgotten is erased")
    channel = site.home.copy(call)[0]
    left = kept_of(channel, talk.left)
    assert [left.bytes_between(*span) for span in (secret, digits)] == [0, 0]
    forgotten = slice(*(round(order["erasure"][edge] * TICKS_PER_S) for edge in ("start_s", "end_s")))
    assert set(channel[forgotten]) == {SILENT_ALAW}


@pytest.fixture
def discards(site: PolicySite) -> Iterator[None]:
    """Have the service Benefits discard card calls, and pause them again afterwards."""
    before = site.home.config.read_text()
    site.edit_block('name = "Benefits"', 'card_payment = "pause"', 'card_payment = "discard"')
    site.nobody.does("reload")
    yield
    site.home.config.write_text(before)
    site.nobody.does("reload")


@pytest.mark.usefixtures("discards")
def test_a_service_may_have_card_calls_discarded(site: PolicySite) -> None:
    bea, hugo, olive = site["bea"], site["hugo"], site["olive"]
    call, talk = site.talk("2003")
    talk.talk_for(0.5)
    assert "in progress" in olive.is_refused("pause", "--call", call)
    ben = site.join("ben", Role.OFFICER, "Benefits")
    assert ben.json("pause", "--call", call)["state"] == "paused", "a colleague's pause destroys nothing"
    hugo.does("resume", "--call", call)
    assert bea.json("pause", "--call", call)["state"] == "discarded"
    row = talk.hang_up()
    assert (row["outcome"], row["reason"], row["path"]) == ("blocked", "discarded", None)
    assert call not in site.kept()
