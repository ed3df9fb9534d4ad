"""P19: a recording may be kept as evidence under the unacceptable-behaviour procedure; several holds may stand.

Walked: a hold `evidence` and another stand on a recording that is 91 days old. While one of them stands it is not due;
once both are released it is, after 14 days more: what a sweep would do then is asked of one whose clock is ahead.
"""

from tests.helpers.due_home import is_there
from tests.helpers.policy_site import PolicySite

EVIDENCE = ("--kind", "evidence", "--case", "UB-3", "--reason", "threats against the officer")
TRAINING = ("--kind", "training", "--reason", "how to end such a call")


def test_all_holds_are_released_before_a_recording_goes(site: PolicySite) -> None:
    due = site.old_recording(91, service="Conduct")
    lena, olive, dora = site["lena"], site["olive"], site["dora"]

    def in_15_days() -> tuple[int, dict[str, int]]:
        line = site.plan("Conduct", in_days=15)
        return line["due"]["count"], line["held"]["kinds"]

    assert in_15_days() == (1, {})
    assert "role" in olive.is_refused("hold", "add", due, *EVIDENCE)
    assert "reference" in lena.is_refused("hold", "add", due, "--kind", "evidence", "--reason", "threats")
    first = lena.json("hold", "add", due, *EVIDENCE)["id"]
    second = lena.json("hold", "add", due, *TRAINING)["id"]
    assert dora.json("show", due)["holds"] == ["evidence", "training"]
    assert in_15_days() == (0, {"evidence": 1, "training": 1})

    release = ("hold", "release", second, "--reason", "another example was found")
    assert "role" in olive.is_refused(*release)
    lena.does(*release)
    assert in_15_days() == (0, {"evidence": 1}), "one of them still stands"
    dora.does("hold", "release", first, "--reason", "the procedure is over")
    assert in_15_days() == (1, {})
    site["ida"].does("retention", "run")
    assert is_there(site.home, due), "not before the 14 days are over"
