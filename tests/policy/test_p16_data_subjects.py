"""P16: recordings are personal data of caller and operator, and data subjects' rights are met.

Walked: the call is found by number, day and operator; a restriction blocks its use for whoever had leave, and not the
next one's; hold, erasure and objection are decisions of their own, by the data protection officer and not by whoever
wrote them down.
"""

from tests.helpers.policy_site import PolicySite

WHY = ("--reason", "that is not what I said")
ASKED = ("--requester", "J. Doe", *WHY)


def test_restriction_erasure_and_objection_are_decisions_of_their_own(site: PolicySite) -> None:
    row = site.finished_call()
    call, number = row["id"], site.file("subject", row["caller"])
    lena, dora, olive = site["lena"], site["dora"], site["olive"]

    day = site.day_of(row)
    search = ("find", "--number-file", number, "--from", day, "--to", day, "--operator", "Olive Officer")
    assert [one["id"] for one in lena.json(*search)] == [call]
    request = olive.json("requests", "ask", call, "--category", "accuracy", "--reason", "to check")
    lena.does("requests", "grant", request["id"])

    ask = ("rights", "ask", call, "--right")
    assert "role" in olive.is_refused(*ask, "restriction", "--ground", "accuracy", *ASKED)
    claim = lena.json(*ask, "restriction", "--ground", "accuracy", *ASKED)
    assert "restricted" in olive.is_refused("play", call)
    assert "role" in lena.is_refused("rights", "uphold", claim["id"], *WHY)
    assert dora.json("rights", "uphold", claim["id"], *WHY)["decided_by"] == "dora"
    assert dora.json("show", call)["holds"] == ["restriction"]

    erasure = lena.json(*ask, "erasure", "--ground", "no_longer_needed", *ASKED)
    declined = dora.json("rights", "decline", erasure["id"], "--ground", "public_task", *WHY)
    objection = lena.json(*ask, "objection", "--ground", "own_situation", *ASKED)
    dora.json("rights", "decline", objection["id"], "--ground", "overriding", *WHY)
    dora.does("rights", "lift", claim["id"], *WHY)
    assert declined["state"] == "declined"
    olive.does("play", call)
    states = {one["right"]: one["state"] for one in dora.json("rights", "list", "--all") if one["recording"] == call}
    assert states == {"restriction": "lifted", "erasure": "declined", "objection": "declined"}
