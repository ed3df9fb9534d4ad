"""P10: the reasons for access are chiefly checking accuracy, answering complaints and training.

Walked: a request without a category, with one that is none, or without words is refused; with both it is made, and the
reason is kept where the data protection officer reads it.
"""

from tests.helpers.policy_site import PolicySite


def test_every_request_says_for_what_and_why(site: PolicySite) -> None:
    call, mary = site.finished_call()["id"], site["mary"]
    ask = ("requests", "ask", call)
    before = mary.json("requests", "list")
    assert "category" in mary.is_refused(*ask, "--reason", "the caller complained", code=2)
    assert "category" in mary.is_refused(*ask, "--category", "curiosity", "--reason", "I wonder", code=2)
    assert "reason" in mary.is_refused(*ask, "--category", "complaint")
    assert "reason" in mary.is_refused(*ask, "--category", "complaint", "--reason", "  ")
    assert mary.json("requests", "list") == before

    words = {}
    for category in ("accuracy", "complaint", "training"):
        made = mary.json(*ask, "--category", category, "--reason", f"to check: {category} 17")
        words[made["id"]] = (category, f"to check: {category} 17")
    listed = site["lena"].json("requests", "list", "--waiting")
    assert {one["id"]: (one["category"], one["reason"]) for one in listed if one["id"] in words} == words
    entries = site["dora"].json("audit", "show", "--act", "request.ask", "--actor", "mary", "--texts")
    assert {one["free_text"] for one in entries} >= {reason for _, reason in words.values()}
    for request in words:
        mary.does("requests", "withdraw", request)
