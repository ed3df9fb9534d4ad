"""P14: requests go in writing to the team leader, and in their absence to the data protection officer.

Walked: the data protection officer decides only while the team leader is marked absent; nobody decides on a request of
their own; the data protection officer's goes to the deputy, whom two others name; a grant has an end and a scope.
"""

from collections.abc import Iterator
from datetime import date

import pytest

from tests.helpers.policy_site import PolicySite

WHY = ("--category", "accuracy", "--reason", "what was agreed on the instalments")


@pytest.fixture
def site_of_today(site: PolicySite) -> Iterator[PolicySite]:
    """The site, with the team leader there and without a deputy again when the walk ends."""
    yield site
    site["dora"].does("requests", "back", "lena")
    site.founder.does("requests", "deputy")


def test_requests_go_to_the_team_leader_then_to_the_dpo_and_never_to_oneself(site_of_today: PolicySite) -> None:
    site = site_of_today
    call = site.finished_call()["id"]
    olive, lena, dora, mary = site["olive"], site["lena"], site["dora"], site["mary"]

    request = olive.json("requests", "ask", call, *WHY)["id"]
    assert request in [one["id"] for one in lena.json("requests", "list", "--waiting")]
    assert "Only lena can decide" in dora.is_refused("requests", "grant", request)
    assert "role" in mary.is_refused("requests", "grant", request)
    dora.does("requests", "absent", "lena")
    granted = dora.json("requests", "grant", request, "--days", "3")
    assert (granted["state"], granted["decided_by"], granted["leave"]) == ("granted", "dora", "listen")
    assert 2 <= (date.fromisoformat(granted["until"][:10]) - site.today).days <= 4
    copy = str(site.folder / "p14.wav")
    assert "You need permission to" in olive.is_refused("export", call, "-o", copy, "--reason", "for my file")
    dora.does("requests", "back", "lena")

    own = lena.json("requests", "ask", call, *WHY)["id"]
    assert "You cannot decide your own" in lena.is_refused("requests", "grant", own)
    assert dora.json("requests", "decline", own, "--reason", "the note is enough")["state"] == "declined"

    assert "Nobody may decide" in dora.is_refused("requests", "ask", call, *WHY)
    name = ("requests", "deputy", "mary", "--reason", "stands in while dora is away")
    assert "does not allow" in dora.is_refused(*name), "the deputy decides on her requests"
    proposal = site.founder.does(*name).rpartition(" ")[2].strip("`")
    assert "two other people must choose" in dora.is_refused("users", "confirm", proposal)
    lena.does("users", "confirm", proposal)
    own = dora.json("requests", "ask", call, *WHY)["id"]
    assert "You cannot decide your own" in dora.is_refused("requests", "grant", own)
    assert "Only mary can decide" in lena.is_refused("requests", "grant", own)
    assert mary.json("requests", "grant", own)["decided_by"] == "mary"
