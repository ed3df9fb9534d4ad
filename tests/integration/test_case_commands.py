"""`recorder claims`, `recorder cases transcript` and `recorder recordings export --case`."""

import json
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from recorder.permissions import Role
from storage.audit import AuditLog
from tests.helpers.export_shell import Shell
from tests.helpers.recorder_home import ADMIN, recorder_home

LEAD = "deputy"
"""A team leader, who is the deputy of the data protection officer too."""
WORDS = "My neighbour [[Mr Example]] said so"
VTT = f"WEBVTT\n\n00:00.000 --> 00:01.000\nGood morning\n\n00:01.000 --> 00:02.000\n{WORDS}\n"
WHY = ("--reason", "it was said by telephone")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("cases")
    with recorder_home(folder, is_started=False, next_hop="127.0.0.1:5099") as home:
        (out := folder / "out").mkdir()
        home.add_person(LEAD, Role.TEAM_LEADER)
        home.appoint_deputy(LEAD)
        yield Shell(home, out)


class Caseworker:
    """Somebody who gives commands."""

    def __init__(self, shell: Shell, name: str) -> None:
        self._shell = shell
        home = shell.home
        self._who = ("--as", name, "--password-file", str(home.password_file), "-C", str(home.root))

    def run(self, *words: str) -> Any:
        return self._shell.home.run(*words, *self._who)

    def document(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *words: str, code: int = 1) -> str:
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (code, ""), done.stdout + done.stderr
        return " ".join(done.stderr.split())


def acts(shell: Shell, prefix: str) -> list[tuple[str, str]]:
    log = AuditLog(shell.home.root / "audit").entries()
    return [(one.act, one.actor) for one in log if one.act.startswith(prefix)]


def test_a_restriction_from_the_request_to_its_lifting(shell: Shell) -> None:
    recording = shell.record("000001")
    lead, dpo = Caseworker(shell, LEAD), Caseworker(shell, ADMIN)
    asked = ("rights", "ask", recording, "--right", "restriction", "--requester", "J. Doe", *WHY)
    assert "Give the ground" in lead.refused(*asked)
    assert "role" in Caseworker(shell, "olive").refused(*asked, "--ground", "accuracy")
    claim = lead.document(*asked, "--ground", "accuracy", "--case", "C-1", "--on", "2026-11-02")
    assert (claim["recording"], claim["right"], claim["state"]) == (recording, "restriction", "asked")
    assert (claim["is_restricted"], claim["due_on"]) == (True, "2026-12-02")
    one = claim["id"]
    assert "restricted" in shell.fails(recording), "nobody copies it from the moment at which it was asked"
    assert [row["id"] for row in dpo.document("rights", "list")] == [one]
    assert "J. Doe" in lead.run("rights", "letter", one, "acknowledgement").stdout
    assert "You entered this request, so the deputy has to decide it" in lead.refused("rights", "uphold", one, *WHY)
    upheld = dpo.document("rights", "uphold", one, *WHY)
    assert (upheld["state"], upheld["decided_by"]) == ("upheld", ADMIN)
    letter = dpo.document("rights", "letter", one, "decision")
    assert (letter["about"], letter["letter"], "J. Doe" in letter["text"]) == (one, "decision", True)
    assert "Give the ground for using it" in dpo.refused("rights", "allow-use", one, "--days", "3", *WHY)
    allowed = dpo.run("rights", "allow-use", one, "--days", "3", "--ground", "consent", *WHY)
    assert (allowed.returncode, f"{recording} may be used until" in allowed.stderr) == (0, True)
    assert shell.made(recording, "-o", str(shell.folder / "allowed.wav"))["sha256"]
    lifted = dpo.run("rights", "lift", one, *WHY)
    assert (lifted.returncode, f"claim {one}: lifted" in lifted.stderr) == (0, True)
    assert "is not possible now" in dpo.refused("rights", "uphold", one, *WHY)
    assert dpo.document("rights", "list") == []
    assert [row["state"] for row in dpo.document("rights", "list", "--all")] == ["lifted"]
    first = [("claim.write.refused", "olive"), ("claim.asked", LEAD), ("claim.view", ADMIN)]
    assert acts(shell, "claim.")[:3] == first
    assert {"claim.upheld", "claim.use_allowed", "claim.lifted"} <= {act for act, _ in acts(shell, "claim.")}


@pytest.mark.parametrize(
    ("right", "ground", "refusal"),
    [("erasure", "unlawful", "public_task"), ("objection", "own_situation", "overriding")],
)
def test_what_is_declined_takes_a_ground_and_what_is_withdrawn_does_not(
    shell: Shell, right: str, ground: str, refusal: str
) -> None:
    recording = shell.record(f"00000{len(right)}")
    lead, dpo = Caseworker(shell, LEAD), Caseworker(shell, ADMIN)
    asked = ("rights", "ask", recording, "--right", right, "--ground", ground, "--requester", "J. Doe", *WHY)
    first, second = lead.document(*asked)["id"], lead.document(*asked)["id"]
    assert "Give the ground for declining" in dpo.refused("rights", "decline", first, *WHY)
    assert dpo.document("rights", "decline", first, "--ground", refusal, *WHY)["state"] == "declined"
    assert lead.document("rights", "withdraw", second, *WHY)["state"] == "withdrawn"
    assert shell.made(recording, "-o", str(shell.folder / f"{right}.wav"))["sha256"], "it may be used again"


def test_a_transcript_goes_into_the_package_of_its_case(shell: Shell) -> None:
    recording, other = shell.record("00000a"), shell.record("00000b")
    lead, dpo = Caseworker(shell, LEAD), Caseworker(shell, ADMIN)
    case = lead.document("sar", "open", "--requester", "J. Doe", "--form", "letter", "--text", "my call")["id"]
    assert lead.run("sar", "identity-checked", case, "--reason", "tax account").returncode == 0
    assert [row["id"] for row in lead.document("sar", "search", case, "--extension", "2001")].count(recording) == 1
    assert lead.document("sar", "match", case, recording)["recordings"] == [recording]
    assert "neither matched nor dismissed" in dpo.refused(
        "sar", "decide", case, "partly", "--reason", "a neighbour's name"
    )
    assert lead.document("sar", "dismiss", case, "--rest", "--reason", "another caller")["scope"]["undecided"] == []
    assert dpo.run("sar", "decide", case, "partly", "--reason", "a neighbour's name").returncode == 0

    file, odd, wrong = (shell.folder / name for name in ("words.vtt", "words.docx", "wrong.vtt"))
    file.write_text(VTT)
    odd.write_text(VTT)
    wrong.write_text("no times")
    taken = ("sar", "transcript", case, recording)
    assert "(.txt), WebVTT (.vtt) or SubRip (.srt)" in lead.refused(*taken, "--file", str(odd), code=2)
    assert "No such file" in lead.refused(*taken, "--file", str(shell.folder / "none.txt"), code=2)
    assert lead.run(*taken, "--file", str(wrong)).returncode == 1
    assert "role" in Caseworker(shell, "olive").refused(*taken, "--file", str(file))
    assert lead.run("sar", "transcript", case, other, "--file", str(file)).returncode == 1, "it is not in the case"
    done = lead.run(*taken, "--file", str(file))
    assert (done.returncode, f"the transcript of {recording} was added to {case}" in done.stderr) == (0, True)
    assert "Mr Example" in lead.run(*taken).stdout
    kept = lead.document(*taken)
    assert (kept["case"], kept["recording"], WORDS in kept["text"]) == (case, recording, True)
    assert b"Mr Example" not in (shell.home.root / "people.sqlite").read_bytes()

    assert "--case needs an archive" in " ".join(
        lead.run("export", recording, "-o", str(shell.folder / "x.wav"), "--case", case, *WHY).stderr.split()
    )
    target = shell.folder / "package.zip"
    packed = lead.run("export", recording, "-o", str(target), "--case", case, *WHY)
    assert packed.returncode == 0, packed.stderr
    with zipfile.ZipFile(target) as archive:
        written = archive.read("transcript-001.vtt").decode()
        assert "My neighbour [left out] said so" in written
        assert "Mr Example" not in written
        assert "transcript-001.vtt" in archive.read("SHA256SUMS").decode()
        assert json.loads(archive.read("manifest.json"))["case"] == case
        assert case in archive.read("cover-sheet.html").decode()
    unknown = lead.run("export", recording, "-o", str(shell.folder / "y.zip"), "--case", "SAR-2026-0099", *WHY)
    assert (unknown.returncode, (shell.folder / "y.zip").exists()) == (1, False)
    assert ("case.transcribed", LEAD) in acts(shell, "case.")
