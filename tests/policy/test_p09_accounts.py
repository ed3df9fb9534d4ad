"""P9: only officers with authority access calls, each by a secure password of their own, audited and traceable.

Walked: an administrator makes an account, weak passwords are refused, wrong ones lock the account, nobody without an
account searches, every search has a name, and the audit log is read by the data protection officer alone.
"""

from tests.helpers.accounts import PASSWORD
from tests.helpers.policy_site import PolicySite


def test_who_may_has_a_password_of_their_own_and_leaves_a_trace(site: PolicySite) -> None:
    founder, dora, nobody = site.founder, site["dora"], site.nobody
    number = site.file("number", site.finished_call()["caller"])
    good, short, common, wrong = (
        site.file(name, words)
        for name, words in (
            ("good", PASSWORD), ("short", "apple"), ("common", "Password2026!!"), ("wrong", "violet otter lamp"),
        )
    )  # fmt: skip

    account = ("users", "add", "newton", "--role", "officer", "--display-name", "Newton North", "--new-password-file")
    assert "at least 12 characters" in founder.is_refused(*account, short)
    assert "too easy to guess" in founder.is_refused(*account, common)
    assert "role" in site["mary"].is_refused(*account, good)
    founder.does(*account, good)

    assert "needs a person" in nobody.is_refused("find", "--number-file", number, code=2)
    login = ("login", "--as", "newton", "--password-file")
    token = nobody.run(*login, good).stdout.strip()
    assert nobody.run("find", "--json", token=token).returncode == 0
    for _ in range(5):
        assert "wrong" in nobody.is_refused(*login, wrong)
    assert "5 wrong attempts" in nobody.is_refused(*login, good), "locked: the right password does not open it now"

    assert len(dora.json("find", "--number-file", number)) == 1
    assert "role" in site["ida"].is_refused("audit", "show")
    acts = [(one["act"], one["details"].get("why")) for one in dora.json("audit", "show", "--actor", "newton")]
    assert acts == [
        ("people.sign_in_refused", "locked"), *[("people.sign_in_refused", "wrong_password")] * 5,
        ("recording.search", None), ("people.sign_in", None),
    ]  # fmt: skip
    assert dora.json("audit", "show", "--act", "recording.search", "--actor", "dora")[0]["details"]["by"] == ["number"]
    nobody.does("audit", "verify")
