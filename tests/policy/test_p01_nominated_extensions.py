"""P1: all calls received from or made to nominated extensions are recorded, and no others.

Walked: a call to a nominated extension, one from a nominated extension and one between others go on at the same time;
the first two are recorded; the third is passed on without notice, shown to nobody, and leaves nothing behind. Who sees
which live call is that of the table in docs/permissions.md.
"""

from tests.helpers.exactness import heard_frames
from tests.helpers.policy_site import PolicySite
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import State
from tests.helpers.voices import FRAME


def test_calls_in_either_direction_are_recorded_and_others_are_passed_on(site: PolicySite) -> None:
    dora, olive = site["dora"], site["olive"]
    before = site.kept()
    inward, talk = site.talk("2001")
    outward, made = site.talk("01632961001", from_number="2002")
    other = site.lines.call("4711")
    other.begin()
    called = other.wait_second()
    called.wait_for(lambda call: call.state is State.CONFIRMED)
    other.right.talk(called.remote_media)
    eventually(lambda: len(heard_frames(other.left, other.right)) > 25, "they talk")

    shown = {one["id"]: one for one in dora.json("calls")}
    assert {one: (row["extension"], row["state"]) for one, row in shown.items()} == {
        inward: ("2001", "recording"), outward: ("2002", "recording"),
    }  # fmt: skip
    assert {one["id"]: one.get("caller") for one in olive.json("calls")} == {inward: talk.number, outward: None}
    assert site["bea"].json("calls") == [], "another team's"
    assert "does not allow you to see live calls" in site["elma"].is_refused("calls"), "an elected member sees none"
    talk.talk_for(0.5)
    for one in (talk, made, other):
        one.first.hang_up()
        one.first.wait_ended()

    rows = {one: site.row(one) for one in (inward, outward)}
    assert {one: (row["direction"], row["outcome"]) for one, row in rows.items()} == {
        inward: ("inbound", "recorded"), outward: ("outbound", "recorded"),
    }  # fmt: skip
    assert dora.json("find", "--number-file", site.file("other", other.number)) == []
    assert site.kept() - before == {inward, outward}, "nothing of the third"
    other.right.hush()
    heard = other.left.heard_audio()  # before it is counted what was said: the last packet may be on its way
    said = {other.right.stream[tick : tick + FRAME] for tick, _ in list(other.right.sent)}
    assert len(heard) > 25
    assert [one for one in heard if one.packet.payload not in said] == [], "without a notice"
