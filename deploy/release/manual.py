"""The manual page recorder(1), from the commands themselves: ``python -m deploy.release.manual > recorder.1``."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from os import environ
from typing import Any

from typer.main import get_command

from recorder.cli.cli import DISTRIBUTION, app
from recorder.cli.former_words import former
from recorder.cli.tree import COMMANDS

_FILES = (
    ("/var/lib/council-recorder", "The home of a recorder that was installed as a package."),
    ("HOME/recorder.toml", "Its configuration: docs/configuration.md describes every key."),
    ("/usr/share/doc/council-recorder/docs", "The documentation. Begin with index.md."),
)
_ENVIRONMENT = (
    ("RECORDER_HOME", "The home, in the place of -C."),
    ("RECORDER_TOKEN", "The session of whoever acts, as recorder login prints it."),
)


def escape(text: str) -> str:
    """Return a text for troff: backslashes and hyphens as they are, and no line that troff takes for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.strip().split("\n\n")):
        if number:
            yield ".PP"
        yield escape(" ".join(paragraph.split()))


def _terms(terms: Iterator[tuple[str, str]]) -> Iterator[str]:
    for term, meaning in terms:
        yield ".TP"
        yield f".B {escape(term)}"
        yield escape(" ".join(meaning.split())) or "\\&"


def _options(command: Any, context: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - typer's own click is not typed
    for parameter in command.get_params(context):
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        record = parameter.get_help_record(context)
        if record is None:
            record = (" ".join(parameter.get_usage_pieces(context)), parameter.help or "")
        yield str(record[0]), str(record[1])


def describe(command: Any, name: str, parent: Any = None) -> Iterator[str]:  # noqa: ANN401
    """Yield the lines of a command and of all commands below it."""
    # With its settings: the command keeps the option for help that its first context had.
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    words = context.command_path
    below = dict(getattr(command, "commands", {}))
    if parent is not None:
        yield f'.SS "{escape(words)}"'
    if not below:
        yield f".B {escape(words)}"
        yield escape(" ".join(command.collect_usage_pieces(context)))
        yield ".PP"
    yield from _paragraphs(command.help or "")
    yield from _terms(_options(command, context))
    for inner, found in below.items():
        if not found.hidden:
            yield from describe(found, inner, context)


def write_page() -> str:
    """Return recorder(1). Its date is SOURCE_DATE_EPOCH, or today."""
    made = datetime.fromtimestamp(int(environ["SOURCE_DATE_EPOCH"]), UTC) if "SOURCE_DATE_EPOCH" in environ else None
    date = (made or datetime.now(UTC)).date().isoformat()
    command: Any = get_command(app)
    lines = [
        f'.TH RECORDER 1 {date} "recorder {version(DISTRIBUTION)}" "Council call recorder"',
        ".SH NAME",
        "recorder \\- records calls on SIP: announced, pausable, sealed, found",
        ".SH SYNOPSIS",
        ".B recorder",
        "COMMAND [OPTIONS]",
        ".SH DESCRIPTION",
        "Every command has \\-\\-help. With \\-\\-json a command prints its result as one JSON document.",
        ".SH COMMANDS",
        *describe(command, "recorder"),
        ".SH FORMER COMMANDS",
        "These words work until 1.0.",
        *_terms((f"recorder {old}", f"is now recorder {words}") for words in COMMANDS for old in former(words)),
        ".SH EXIT STATUS",
        "0: done. 1: refused or failed, with the reason. 2: wrong usage.",
        ".SH ENVIRONMENT",
        *_terms(iter(_ENVIRONMENT)),
        ".SH FILES",
        *_terms(iter(_FILES)),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(write_page())
