"""The command line: exit codes, help, JSON, and what is said when something is wrong."""

import json
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner, Result

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.cli.cli import app
from recorder.cli.output import print_table
from recorder.common.clock import utc_now
from recorder.common.plain_text import clean
from recorder.config.reading import read_config
from recorder.permissions import Role
from storage.database import sqlite_url
from storage.index import Index
from storage.rows import row_from_json
from storage.types import RecordingId
from tests.helpers.accounts import CHEAP, as_of_before
from tests.helpers.signed_in import environment_for
from tests.helpers.storage_home import row

PASSWORD = "a long enough password here"


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    """Run the command line; nothing but its own exit codes may come out of it."""
    words = [str(argument) for argument in arguments]
    environment = environment_for(words, reader="founder", at_phones="founder")
    result = CliRunner().invoke(app, words, input=stdin, env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 1, 2)
    assert "Traceback" not in result.output
    return result


def said(result: Result) -> str:
    """Return what was said on standard error, without the breaks that its width made."""
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def password_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(PASSWORD + "\n")
    return path


def init(folder: Path, password_file: Path, *more: str) -> Result:
    return run(
        "init", folder, "--sip", "127.0.0.1:5060", "--next-hop", "127.0.0.1:5070", "--extension", "2001:alice:Revenues",
        "--media-ports", "30000-30099", "--console", "off", "--admin", "founder", "--password-file", password_file,
        *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, password_file: Path) -> Path:
    """Return a home as `recorder init` makes it; tests leave it as it is."""
    folder = tmp_path_factory.mktemp("home") / "recorder"
    assert init(folder, password_file).exit_code == 0
    written = (folder / "recorder.toml").read_text()
    (folder / "recorder.toml").write_text(written.replace('second_factor = "required"', 'second_factor = "off"'))
    as_of_before(folder / "people.sqlite", "founder", "admin,dpo")
    People(open_people(folder / "people.sqlite"), now=utc_now, hasher=CHEAP).add("anna", PASSWORD, roles={Role.ADMIN})
    return folder


# --- help and wrong usage


def commands() -> Iterator[list[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, command in group.commands.items():
        yield [name]
        if isinstance(command, TyperGroup):
            yield from ([name, inner] for inner in command.commands)


@pytest.mark.parametrize("names", [[], *commands()], ids=lambda names: " ".join(names) or "recorder")
def test_help_of_every_command(names: list[str]) -> None:
    result = run(*names, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert re.search(r"--help +-h ", result.stdout), "both are offered"


@pytest.mark.parametrize(
    "names", [[], ["hold"], ["hold", "add"], ["play"]], ids=lambda names: " ".join(names) or "recorder"
)
def test_both_options_for_help_do_the_same(names: list[str]) -> None:
    assert run(*names, "-h").stdout == run(*names, "--help").stdout != ""


@pytest.mark.parametrize("names", list(commands()), ids=" ".join)
def test_an_unknown_option_is_wrong_usage(names: list[str]) -> None:
    result = run(*names, "--no-such-option")
    assert result.exit_code == 2
    assert "--no-such-option" in said(result)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("no-such-command", "recorder: No such command 'no-such-command'; `recorder --help` says how it is used"),
        (
            "holds ad",
            "recorder: No such command 'ad'. Did you mean 'add'?; `recorder holds --help` says how it is used",
        ),
        ("holds add", "recorder: Missing argument 'ID'; `recorder holds add --help` says how it is used"),
        ("holds list --x", "recorder: No such option: --x; `recorder holds list --help` says how it is used"),
        (
            "recordings list --outcome record",
            "recorder: --outcome: 'record' is not valid; the nearest is 'recorded'; known are recorded, partial, "
            "blocked, no_conversation, failed; `recorder recordings list --help` says how it is used",
        ),
        (
            "users add x --role manger",
            "recorder: --role: 'manger' is not valid; the nearest is 'manager'; known are admin, officer, manager, "
            "team_leader, dpo, ict, member; `recorder users add --help` says how it is used",
        ),
        (
            "recordings list --limit abc",
            "recorder: --limit must be a whole number, such as 5, not 'abc'; `recorder recordings list --help` says "
            "how it is used",
        ),
        (
            "recordings list --limit 0",
            "recorder: --limit must be at least 1, not '0'; `recorder recordings list --help` says how it is used",
        ),
        (
            "cases letter SAR-2026-0001 refusl",
            "recorder: acknowledgement|extension|refusal|disclosure: 'refusl' is not valid; the nearest is 'refusal'; "
            "known are acknowledgement, extension, refusal, disclosure; `recorder cases letter --help` says how it is "
            "used",
        ),
    ],
)
def test_wrong_usage_is_one_line_that_says_what_to_do(words: str, sentence: str) -> None:
    done = run(*words.split())
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"{sentence}\n")


READERS = (
    ["site-check"],
    ["find", "--as", "x"],
    ["show", "x", "--as", "x"],
    ["verify", "--all"],
    ["recover"],
    ["notice", "list"],
)


@pytest.mark.parametrize("arguments", READERS, ids=" ".join)
def test_a_folder_that_is_no_home_is_wrong_usage(tmp_path: Path, arguments: list[str]) -> None:
    result = run(*arguments, "-C", tmp_path)
    assert result.exit_code == 2
    assert "recorder init" in said(result)


def test_a_mistake_in_the_configuration_is_one_sentence_with_its_line(home: Path, tmp_path: Path) -> None:
    text = (home / "recorder.toml").read_text().replace("max_calls", "max_cals")
    (tmp_path / "recorder.toml").write_text(text)
    line = next(n for n, line in enumerate(text.splitlines(), 1) if line.startswith("max_cals"))
    result = run("site-check", "-C", tmp_path)
    assert result.exit_code == 2
    assert f"recorder.toml, line {line}: unknown key 'max_cals'" in said(result)
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("audit list --act call.puse", "'call.puse' is not an act; the nearest is 'call.pause'"),
        ("audit list --act cal", "'cal' is not an act; the nearest is 'call'"),
        ("audit list --act nonsense", "'nonsense' is not an act; the nearest is"),
        ("alarms acknowledge disk_fulls --remark full", "'disk_fulls' is not an alarm; the nearest is 'disk_full'"),
        (
            "notices template 1st",
            "'1st' is not a message with wording; the nearest is 'first'; known are first, second",
        ),
    ],
)
def test_an_unknown_value_is_wrong_usage_and_the_nearest_is_named(home: Path, words: str, sentence: str) -> None:
    person = () if words.startswith("notices") else ("--as", "founder")
    done = run(*words.split(), *person, "-C", home)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"recorder: {sentence}")


@pytest.mark.parametrize("arguments", [["calls"], ["pause", "--extension", "2001"], ["reload"]])
def test_a_mistake_in_the_configuration_keeps_nobody_from_pausing(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "recorder.toml").write_text("nonsense")
    result = run(*arguments, "-C", tmp_path)
    assert result.exit_code == 1
    assert "No daemon is running" in said(result)


# --- init


def test_init_writes_a_team_for_each_extension(tmp_path: Path, password_file: Path) -> None:
    made = tmp_path / "home"
    done = init(made, password_file, "--extension", "2002:bob:Benefits:Housing Benefit")
    assert done.exit_code == 0, done.stderr
    extensions = read_config(made / "recorder.toml").extension
    assert [(one.number, one.service, one.team) for one in extensions] == [
        ("2001", "Revenues", "Revenues"), ("2002", "Benefits", "Housing Benefit"),
    ]  # fmt: skip
    assert "extensions without a team" in run("site-check", "-C", made).stdout


@pytest.mark.parametrize("option", ["--sip", "--next-hop", "--extension", "--admin", "--password-file"])
def test_init_without_a_terminal_says_which_option_is_missing(tmp_path: Path, password_file: Path, option: str) -> None:
    every = {
        "--sip": "127.0.0.1:5060",
        "--next-hop": "127.0.0.1:5070",
        "--extension": "2001:alice:Revenues",
        "--admin": "founder",
        "--password-file": str(password_file),
    }
    given = [part for name, value in every.items() if name != option for part in (name, value)]
    result = run("init", tmp_path / "new", *given)
    assert result.exit_code == 2
    assert option in said(result)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--sip", "somewhere"),
        ("--extension", "2001:alice"),
        ("--media-ports", "30000"),
        ("--media-ports", "40000-30000"),
        ("--console", "8080"),
        ("--timezone", "Europe/Hull"),
        ("--notice-when", "never"),
    ],
)
def test_init_refuses_what_cannot_be_and_leaves_nothing(
    tmp_path: Path, password_file: Path, option: str, value: str
) -> None:
    result = init(tmp_path / "new", password_file, option, value)
    assert result.exit_code == 2
    assert not (tmp_path / "new").exists() or not list((tmp_path / "new").iterdir())


def test_init_refuses_a_weak_password(tmp_path: Path) -> None:
    weak = tmp_path / "weak"
    weak.write_text("short\n")
    assert init(tmp_path / "new", weak).exit_code == 2
    assert not list((tmp_path / "new").iterdir())


def test_init_does_not_touch_a_folder_with_something_in_it(tmp_path: Path, password_file: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    result = init(tmp_path, password_file)
    assert result.exit_code == 2
    assert "not empty" in said(result)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_init_says_when_there_can_be_no_folder(tmp_path: Path, password_file: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        result = init(folder, password_file)
        assert result.exit_code == 2
        assert str(folder) in said(result).replace(" ", "")


def test_what_init_made_is_for_its_user_alone(home: Path) -> None:
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for name in ("recorder.toml", "people.sqlite", "index.sqlite"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600
    for path in (home / "private").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_init_writes_into_the_audit_log_who_decided(tmp_path: Path, password_file: Path) -> None:
    assert (
        init(tmp_path / "new", password_file, "--decided-by", "The Board", "--card-payment", "discard").exit_code == 0
    )
    entries = [json.loads(line) for line in (tmp_path / "new" / "audit" / "audit.log").read_text().splitlines()]
    details = next(entry["details"] for entry in entries if entry["act"] == "recorder.init")
    assert (details["decided_by"], details["card_payment"]) == ("The Board", "discard")


# --- reading


def test_site_check_in_json(home: Path) -> None:
    result = run("site-check", "-C", home, "--json")
    findings = json.loads(result.stdout)
    assert {finding["level"] for finding in findings} <= {"ok", "warning", "error"}
    assert all(finding.keys() == {"level", "what", "says", "why", "do"} for finding in findings)
    assert all(bool(finding["why"] and finding["do"]) == (finding["level"] != "ok") for finding in findings)
    assert result.exit_code == (1 if any(finding["level"] == "error" for finding in findings) else 0)


def test_site_check_finds_a_message_that_is_gone(tmp_path: Path, password_file: Path) -> None:
    folder = tmp_path / "new"
    init(folder, password_file)
    for path in (folder / "notices").glob("*.flac"):
        path.unlink()
    result = run("site-check", "-C", folder)
    assert result.exit_code == 1
    assert "message first" in result.stdout


def errors_of(folder: Path) -> dict[str, str]:
    """Return what site-check calls an error, by what it looked at."""
    result = run("site-check", "-C", folder, "--json")
    found = {one["what"]: one["says"] for one in json.loads(result.stdout) if one["level"] == "error"}
    assert result.exit_code == (1 if found else 0)
    return found


def test_site_check_opens_the_private_keys(tmp_path: Path, password_file: Path) -> None:
    folder = tmp_path / "new"
    init(folder, password_file)
    assert "private keys open" not in errors_of(folder)
    first, second, *_ = sorted((folder / "private").glob("*.key"))
    content = first.read_bytes()
    for wrong in (os.urandom(len(content)), second.read_bytes(), content.replace(b'"secret": "', b'"secret": "00')):
        first.write_bytes(wrong)
        assert first.stem in errors_of(folder)["private keys open"]
    first.write_bytes(content)
    assert "private keys open" not in errors_of(folder)


def test_site_check_tries_to_listen_and_looks_where_calls_go(tmp_path: Path, password_file: Path) -> None:
    folder = tmp_path / "new"
    init(folder, password_file)
    config = folder / "recorder.toml"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        config.write_text(config.read_text().replace("127.0.0.1:5060", f"127.0.0.1:{port}"))
        assert errors_of(folder)[f"SIP at 127.0.0.1:{port}, UDP"] == "another program listens there"
        config.write_text(config.read_text().replace("127.0.0.1:5070", f"127.0.0.1:{port}"))
        assert "one of them is the recorder itself" in errors_of(folder).values()
    assert f"SIP at 127.0.0.1:{port}, UDP" not in errors_of(folder)


@pytest.mark.parametrize(
    "arguments", [["find"], ["verify", "--all"], ["recover"], ["users", "list"], ["tokens", "list"]]
)
def test_empty_listings_are_empty_documents(home: Path, arguments: list[str]) -> None:
    result = run(*arguments, "-C", home, "--json")
    assert result.exit_code == 0
    listed = json.loads(result.stdout)
    assert isinstance(listed, list)
    assert [row["name"] for row in listed] == (["anna", "founder"] if arguments[0] == "users" else [])


def test_messages_are_listed(home: Path) -> None:
    listed = json.loads(run("notice", "list", "-C", home, "--json").stdout)
    assert [(row["name"], row["version"]) for row in listed] == [("first", 1), ("second", 1)]


def test_nothing_found_is_said_on_standard_error(home: Path) -> None:
    result = run("find", "-C", home)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no call matches" in said(result)


def test_a_recording_that_is_not_there(home: Path) -> None:
    result = run("show", "20261125T000000Z-2001-000000", "-C", home)
    assert result.exit_code == 1
    assert "recorder recordings list" in said(result)


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_time_that_is_none(home: Path, option: str) -> None:
    result = run("find", "-C", home, option, "yesterday")
    assert result.exit_code == 2
    assert "'yesterday' is not a time" in said(result)


@pytest.mark.parametrize(
    "arguments", [["verify"], ["verify", "ID", "--all"], ["pause"], ["pause", "--call", "a", "--extension", "2"]]
)
def test_either_one_or_the_other(home: Path, arguments: list[str]) -> None:
    result = run(*arguments, "-C", home)
    assert result.exit_code == 2
    assert "give either" in said(result)


def test_an_empty_number_file(home: Path) -> None:
    result = run("find", "-C", home, "--number-file", "-", stdin="\n")
    assert result.exit_code == 2
    assert "empty" in said(result)


# --- acting


@pytest.mark.parametrize(
    "arguments",
    [
        ["calls"],
        ["pause", "--extension", "2001"],
        ["agents", "list"],
        ["reload"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_a_daemon_a_sentence_says_so(home: Path, arguments: list[str]) -> None:
    result = run(*arguments, "-C", home)
    assert result.exit_code == 1
    assert "daemon" in said(result)
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["export", "x", "-o", "copy.wav"], ["play", "x"], ["opt-out", "--call", "x"]])
def test_what_takes_a_person_says_so(home: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: "/bin/true")
    result = run(*arguments, "-C", home, "--reason", "because of a test")
    assert result.exit_code == 2
    assert "--as NAME" in said(result)


def test_a_wrong_password_is_refused_and_in_the_audit_log(home: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("not the password at all\n")
    copy = tmp_path / "copy.wav"
    result = run("export", "x", "-o", copy, "--as", "founder", "--password-file", wrong, "--reason", "test", "-C", home)
    assert result.exit_code == 1
    assert not copy.exists()
    last = json.loads((home / "audit" / "audit.log").read_text().splitlines()[-1])
    assert last["actor"] == "founder"
    assert "refused" in last["act"] or "failed" in last["act"]


def test_an_act_in_a_folder_that_is_no_home_leaves_nothing_there(tmp_path: Path, password_file: Path) -> None:
    result = run(
        "opt-out", "--call", "x", "--as", "a", "--password-file", password_file, "-C", tmp_path, "--reason", "so"
    )
    assert result.exit_code == 2
    assert "recorder init" in said(result)
    assert list(tmp_path.iterdir()) == []


def test_an_opt_out_by_an_administrator_is_refused(home: Path, password_file: Path) -> None:
    result = run("opt-out", "--call", "x", "--as", "anna", "--password-file", password_file, "-C", home)
    assert result.exit_code == 1
    assert "role does not allow" in said(result), "whoever administers grants nothing"


def test_the_console_that_is_off_says_how_to_turn_it_on(home: Path) -> None:
    result = run("console", "-C", home)
    assert result.exit_code == 2
    assert "[console]" in said(result)


# --- what callers send must not drive a terminal

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\u0085x"


def test_control_characters_are_shown_not_sent(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"caller": EVIL}], [("caller", "Caller")], empty="")
    shown = capsys.readouterr().out
    assert shown == clean(EVIL) + "\n"
    assert shown.strip("\n").isprintable()
    assert "owned" in shown


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_cell_without_a_value_is_empty(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    print_table([{"id": "a", "opt_out": None}], [("id", "Call"), ("opt_out", "Opt-out"), ("node", "Node")], empty="")
    assert "None" not in capsys.readouterr().out


def test_the_same_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table([{"caller": f"[red]{EVIL}"}], [("caller", "Caller")], empty="")
    shown = capsys.readouterr().out
    assert "\x07" not in shown
    assert "\x1b]" not in shown
    assert "[red]" in shown.replace("\n", "")


def test_a_line_break_in_a_name_is_no_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"caller": "a\nrecorded\tb", "id": 1}], [("caller", "Caller"), ("id", "")], empty="")
    assert capsys.readouterr().out.splitlines() == ["a\\x0arecorded\\x09b\t1"]


def test_find_gives_a_program_every_row_and_a_person_the_newest(tmp_path: Path, password_file: Path) -> None:
    folder = tmp_path / "recorder"
    assert init(folder, password_file).exit_code == 0
    as_of_before(folder / "people.sqlite", "founder", "admin,dpo")
    index = Index(sqlite_url(folder / "index.sqlite"))
    for number in range(120):
        index.save(row_from_json(row(RecordingId(f"20261124T093000Z-2001-{number:06x}"))))
    index.close()
    assert len(json.loads(run("find", "-C", folder, "--json").stdout)) == 120
    shown = run("find", "-C", folder)
    assert len(shown.stdout.splitlines()) == 100
    assert "100 of 120 calls" in said(shown)
    assert len(json.loads(run("find", "-C", folder, "--json", "--limit", "7").stdout)) == 7
