"""Writes the tables of commands into docs/commands.md, from their tree: ``python -m docs.make_commands``."""

from pathlib import Path

from docs.generated import between
from recorder.cli.cli import Commands, first_line
from recorder.cli.former_words import former
from recorder.cli.results.table import WITHOUT_RESULT
from recorder.cli.tree import COMMANDS, NOUNS

PAGE = Path(__file__).parent / "commands.md"
BEGIN, END = "<!-- commands: begin -->\n", "<!-- commands: end -->\n"


def _row(words: str) -> str:
    noun, _, verb = words.rpartition(" ")
    found = Commands(noun)[verb]
    options = {option for parameter in found.params for option in parameter.opts}
    marks = [
        "person" if "--as" in options else "",
        "keys" if "--passphrase-file" in options and "--as" in options else "",
        "dry run" if "--dry-run" in options else "",
        "yes" if "--yes" in options else "",
        "" if words in WITHOUT_RESULT else "JSON",
    ]
    was = ", ".join(f"`{one}`" for one in former(words))
    return f"| `{words}` | {first_line(words)} | {', '.join(filter(None, marks))} | {was} |"


def tables() -> str:
    """Return a table of commands for each noun, as Markdown."""
    parts = []
    for noun, about in {"": "Commands without a noun.", **NOUNS}.items():
        listed = [words for words in COMMANDS if words.rpartition(" ")[0] == noun]
        head = ["| command | does | takes | before |", "|---|---|---|---|"]
        parts.append("\n".join([f"### {noun or 'recorder'}\n", f"{about}\n", *head, *map(_row, listed)]))
    return "\n\n".join(parts) + "\n"


def updated(page: str) -> str:
    """Return the page with the tables as the code has them."""
    return between(page, BEGIN, tables(), END)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
