"""P23: the copy is in a format the requester can reasonably use, by preference, practicality and cost.

Walked: the same call as WAV, FLAC, MP3 and Ogg Opus, as a folder with a cover sheet and hashes that fit, and as a
sealed archive; nobody without leave to copy makes one.
"""

import hashlib
import zipfile

import soundfile

from tests.helpers.policy_site import PolicySite

WHY = ("--for", "J. Doe", "--reason", "request 17")


def test_a_copy_in_every_format_with_a_cover_sheet(site: PolicySite) -> None:
    row = site.finished_call()
    call, lena, olive = row["id"], site["lena"], site["olive"]
    request = olive.json(
        "requests", "ask", call, "--category", "disclosure", "--leave", "listen_and_export", "--reason", "request 17"
    )["id"]
    early = ("export", call, "-o", str(site.folder / "early.mp3"), *WHY)
    assert "You need permission to" in olive.is_refused(*early)
    lena.does("requests", "grant", request)
    assert "You need permission to" in site["mary"].is_refused(*early), "the leave is olive's"

    for form in ("wav", "flac", "mp3", "opus"):
        copy = site.folder / f"copy.{form}"
        made = olive.json("export", call, "-o", str(copy), *WHY)
        assert made["sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
        if form != "opus":
            assert abs(soundfile.info(copy).duration - row["duration_s"]) < 0.2

    folder = site.folder / "answer"
    olive.does("export", call, "-o", str(folder), "--format", "mp3", *WHY)
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split(maxsplit=1)
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    sheet = (folder / "cover-sheet.html").read_text()
    assert all(words in sheet for words in ("J. Doe", "request 17", "Olive Officer"))
    assert row["caller"] not in sheet

    seal = site.file("seal", "violet otter lantern pond")
    olive.does("export", call, "-o", str(site.folder / "sealed.zip"), "--seal-with", seal, *WHY)
    with zipfile.ZipFile(site.folder / "sealed.zip") as archive:
        assert all(one.flag_bits & 1 for one in archive.infolist()), "each file is encrypted"
    assert len(olive.json("show", call)["copies"]) == 6
