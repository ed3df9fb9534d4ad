"""P22: the requester's identity is reasonably confirmed; if in doubt the data protection officer decides.

Walked: a case whose identity is in doubt is not decided by the team leader, nor by the data protection officer who
opened it; another one decides, with a note on how privacy was balanced; in the copy the officer's words are silent, and
the recording is as it was.
"""

import math

import soundfile

from recorder.permissions import Role
from tests.helpers.policy_site import PolicySite

DOUBT = ("--reason", "the date of birth did not fit")
BALANCE = ("--balance", "the caller's own words only; the officer's are silenced")


def test_a_doubt_is_for_the_dpo_and_others_words_are_silenced_in_the_copy(site: PolicySite) -> None:
    row = site.finished_call()
    call, number = row["id"], site.file("doubted", row["caller"])
    lena, dora = site["lena"], site["dora"]
    dana = site.join("dana", Role.DPO)

    case = dora.json("sar", "open", "--requester", "J. Doe", "--form", "letter", "--number-file", number)["id"]
    lena.does("sar", "search", case, "--number-file", number)
    lena.does("sar", "match", case, call)
    lena.does("sar", "identity-doubted", case, *DOUBT)
    decide = ("sar", "decide", case, "partly", "--reason", "two people are heard")
    assert "The data protection officer decides" in lena.is_refused(*decide, *BALANCE)
    assert "opened a case may not decide" in dora.is_refused(*decide, *BALANCE)
    assert "balance" in dana.is_refused(*decide)
    dana.does(*decide, *BALANCE)

    copy = site.folder / "partly.wav"
    end_s = math.floor(100 * row["duration_s"]) / 100
    redacted = ("--redact", f"officer:0-{end_s}", "--redact-reason", "the officer's words")
    made = dora.json("export", call, "-o", str(copy), "--ground", "sar", "--reason", case, *redacted)
    assert made["sha256"]
    sound, _ = soundfile.read(copy)
    assert (bool(sound[:, 0].any()), bool(sound[:, 1].any())) == (True, False)
    assert site.nobody.json("verify", call)[0]["sha256"] == row["sha256"]
