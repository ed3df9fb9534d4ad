"""P3: recordings are stored securely for 90 days and then deleted automatically.

Walked: what a caller said is nowhere in the recorder's folder in the clear; of two recordings whose rows say that they
are 89 and 91 days old the sweep deletes the second, its key included, and leaves a record without a number. The sweep
that the daemon makes by itself each day is the same one (`tests/integration/test_sweeping.py`). A manager does not
start it.
"""

from tests.helpers.due_home import is_there
from tests.helpers.policy_site import PolicySite
from tests.helpers.recorder_home import contents


def test_a_recording_is_sealed_and_goes_after_ninety_days(site: PolicySite) -> None:
    dora, ida, mary = site["dora"], site["ida"], site["mary"]
    call, talk = site.talk("2001")
    talk.talk_for(0.6)
    talk.hang_up()
    said = talk.left.stream[talk.left.sent[-10][0] :][:16]
    assert said in site.home.copy(call)[0]
    assert [path for path, content in contents(site.home.root) if said in content] == []

    by_class = {one["class"]: one for one in site.nobody.json("retention")["schedule"] if not one["service"]}
    assert (by_class["recordings"]["days"], by_class["recordings"]["owner"]) == (90, "dpo")
    young, due = site.old_recording(89), site.old_recording(91)
    caller = dora.json("show", due)["caller"]
    assert site.nobody.json("retention", "--dry-run")["stopped"] is None
    assert "role" in mary.is_refused("retention", "run")
    assert is_there(site.home, due)
    ida.does("retention", "run")
    assert (is_there(site.home, young), is_there(site.home, due)) == (True, False)

    assert "deleted" in dora.is_refused("show", due)
    assert dora.json("show", young)["outcome"] == "recorded"
    (entry,) = site.entries(due, "recording.deleted")
    assert caller not in str(entry)
    assert site.nobody.json("retention")["counts"]["recordings"] >= 1
