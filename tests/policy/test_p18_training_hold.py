"""P18: a recording may be kept longer because management found it valuable for staff training, while useful.

Walked: a manager of the call's team places a hold `training`, which has a day of review; an officer and a manager of
another team place none; the owner finds it when its day has come (the row of the hold is put back in time).
"""

from datetime import timedelta

from tests.helpers.policy_site import PolicySite

HOLD = ("--kind", "training", "--reason", "how to calm a caller")


def test_a_manager_keeps_a_recording_for_training(site: PolicySite) -> None:
    call = site.finished_call("2002")["id"]
    mary, hugo, otto = site["mary"], site["hugo"], site["otto"]
    in_a_week = (site.today + timedelta(days=7)).isoformat()

    assert "role" in otto.is_refused("hold", "add", call, *HOLD)
    assert "no such recording" in hugo.is_refused("hold", "add", call, *HOLD)
    assert "future" in mary.is_refused("hold", "add", call, *HOLD, "--review", site.today.isoformat())
    assert mary.json("hold", "add", call, *HOLD)["review_on"] > in_a_week, "nobody has to think of a day"
    placed = mary.json("hold", "add", call, *HOLD, "--review", in_a_week)
    assert (placed["kind"], placed["owner"], placed["placed_by"]) == ("training", "mary", "mary")
    assert mary.json("show", call)["holds"] == ["training"]

    assert placed["id"] not in [one["id"] for one in mary.json("hold", "list", "--due")]
    site.bring_review_forward(placed["id"])
    assert placed["id"] in [one["id"] for one in mary.json("hold", "list", "--due")]
    assert mary.json("hold", "release", placed["id"], "--reason", "the course is over")["state"] == "grace"
