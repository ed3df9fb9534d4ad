"""P24: the policy is monitored by the data protection officer and reviewed every three years.

Walked: the data protection officer reads pauses by officer, the audit log and the page *Overview*, with the figures of
the week and the day of the policy's next review (three years after `[site] policy_reviewed_on`); an officer reads none
of them.
"""

import re

import httpx2

from tests.helpers.policy_site import PolicySite


def figures(page: str) -> dict[str, str]:
    """Return the figures of the week on a page, each by its words."""
    return dict(re.findall(r"<th scope=\"row\">([^<]+)</th><td>([^<]+)</td>", page))


def test_the_dpo_sees_how_the_policy_is_kept(site: PolicySite, console: str) -> None:
    dora, olive = site["dora"], site["olive"]
    call, talk = site.talk("2003")
    talk.talk_for(0.5)
    site["bea"].does("pause", "--call", call)
    talk.hang_up()

    officers = {one["operator"]: one for one in dora.json("report", "pauses")["officers"]}
    assert officers["Bea Benn"]["pauses"] >= 1
    assert "role" in olive.is_refused("report", "pauses")
    assert [one["actor"] for one in dora.json("audit", "show", "--act", "call.pause", "--subject", call)] == ["bea"]
    refused = dora.json("audit", "show", "--act", "report.view.refused")
    assert refused[0]["actor"] == "olive"
    assert "role" in olive.is_refused("audit", "show")

    with site.browser(console, "olive") as browser:
        assert "This week against last week" not in browser.get("/overview").text
        assert browser.submit("/overview").status_code == httpx2.codes.FORBIDDEN
    with site.browser(console, "dora") as browser:
        page = browser.get("/overview").text
        assert "1 June 2029" in page
        week = figures(browser.submit("/overview").text)
    assert all(int(week[one]) > 0 for one in ("Calls recorded", "Pauses", "Access refused"))
    assert {"Calls not recorded", "Calls opted out", "Holds due for review", "Records deleted"} <= set(week)
    assert week["Next review of the policy"] == "1 June 2029"
