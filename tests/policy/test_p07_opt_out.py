"""P7: a caller may ask not to be recorded; a manager decides once they judge that recording could cause distress.

Walked: the call's officer raises it; officers, managers of other teams and one who states only half do not grant it; a
manager of the team declines one and grants another, with both statements and a reason; nobody takes that back.
"""

from tests.helpers.exactness import kept_of
from tests.helpers.policy_site import PolicySite

WHY = ("--reason", "the caller is very upset")
BOTH = ("--caller-asked", "--distress-judged")


def test_a_manager_of_the_team_stops_the_recording_for_good(site: PolicySite) -> None:
    olive, otto, mary, hugo, ida = (site[name] for name in ("olive", "otto", "mary", "hugo", "ida"))
    call, talk = site.talk("2001")
    talk.talk_for(0.6)
    assert "not your call" in otto.is_refused("opt-outs", "raise", "--call", call)
    first = olive.json("opt-outs", "raise", "--call", call, "--reason", "she says so")["id"]
    assert [one["id"] for one in mary.json("opt-outs", "list")] == [first]
    assert mary.json("opt-outs", "decline", first, "--reason", "she agreed to go on")["state"] == "declined"

    request = olive.json("opt-outs", "raise", "--call", call)["id"]
    grant = ("opt-outs", "grant", request, *WHY)
    assert "role" in olive.is_refused(*grant, *BOTH)
    assert "no such request" in hugo.is_refused(*grant, *BOTH)
    assert "role" in ida.is_refused(*grant, *BOTH)
    assert "state both" in mary.is_refused(*grant, "--caller-asked")
    assert "Enter a reason" in mary.is_refused("opt-outs", "grant", request, *BOTH)
    assert mary.json(*grant, *BOTH)["state"] == "opted_out"

    after = site.saying(talk.left)
    assert "ended for good" in mary.is_refused("resume", "--call", call)
    talk.hang_up()
    assert olive.json("show", call)["segments"][-1]["kind"] == "opted_out"
    assert kept_of(site.home.copy(call)[0], talk.left).bytes_between(*after) == 0
    (entry,) = site.entries(call, "opt_out.granted")
    assert (entry.actor, entry.details["caller_asked"], entry.details["distress_judged"]) == ("mary", True, True)
