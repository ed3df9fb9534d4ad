"""P11: ICT may access recordings to maintain the system.

Walked: ICT verifies recordings and sees numbers masked; it asks for nothing, exports nothing and hears one recording by
break-glass, the next once half an hour has passed (commands are told that it has) and the data protection officer has
acknowledged the last; a shorter period takes the data protection officer; the role ICT takes a second person.
"""

from datetime import timedelta

from recorder.rules.requesting import BREAK_GLASS_FOR
from tests.helpers.due_home import is_there
from tests.helpers.policy_site import PolicySite

WHY = ("--reason", "no sound since the upgrade")


def test_ict_maintains_and_does_not_listen(site: PolicySite) -> None:
    call, other = site.finished_call(), site.finished_call()
    ida, dora, founder = site["ida"], site["dora"], site.founder

    (verified,) = site.nobody.json("verify", call["id"])
    assert verified["ok"]
    assert ida.json("show", call["id"])["caller"] == f"{'*' * (len(call['caller']) - 3)}{call['caller'][-3:]}"
    assert "role" in ida.is_refused("requests", "ask", call["id"], "--category", "quality", *WHY)
    copy = site.folder / "ict.wav"
    assert "role" in ida.is_refused("export", call["id"], "-o", str(copy), *WHY)
    assert not copy.exists()

    assert "reason" in ida.is_refused("play", call["id"])
    ida.does("play", call["id"], *WHY)
    assert "Only one recording at a time" in ida.is_refused("play", other["id"], *WHY)
    assert "role" in ida.is_refused("export", call["id"], "-o", str(copy), *WHY), "not by break-glass either"
    (emergency,) = dora.json("requests", "emergencies")
    assert (emergency["account"], emergency["recording"]) == ("ida", call["id"])
    with site.later(BREAK_GLASS_FOR + timedelta(seconds=1)):
        assert "not acknowledged yet" in ida.is_refused("play", other["id"], *WHY)
        assert "role" in ida.is_refused("requests", "acknowledge", emergency["id"])
        dora.does("requests", "acknowledge", emergency["id"])
        ida.does("play", other["id"], *WHY)

    assert "proposed" in founder.does("users", "grant", "elma", "--role", "ict", *WHY)
    (proposal,) = dora.json("users", "proposals")
    assert "somebody else has to decide" in founder.is_refused("users", "confirm", proposal["id"])
    dora.does("users", "decline", proposal["id"])


def test_a_shorter_period_takes_the_data_protection_officer(site: PolicySite) -> None:
    ida, dora = site["ida"], site["dora"]
    before = site.home.config.read_text()
    site.edit_block('name = "Benefits"', 'retention_days = "off"', "retention_days = 60")
    try:
        due = site.old_recording(61, service="Benefits")
        ida.does("retention", "run")
        assert is_there(site.home, due), "60 days are configured, and 90 in force"
        assert "role" in ida.is_refused("retention", "confirm-shorter")
        assert [(one["before"], one["days"]) for one in dora.json("retention", "confirm-shorter")] == [(90, 60)]
        ida.does("retention", "run")
        assert not is_there(site.home, due)
    finally:
        site.home.config.write_text(before)
