"""P12: an individual officer may ask to hear calls they took part in.

Walked: an officer finds and asks for their own call and for nobody else's, hears it once the team leader grants it,
and their colleague at the next phone neither finds it nor asks for it nor hears it.
"""

from tests.helpers.policy_site import PolicySite

WHY = ("--category", "training", "--reason", "how I explained the instalments")


def test_an_officer_asks_to_hear_a_call_of_their_own(site: PolicySite) -> None:
    call, colleagues = site.finished_call("2001")["id"], site.finished_call("2002")["id"]
    olive, otto, lena = site["olive"], site["otto"], site["lena"]

    found = [row["id"] for row in olive.json("find")]
    assert call in found
    assert colleagues not in found
    shown = olive.json("show", call)
    assert (shown["operator"], {one["kind"] for one in shown["segments"]}) == ("Olive Officer", {"recording"})

    assert "You need permission" in olive.is_refused("play", call)
    request = olive.json("requests", "ask", call, *WHY)
    assert request["state"] == "waiting"
    assert "that you may ask for" in olive.is_refused("requests", "ask", colleagues, *WHY)
    assert "that you may ask for" in otto.is_refused("requests", "ask", call, *WHY)
    assert "no such recording" in otto.is_refused("show", call)

    lena.does("requests", "grant", request["id"])
    assert "silent" not in olive.does("play", call), "all of the call is hers"
    assert site.heard.stat().st_size > 8000
    assert "no such recording" in otto.is_refused("play", call)
