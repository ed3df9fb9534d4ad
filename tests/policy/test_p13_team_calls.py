"""P13: a head of service or service manager may ask to hear calls of their team.

Walked: a manager asks for a call of their team and not for another team's; once the phone has moved to the other team
the call is still that of the team of its day.
"""

from tests.helpers.policy_site import PolicySite

WHY = ("--category", "complaint", "--reason", "complaint 21 about the tone")


def test_a_manager_asks_for_calls_of_their_team_at_the_time(site: PolicySite) -> None:
    ours, theirs = site.finished_call("2002")["id"], site.finished_call("2003")["id"]
    mary, hugo, lena = site["mary"], site["hugo"], site["lena"]

    found = {row["id"] for row in mary.json("find")}
    assert (ours in found, theirs in found) == (True, False)
    assert "that you may ask for" in mary.is_refused("requests", "ask", theirs, *WHY)
    assert "that you may ask for" in hugo.is_refused("requests", "ask", ours, *WHY)
    request = mary.json("requests", "ask", ours, *WHY)

    before = site.home.config.read_text()
    site.edit_block('number = "2002"', 'team = "Revenues"', 'team = "Benefits"')
    try:
        site.nobody.does("reload")
        lena.does("requests", "grant", request["id"])
        mary.does("play", ours)
        assert "no such recording" in hugo.is_refused("show", ours), "it was not their team's at the time"
    finally:
        site.home.config.write_text(before)
        site.nobody.does("reload")
