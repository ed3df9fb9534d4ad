"""P17: a recording may be kept longer for a complaint, until the procedure, appeal and any tribunal end.

Walked: on a recording that is 91 days old - its row says so, the clock is not touched - a hold with case reference,
owner and review date beats the sweep; an officer places none, the person complained about does not release it, and
it is kept for 14 days after its release: what a sweep would do then is asked of one whose clock is ahead.
"""

from datetime import timedelta

from tests.helpers.due_home import is_there
from tests.helpers.policy_site import PolicySite

WHY = ("--reason", "complaint about the tone")


def test_a_complaint_keeps_a_recording_from_the_sweep(site: PolicySite) -> None:
    due = site.old_recording(91, service="Complaints", team="Revenues")
    lena, olive, dora, ida = site["lena"], site["olive"], site["dora"], site["ida"]
    hold = ("hold", "add", due, "--kind", "complaint")
    review = (site.today + timedelta(days=60)).isoformat()

    assert "role" in olive.is_refused(*hold, "--case", "C-17", *WHY)
    assert "reference" in lena.is_refused(*hold, *WHY)
    placed = lena.json(*hold, "--case", "C-17", *WHY, "--owner", "dora", "--review", review, "--against", "mary")
    assert (placed["case_reference"], placed["owner"], placed["review_on"]) == ("C-17", "dora", review)

    ida.does("retention", "run")
    assert is_there(site.home, due)
    assert dora.json("show", due)["holds"] == ["complaint"]
    later = (site.today + timedelta(days=120)).isoformat()
    assert dora.json("hold", "review", placed["id"], "--review", later, "--reason", "appeal")["review_on"] == later

    release = ("hold", "release", placed["id"], "--reason", "the appeal has ended")
    assert "about you" in site["mary"].is_refused(*release)
    assert dora.json(*release)["state"] == "grace"
    ida.does("retention", "run")
    assert is_there(site.home, due)
    assert site.plan("Complaints", in_days=13)["held"]["kinds"] == {"complaint": 1}
    assert site.plan("Complaints", in_days=15)["due"]["count"] == 1
