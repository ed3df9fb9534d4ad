"""P8: recordings serve as an exact record, also as evidence of crime.

Walked: the exported bytes are those of the line, both sides apart; `recorder recordings verify` proves the recording
and finds one changed byte; a disclosure to the police is a case with a legal ground, which the data protection
officer decides, with a chain of custody that is proven.
"""

from tests.helpers.exactness import kept_of
from tests.helpers.policy_site import PolicySite
from tests.helpers.wave_file import wave_channels

OPEN = ("sar", "open", "--disclosure", "crime", "--requester", "PC 1234", "--form", "letter", "--text", "threats")


def test_a_recording_is_exact_proven_and_disclosed_as_a_case(site: PolicySite) -> None:
    lena, dora, olive = site["lena"], site["dora"], site["olive"]
    call, talk = site.talk("2001")
    talk.talk_for(1.0)
    talk.hang_up()
    assert site.nobody.json("verify", call)[0]["ok"]
    path = site.home.root / "recordings" / lena.json("show", call)["path"]
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    assert site.nobody.run("verify", call).returncode == 1
    path.write_bytes(whole)
    site.nobody.does("verify", call)

    assert "role" in olive.is_refused(*OPEN, "--extension", "2001")
    number = ("--number-file", site.file("number", talk.number))
    case = lena.json(*OPEN, *number)["id"]
    lena.does("sar", "search", case, *number)
    lena.does("sar", "match", case, call)
    assert "opened a case may not decide" in lena.is_refused("sar", "decide", case, "disclose", "--reason", "crime")
    dora.does("sar", "decide", case, "disclose", "--reason", "DPA 2018 schedule 2")
    copy = site.folder / "evidence.wav"
    lena.does("export", call, "-o", str(copy), "--format", "g711", "--ground", "disclosure", "--reason", case)
    left, right, _ = wave_channels(copy.read_bytes())
    for channel, voice in ((left, talk.left), (right, talk.right)):
        assert len(kept_of(channel, voice).spans) == 1, "every byte as it was said, and none is missing"

    custody = lena.json("sar", "custody", case, "--file", str(copy))
    assert custody["is_proven"]
    assert dora.json("show", call)["holds"] == ["disclosure"]
