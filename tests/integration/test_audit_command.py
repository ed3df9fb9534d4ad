"""`recorder audit`: verify with heads from elsewhere, show to the DPO alone, a package that others can check."""

import csv
import io
import json
import shutil
import sqlite3
import stat
import subprocess
import sys
import zipfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.audit.reading import VERIFIED
from recorder.cli.cli import app
from recorder.common.home import Home
from recorder.permissions import Role
from storage.anchors import Anchor, Anchors
from storage.audit import AuditLog
from storage.audit_entry import line_of
from storage.audit_reading import newest_first
from storage.database import sqlite_url
from storage.heads import Head
from storage.index import Index
from storage.keys import NodeKeys
from tests.helpers.accounts import CHEAP, PASSWORD

AT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


class Site:
    """A home with a few entries; ``dora`` is the DPO, ``ian`` is of ICT."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = Home(root)
        self.log = AuditLog(self.home.audit)
        self.password = root.parent / "password"

    def run(self, *words: str, by: str = "") -> Result:
        who = ["--as", by, "--password-file", str(self.password)] if by else []
        result = CliRunner().invoke(app, ["audit", *words, "-C", str(self.root), *who])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def said(self, result: Result) -> str:
        return " ".join(result.stderr.split())

    @property
    def node(self) -> str:
        return NodeKeys.load(self.root).fingerprint[:16]

    def heads(self) -> list[Head]:
        return [Head(number=e.number, hash=e.hash, at=AT, node=self.node) for e in self.log.entries()]

    def cut(self, lines: int) -> None:
        kept = self.log.path.read_bytes().splitlines(keepends=True)
        self.log.path.write_bytes(b"".join(kept[:-lines]))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audit")
    (folder / "password").write_text(PASSWORD + "\n")
    made = CliRunner().invoke(app, [
        "init", str(folder / "home"), "--sip", "127.0.0.1:5060", "--next-hop", "127.0.0.1:5070", "--extension",
        "2001:alice:Revenues", "--media-ports", "30000-30099", "--console", "off", "--admin", "founder",
        "--password-file", str(folder / "password"),
    ])  # fmt: skip
    assert made.exit_code == 0, made.stderr
    site = Site(folder / "home")
    text = site.home.config.read_text()
    assert 'second_factor = "required"' in text
    site.home.config.write_text(text.replace('second_factor = "required"', 'second_factor = "off"'))
    people = People(open_people(site.home.people), now=lambda: datetime.now(UTC), hasher=CHEAP)
    people.add("dora", PASSWORD, roles={Role.DPO})
    people.add("ian", PASSWORD, roles={Role.ICT, Role.MANAGER})
    for number in range(4):
        site.log.append("call.pause", "olive", f"20261125T09000{number}Z-2001-aaaaaa", {"n": number}, f"card {number}")
    site.log.append("call.resume", "=cmd()", "x", {"name": "a\x1b[31m"}, "+1\nline")
    return folder


@pytest.fixture
def site(model: Path, tmp_path: Path) -> Site:
    shutil.copytree(model, tmp_path / "copy")
    return Site(tmp_path / "copy" / "home")


# --- verify


def test_a_good_log_is_good_and_that_is_noted(site: Site) -> None:
    before = site.log.path.read_bytes()
    result = site.run("verify")
    entries = len(before.splitlines())
    assert result.exit_code == 0
    assert f"{entries} entries are unchanged" in site.said(result)
    assert "no head was noted on another machine" in site.said(result)
    document = json.loads(site.run("verify", "--json", "--head", f"{entries}:{site.heads()[-1].hash}").stdout)
    assert (document["ok"], document["heads"], document["bad"], document["texts"]) == (True, 1, None, 5)
    assert site.log.path.read_bytes() == before, "it writes nothing into the log"
    noted = json.loads((site.home.state / VERIFIED).read_text())
    assert (noted["entries"], noted["heads"], noted["problems"]) == (entries, 1, [])


def test_what_is_bad_is_named_with_its_place(site: Site) -> None:
    content = bytearray(site.log.path.read_bytes())
    lines = bytes(content).splitlines(keepends=True)
    offset = sum(map(len, lines[:3]))
    content[offset + 20] ^= 1
    site.log.path.write_bytes(content)
    result = site.run("verify", "--json")
    bad = json.loads(result.stdout)["bad"]
    assert result.exit_code == 1
    assert (bad["n"], bad["line"], bad["offset"]) == (4, 4, offset)
    assert f"entry 4 (line 4, byte {offset}): its hash does not fit" in site.said(site.run("verify"))
    assert json.loads((site.home.state / VERIFIED).read_text())["problems"] != []


def test_a_cut_end_shows_against_a_head_a_file_of_anchors_and_our_own_database(site: Site, tmp_path: Path) -> None:
    heads = site.heads()
    last = heads[-1]
    assert last.number is not None
    site.cut(2)
    assert "2 of the free texts fit no entry" in site.said(site.run("verify")), "who cuts forgets the texts"
    with closing(sqlite3.connect(site.home.audit / "texts.sqlite")) as database, database:
        database.execute("DELETE FROM texts WHERE rowid IN (SELECT rowid FROM texts ORDER BY rowid DESC LIMIT 2)")
    assert site.run("verify").exit_code == 0, "nothing shows it yet"
    told = tmp_path / "syslog"
    told.write_text("".join(f"<109>1 - box recorder 1 audit-head - {head.to_line()}\n" for head in heads))
    for words in (["--head", last.hash], ["--head", f"{last.number}:{last.hash}"], ["--anchors", str(told)]):
        result = site.run("verify", *words)
        assert result.exit_code == 1, words
        assert "cut off" in site.said(result)
    index = Index(sqlite_url(site.home.index))
    Anchors(index.database).note(Anchor(target="mail", number=last.number, hash=last.hash, at=AT))
    index.close()
    result = site.run("verify")
    assert result.exit_code == 1
    assert f"entries {last.number - 1} to {last.number} are cut off" in site.said(result)


def test_heads_of_another_recorder_are_left_out_and_nothing_else_is_refused(site: Site, tmp_path: Path) -> None:
    told = tmp_path / "anchors"
    told.write_text(Head(number=1, hash="0" * 64, at=AT, node="f" * 16).to_line())
    result = site.run("verify", "--anchors", str(told))
    assert result.exit_code == 1
    assert "are from another recorder" in site.said(result)
    told.write_text("\n".join([told.read_text(), site.heads()[0].to_line()]))
    assert "1 heads from other recorders were skipped" in site.said(site.run("verify", "--anchors", str(told)))


def test_wrong_usage_and_what_is_missing_are_sentences(site: Site, tmp_path: Path) -> None:
    assert site.run("verify", "--head", "12").exit_code == 2
    assert "cannot be read" in site.said(site.run("verify", "--anchors", str(tmp_path / "absent")))
    site.log.path.unlink()
    result = site.run("verify")
    assert result.exit_code == 1
    assert "fit no entry" in site.said(result)
    shutil.rmtree(site.home.audit)
    assert "there are no entries" in site.said(site.run("verify"))


def test_a_torn_end_that_was_moved_aside_is_said(site: Site) -> None:
    with site.log.path.open("ab") as file:
        file.write(b'{"act":')
    AuditLog(site.home.audit).append("call.pause", "olive", "x")
    result = site.run("verify")
    assert result.exit_code == 0
    assert "7 bytes before it were no entry and were moved to torn-" in site.said(result)
    assert "a power cut can leave that" in site.said(result)


# --- show


def test_the_dpo_sees_entries_newest_first_and_that_is_an_entry(site: Site) -> None:
    document = json.loads(site.run("show", "--json", by="dora").stdout)
    numbers = [entry["n"] for entry in document]
    assert numbers == sorted(numbers, reverse=True)
    assert (document[0]["act"], document[0]["actor"]) == ("audit.view", "dora")
    assert document[0]["details"]["texts"] is False
    assert "card 1" not in json.dumps(document)


def test_filters_and_texts_are_in_the_log_what_was_typed_as_a_text_that_can_expire(site: Site) -> None:
    words = ("--act", "call", "--actor", "olive", "--subject", "20261125T09000", "--limit", "3", "--texts", "--json")
    document = json.loads(site.run("show", *words, by="dora").stdout)
    assert [entry["free_text"] for entry in document] == ["card 3", "card 2", "card 1"]
    entry = next(newest_first(site.log.path))
    assert (entry.details["texts"], entry.details["by"], entry.details["act"]) == (True, ["actor", "subject"], "call")
    assert site.log.text(entry) == "actor: olive; subject: 20261125T09000"
    unknown = site.run("show", "--act", "call.res", "--json", by="dora")
    assert (unknown.exit_code, unknown.stdout) == (2, ""), "half a word is no act"
    assert "'call.res' is not an act; the nearest is 'call.resume'" in unknown.stderr
    lately = f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%d}"
    assert json.loads(site.run("show", "--to", "2026-01-01", "--json", by="dora").stdout) == []
    assert len(json.loads(site.run("show", "--from", lately, "--limit", "4", "--json", by="dora").stdout)) == 4


def test_a_table_shows_control_characters_instead_of_obeying_them(site: Site) -> None:
    result = site.run("show", "--act", "call.resume", "--texts", by="dora")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert result.stdout.count("\n") == 1
    assert "=cmd()" in result.stdout


def test_nobody_else_sees_any_of_it(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "package"
    for words in (("show",), ("export", "-o", str(target))):
        result = site.run(*words, by="ian")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "Roles that do: data protection officer" in site.said(result)
        assert next(newest_first(site.log.path)).act == "audit.view.refused"
        assert site.run(*words).exit_code == 2
    assert not target.exists()


def test_texts_that_cannot_be_read_are_a_sentence(site: Site) -> None:
    (site.home.audit / "texts.sqlite").write_bytes(b"no database at all" * 100)
    result = site.run("show", "--act", "call.pause", "--texts", by="dora")
    assert (result.exit_code, result.exception.__class__) == (1, SystemExit)
    assert "the texts of the audit log cannot be read" in site.said(result)
    assert site.run("show", "--act", "call.pause", by="dora").exit_code == 0, "entries are shown without them"


def test_a_log_that_cannot_be_written_is_not_shown(site: Site) -> None:
    site.log.path.rename(site.log.path.with_suffix(".kept"))
    site.log.path.mkdir()
    result = site.run("show", by="dora")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot be written" in site.said(result)


# --- export


def checked(folder: Path, *words: str) -> tuple[int, str]:
    """Run the package's own script, with nothing of ours on its path."""
    done = subprocess.run(
        [sys.executable, "-I", str(folder / "check.py"), *words], capture_output=True, text=True, check=False,
        timeout=60, cwd="/",
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_a_package_is_checked_without_this_program(site: Site, tmp_path: Path) -> None:
    index = Index(sqlite_url(site.home.index))
    first = site.heads()[1]
    assert first.number is not None
    Anchors(index.database).note(Anchor(target="mail", number=first.number, hash=first.hash, at=AT))
    index.close()
    target = tmp_path / "package"
    document = json.loads(site.run("export", "-o", str(target), "--texts", "--json", by="dora").stdout)
    entries = list(site.log.entries())
    assert (document["entries"], document["head"]) == (len(entries), entries[-1].hash)
    assert entries[-1].act == "audit.export"
    assert entries[-1].details["file"] == "package"
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()} == dict.fromkeys(
        ("README.txt", "anchors.jsonl", "check.py", "entries.csv", "entries.jsonl", "texts.jsonl"), 0o600
    )
    assert (target / "entries.jsonl").read_bytes() == site.log.path.read_bytes()
    code, said = checked(target)
    assert (code, said.splitlines()[-1]) == (0, f"head: {len(entries)}:{entries[-1].hash}")
    assert "1 heads" in said

    elsewhere = tmp_path / "mails"
    elsewhere.write_text(Head(number=len(entries) + 1, hash="a" * 64, at=AT).to_line())
    assert checked(target, str(elsewhere)) == (
        1, f"NOT GOOD: the log ends with entry {len(entries)}, but entry {len(entries) + 1} was noted elsewhere: "
        "it was cut\n",
    )  # fmt: skip


def test_the_table_of_a_package_is_no_program(site: Site, tmp_path: Path) -> None:
    site.run("export", "-o", str(tmp_path / "package"), "--texts", by="dora")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "package" / "entries.csv").read_text())))
    (row,) = [row for row in rows if row["act"] == "call.resume"]
    assert (row["actor"], row["free_text"]) == ("'=cmd()", "'+1\\x0aline")
    assert len(rows) == len(list(site.log.entries()))
    site.run("export", "-o", str(tmp_path / "short"), by="dora")
    assert "free_text" not in (tmp_path / "short" / "entries.csv").read_text()
    assert not (tmp_path / "short" / "texts.jsonl").exists()
    assert b"card 1" not in b"".join(path.read_bytes() for path in (tmp_path / "short").iterdir())


def test_a_zip_holds_the_same_for_nobody_else_to_read(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "package.zip"
    assert site.run("export", "-o", str(target), by="dora").exit_code == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with zipfile.ZipFile(target) as archive:
        assert archive.read("entries.jsonl") == site.log.path.read_bytes()
        archive.extractall(tmp_path / "opened")
    assert checked(tmp_path / "opened")[0] == 0


@pytest.mark.parametrize("name", ["package", "package.zip"])
def test_nothing_is_replaced_and_no_half_package_is_left(site: Site, tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    target.write_text("mine")
    result = site.run("export", "-o", str(target), by="dora")
    assert result.exit_code == 1
    assert target.read_text() == "mine"
    target.unlink()
    with closing(sqlite3.connect(site.home.audit / "texts.sqlite")) as database, database:
        database.execute("ALTER TABLE texts RENAME COLUMN salt TO pepper")
    result = site.run("export", "-o", str(target), "--texts", by="dora")
    assert result.exit_code == 1
    assert not target.exists()
    assert site.run("export", "-o", str(tmp_path / "absent" / name), by="dora").exit_code == 1


def test_the_script_of_a_package_finds_what_verify_finds(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "package"
    site.run("export", "-o", str(target), "--texts", by="dora")
    path = target / "entries.jsonl"
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    fields = json.loads(lines[1]) | {"actor": "nobody"}
    del fields["hash"]
    for edited, says in (
        ([lines[0], line_of(fields), *lines[2:]], "entry 3 (line 3, byte "),
        (lines[:3] + lines[4:], "entry 4 (line 4, byte "),
        ([*lines[:-1], lines[-1][:-2]], "it is not an entry"),
        ([lines[0].replace(b"a", b"b", 1), *lines[1:]], "entry 1 (line 1, byte 0): its hash does not fit"),
    ):
        path.write_bytes(b"".join(edited))
        code, said = checked(target)
        assert (code, says in said) == (1, True), said
    path.write_bytes(content)
    other = tmp_path / "mails"
    other.write_text(Head(number=3, hash="a" * 64, at=AT).to_line())
    assert "another entry was noted elsewhere" in checked(target, str(other))[1]
    texts = target / "texts.jsonl"
    texts.write_text(texts.read_text().replace("card 2", "card 9"))
    assert "it fits no entry" in checked(target)[1]
