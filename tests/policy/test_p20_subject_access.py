"""P20: data subjects may hear or have copies of their own calls through the Subject Access Request procedure.

Walked: a request by telephone is opened with a number, which holds the call at once, beyond its retention; it is due in
a calendar month; somebody else decides; the handler copies, hands over and closes, and the hold outlasts that. What is
wide is counted before anything is held.
"""

from tests.helpers.policy_site import PolicySite

OPEN = ("sar", "open", "--requester", "J. Doe", "--form", "by telephone", "--text", "about council tax")


def test_a_request_from_its_opening_to_the_copy(site: PolicySite) -> None:
    row = site.finished_call()
    call, number = row["id"], site.file("subject", row["caller"])
    lena, dora, olive = site["lena"], site["dora"], site["olive"]

    assert "role" in olive.is_refused(*OPEN, "--number-file", number)
    wide = lena.is_refused(*OPEN, "--from", site.today.isoformat())
    assert "recordings fit this search, which is wider than a number" in wide
    assert dora.json("show", call)["holds"] == [], "counted, and nothing is held"
    case = lena.json(*OPEN, "--number-file", number, "--on", "2026-11-02")
    assert (case["entries"][0]["details"]["found"], case["due_on"]) == (1, "2026-12-02")
    assert dora.json("show", call)["holds"] == ["sar"]

    lena.does("sar", "identity-checked", case["id"], "--reason", "date of birth", "--on", "2026-11-02")
    assert [one["id"] for one in lena.json("sar", "search", case["id"], "--number-file", number)] == [call]
    assert lena.json("sar", "match", case["id"], call)["recordings"] == [call]
    assert "opened a case may not decide" in lena.is_refused("sar", "decide", case["id"], "disclose")
    dora.does("sar", "decide", case["id"], "disclose")

    answer = site.folder / "answer.wav"
    export = ("export", call, "-o", str(answer), "--ground", "sar", "--for", "J. Doe", "--reason", case["id"])
    assert "You need permission to" in olive.is_refused(*export)
    lena.does(*export)
    lena.does("sar", "handed-over", case["id"], "--reason", "by recorded post")
    lena.does("sar", "closed", case["id"])
    assert dora.json("show", call)["holds"] == ["sar"], "until the time to complain is over"
    assert [one["step"] for one in lena.json("sar", "show", case["id"])["entries"]] == [
        "opened", "identity_checked", "searched", "matched", "decided", "handed_over", "closed",
    ]  # fmt: skip
