"""`recorder recordings export`: what a person at the shell sees, what the receiver gets; refusals."""

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pypdf
import pytest
from typer.testing import CliRunner

from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from storage.tombstones import Deletions, Tombstone
from tests.helpers.export_shell import PASSPHRASE, SECONDS, Shell
from tests.helpers.recorder_home import recorder_home
from tests.helpers.wave_file import wave_channels


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    with recorder_home(folder, is_started=False, next_hop="127.0.0.1:5099") as home:
        (out := folder / "out").mkdir()
        yield Shell(home, out)


def test_one_file_is_the_sound_and_is_written_down(shell: Shell) -> None:
    recording = shell.record("000001")
    target = shell.folder / "one.wav"
    said = shell.made(
        recording, "-o", str(target), "--format", "g711", "--from", "1", "--to", "0:03", "--redact", "caller:1.5-2",
        "--redact-reason", "a neighbour's name",
    )  # fmt: skip
    left, right, law = wave_channels(target.read_bytes())
    assert law == "alaw"
    stored = bytes(i * 7 % 251 for i in range(8000, 24_000)), bytes(i * 11 % 241 for i in range(8000, 24_000))
    begin, end = 4000 - 400, 8000 + 400
    assert left == stored[0][:begin] + b"\xd5" * (end - begin) + stored[0][end:]
    assert right == stored[1]
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert (said["sha256"], said["duration_s"], target.stat().st_mode & 0o777) == (digest, 2.0, 0o600)
    begun, done = shell.audited(recording)
    assert (begun["act"], begun["actor"], done["act"]) == ("recording.export", "hilda", "recording.export.done")
    assert begun["details"]["redactions"] == [{"start_s": 1.5, "end_s": 2.0, "channels": "left"}]
    assert (begun["details"]["start_s"], begun["details"]["end_s"]) == (1.0, 3.0)
    assert begun["details"]["copy"] == done["details"]["copy"]
    assert done["details"]["sha256"] == digest
    assert "neighbour" not in json.dumps(begun)
    (listed,) = shell.home.json("show", recording)["copies"]
    assert (listed["sha256"], listed["made_by"], listed["redactions"]) == (digest, "hilda", 1)
    assert digest in shell.home.recorder("show", recording, "-C", str(shell.home.root))


@pytest.fixture(scope="module")
def copied(shell: Shell) -> tuple[str, Path]:
    """A recording, and the folder with its copy; to make the PDF of one takes half a second."""
    recording = shell.record("000002", service="Council <tax>")
    target = shell.folder / "folder"
    shell.made(
        recording, "-o", str(target), "--format", "flac", "--for", "J. Döe <script>", "--ground", "sar",
        "--redact", "officer:4.5-5", "--redact-reason", "a colleague",
    )  # fmt: skip
    return recording, target


def test_a_folder_tells_the_public_what_it_is(copied: tuple[str, Path]) -> None:
    recording, target = copied
    names = {path.name: path.read_bytes() for path in target.iterdir()}
    assert set(names) == {f"{recording}.flac", "cover-sheet.html", "cover-sheet.pdf", "manifest.json", "SHA256SUMS"}
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in target.iterdir())
    sums = dict(line.split("  ")[::-1] for line in names["SHA256SUMS"].decode().splitlines())
    assert sums == {n: hashlib.sha256(c).hexdigest() for n, c in names.items() if n != "SHA256SUMS"}
    html = names["cover-sheet.html"].decode()
    for words in (
        "J. Döe &lt;script&gt;", "Olive &lt;b&gt;Officer&lt;/b&gt;", "Council &lt;tax&gt;", "complaint 17", "2001",
        "Subject access request", "payment card details were keyed in", "Payment card details were erased",
        "The officer&#39;s side silenced in this copy: a colleague", sums[f"{recording}.flac"], '<html lang="en-GB">',
        '<th scope="col">From</th>', "Get-FileHash", "6 seconds", "The whole call",
    ):  # fmt: skip
        assert words in html, words
    for kept in ("02079460000", "lena", "<script>", "k7", "http"):
        assert kept not in html, kept
    manifest = json.loads(names["manifest.json"])
    assert manifest["recordings"][0]["sha256"] == sums[f"{recording}.flac"]
    assert [one["start_s"] for one in manifest["recordings"][0]["left_out"]] == [2.0, 3.0, 4.5]


def test_the_pdf_is_tagged(copied: tuple[str, Path]) -> None:
    pdf = pypdf.PdfReader(copied[1] / "cover-sheet.pdf")
    root: Any = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en-GB"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert pdf.metadata is not None
    assert pdf.metadata.title == "Copy of a recorded call"
    assert b'pdfuaid:part="1"' in root["/Metadata"].get_data()
    found = list(_roles(root["/StructTreeRoot"]))
    for role in ("/H1", "/H2", "/Table", "/TH", "/TD", "/Caption", "/P"):
        assert role in found, role
    assert "Payment card details were erased" in " ".join(pdf.pages[0].extract_text().split())


def _roles(element: Any) -> Iterator[str]:
    element = element.get_object()
    if isinstance(element, list):
        for one in element:
            yield from _roles(one)
    elif isinstance(element, dict):
        if "/S" in element:
            yield str(element["/S"])
        if "/K" in element:
            yield from _roles(element["/K"])


def test_many_go_into_one_archive_that_a_passphrase_seals(shell: Shell) -> None:
    ids = [shell.record(tail) for tail in ("000011", "000012", "000013")]
    target = shell.folder / "sealed.zip"
    said = shell.made("--from-file", "-", "-o", str(target), "--seal-with", str(shell.passphrase), stdin="\n".join(ids))
    assert [one["id"] for one in said["copies"]] == ids
    names = [f"recording-{number:03d}.wav" for number in (1, 2, 3)]
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == [*names, "cover-sheet.html", "cover-sheet.pdf", "manifest.json", "SHA256SUMS"]
        assert all(one.flag_bits & 1 for one in archive.infolist())
    content = target.read_bytes()
    assert not any(one.encode() in content for one in ids)
    wrong = subprocess.run(["7z", "t", "-pviolet otter lantern pone", str(target)], capture_output=True, check=False)
    assert wrong.returncode != 0
    opened = shell.folder / "opened"
    words = ["7z", "x", f"-p{PASSPHRASE}", f"-o{opened}", str(target)]
    subprocess.run(words, capture_output=True, check=True, timeout=30)
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=opened, check=True, timeout=30)
    assert (opened / names[0]).read_bytes()[:4] == b"RIFF"
    assert "3 recorded calls" in (opened / "cover-sheet.html").read_text()
    assert [e["act"] for one in ids for e in shell.audited(one)] == ["recording.export", "recording.export.done"] * 3


def test_a_search_says_first_what_it_would_copy(shell: Shell) -> None:
    shell.record("000021", extension="2099")
    wanted = ("--extension", "2099", "--format", "mp3", "-o", str(shell.folder / "found"))
    (found,) = json.loads(shell.export(*wanted, "--dry-run", "--json").stdout)
    assert (found["end_s"], found["is_whole"]) == (6.0, True)
    assert not (shell.folder / "found").exists()
    assert shell.audited(found["id"]) == []
    shell.made(*wanted)
    assert (shell.folder / "found" / f"{found['id']}.mp3").stat().st_size > 1000


def test_all_or_nothing(shell: Shell) -> None:
    good, damaged = shell.record("000031"), shell.record("000032")
    path = next(shell.vault.root.rglob(f"{damaged}.rec"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    target = shell.folder / "some.zip"
    done = shell.export(good, damaged, "-o", str(target))
    assert done.returncode == 1
    assert "1 of 2 recordings" in done.stderr
    assert damaged in done.stderr
    assert not target.exists()
    assert shell.audited(good) == []


def test_refusals_are_sentences(shell: Shell) -> None:
    noon = (utc_now() - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    recording = shell.record("000041", started=noon)
    assert "You need permission" in shell.fails(recording, by="olive")
    assert "reason" in shell.fails(recording, reason="")
    assert "which is 6 seconds long" in shell.fails(recording, "--from", "20")
    assert "which is 6 seconds long" in shell.fails(recording, "--to", "20")
    assert "before it begins" in shell.fails(recording, "--from", "4", "--to", "3")
    assert "which is 6 seconds long" in shell.fails(recording, "--redact", "1-20", "--redact-reason", "x")
    assert "Enter why the parts are silenced" in shell.fails(recording, "--redact", "1-2")
    assert "not a span to silence" in shell.fails(recording, "--redact", "middle", code=2)
    assert "not a time in a recording" in shell.fails(recording, "--from", "soon", code=2)
    assert "before the call" in shell.fails(recording, "--from", "T08:00:00", code=2)
    assert "the name of a file in format mp3" in shell.fails(recording, "--format", "mp3", code=2)
    assert "ogg" in shell.fails(recording, "--format", "ogg", code=2)
    assert "archive" in shell.fails(recording, "--seal-with", str(shell.passphrase), code=2)
    assert "select recordings by ids" in shell.fails(code=2)
    assert "select recordings by ids" in shell.fails(recording, "--extension", "2001", code=2)
    assert "give -o FOLDER" in shell.fails(recording, shell.record("000042"), code=2)
    assert "`recorder recordings list` lists them" in shell.fails("2026")
    assert "You need permission" in shell.fails("20261124T093000Z-2001-ffffff")
    assert shell.audited(recording) == []
    short = shell.folder / "short"
    short.write_text("too short")
    short.chmod(0o600)
    done = shell.export(recording, "-o", str(shell.folder / "x.zip"), "--seal-with", str(short))
    assert (done.returncode, "at least 16 characters" in done.stderr) == (1, True)
    short.unlink()
    done = shell.export(recording, "-o", str(shell.passphrase))
    assert (done.returncode, "exists already" in done.stderr) == (1, True)
    assert shell.passphrase.read_text() == PASSPHRASE + "\n"
    done = shell.export(recording, "-o", str(shell.folder / "nowhere" / "x.wav"))
    assert (done.returncode, "is not there: make it first" in done.stderr) == (1, True)


def test_what_was_deleted_or_is_to_be_erased_is_not_copied(shell: Shell) -> None:
    gone, locked = shell.record("000051"), shell.record("000052")
    index = open_index(Home(shell.home.root), read_config(shell.home.config))
    deleted = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    Deletions(index.database).settle([Tombstone(id=gone, deleted_at=deleted, rule="retention")])
    index.close()
    sentence = f"{gone} was deleted on 24/11/2026 (retention): nothing is left"
    assert sentence in shell.fails(gone)
    span = ("--from", "0", "--to", "1", "--kind", "other", "--reason", "a name")
    for words in (("show",), ("verify",), ("play", *shell.home.as_hearer()), ("erase", *span, *shell.home.as_admin())):
        done = shell.home.run(words[0], gone, *words[1:], "-C", str(shell.home.root))
        assert (done.returncode, sentence in done.stderr) == (1, True), (words, done.stderr)
    done = shell.home.run(
        "erase", locked, "--from", "0", "--to", "1", "--kind", "other", *shell.home.as_admin(), "--reason", "a name",
        "-C", str(shell.home.root),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "is locked" in shell.fails(locked)


def test_play_gives_a_player_the_sound_as_it_is_made(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = shell.record("000061")
    player = tmp_path / "play"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    words = ["play", recording, "--as", "hilda", "--password-file", str(shell.home.password_file)]
    words += ["--reason", "complaint 17", "-C", str(shell.home.root)]
    for script, code in ((f'echo "$@" > {tmp_path}/how; cat > {tmp_path}/heard', 0), ("exit 3", 1)):
        player.write_text(f"#!/bin/sh\n{script}\n")
        player.chmod(0o700)
        done = CliRunner().invoke(app, words)
        assert done.exit_code == code, done.stderr
        assert ("could not play" in done.stderr) == (code == 1)
    assert (tmp_path / "how").read_text().split() == ["-q", "-t", "wav", "-"]
    heard = (tmp_path / "heard").read_bytes()
    assert (heard[:4], len(heard)) == (b"RIFF", 44 + SECONDS * 8000 * 4)
    assert not list(Path("/dev/shm").glob(f"recorder-{recording}*"))
