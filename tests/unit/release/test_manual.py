"""The manual page has every command and option, and troff takes none of its text for a request."""

import re
import subprocess

from typer.main import get_command

from deploy.release.manual import escape, write_page
from recorder.cli.cli import app
from recorder.cli.former_words import OLD


def test_every_command_and_option_is_described() -> None:
    page = write_page()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for inner, found in dict(getattr(command, "commands", {}) or {"": command}).items():
            words = escape(f"recorder {name} {inner}".strip())
            section = page.partition(f'.SS "{words}"\n')[2].partition("\n.SS")[0]
            assert section, words
            for parameter in found.params:
                if parameter.param_type_name == "option" and not parameter.hidden:
                    assert escape(parameter.opts[0]) in section, (words, parameter.opts)


def test_words_of_before_are_in_it() -> None:
    described = write_page().partition(".SH FORMER COMMANDS\n")[2].partition("\n.SH ")[0]
    for old in OLD:
        if old not in {"hold", "sar", "rights", "notice", "report", "node"}:  # nouns
            assert f".B {escape(f'recorder {old}')}\n" in described, old


def test_troff_finds_nothing_to_warn_of() -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-z"], input=write_page(), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_text_is_never_a_request() -> None:
    assert escape(".so /etc/passwd\n'br\nC:\\x --a") == "\\&.so /etc/passwd\n\\&'br\nC:\\ex \\-\\-a"
    assert not re.findall(r"^[.'](?!TH|SH|SS|PP|TP|B )", write_page(), re.MULTILINE)
