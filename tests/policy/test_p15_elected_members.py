"""P15: elected members get access only to a call that is about them, or with the requestor's written authorisation.

Walked: a member finds nothing and is refused every other ground; with the authorisation's reference the request goes to
the team leader as any other.
"""

from tests.helpers.policy_site import PolicySite

WHY = ("--reason", "a resident asked me to look into this")


def test_a_member_needs_a_ground_and_its_reference(site: PolicySite) -> None:
    call = site.finished_call()["id"]
    elma, lena = site["elma"], site["lena"]
    ask = ("requests", "ask", call, *WHY)

    assert "role" in elma.is_refused("find")
    assert "no such recording" in elma.is_refused("show", call)
    for category in ("complaint", "training", "accuracy"):
        assert "member" in elma.is_refused(*ask, "--category", category, "--reference", "A-12")
    for category in ("about_me", "authorised"):
        assert "reference" in elma.is_refused(*ask, "--category", category)
    assert elma.json("requests", "list") == []

    request = elma.json(*ask, "--category", "authorised", "--reference", "A-12 of 3 November")
    assert (request["state"], request["reference"]) == ("waiting", "A-12 of 3 November")
    assert "no such recording" in elma.is_refused("play", call)
    lena.does("requests", "grant", request["id"])
    elma.does("play", call)
    officers = site["olive"].is_refused(*ask, "--category", "authorised", "--reference", "A-12")
    assert "Only elected members" in officers, "nobody else gets round their own rule by it"
