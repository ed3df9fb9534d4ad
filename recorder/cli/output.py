"""What commands print: results on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from recorder.cli.cells import cell
from recorder.common.known_values import unknown
from recorder.common.plain_text import clean, one_line

messages = Console(stderr=True, highlight=False)
"""Standard error, for everything except the result."""


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Print an error on standard error and exit."""
    messages.print(f"recorder: {escape(clean(sentence))}", style="red" if messages.is_terminal else "", soft_wrap=True)
    raise typer.Exit(code)


def fail_unknown(word: str, known: Iterable[str], *, what: str) -> NoReturn:
    """Say that a value is not among the known ones, and which is the nearest; exit with code 2.

    Args:
        word: As given.
        known: The valid values.
        what: What it should be, with its article, such as ``an alarm``.
    """
    fail(unknown(word, known, what=what), 2)


def say(sentence: str) -> None:
    """Print a message on standard error."""
    messages.print(escape(clean(sentence)), soft_wrap=True)


def print_json(document: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False) + "\n")


def print_json_list(items: Iterable[object]) -> None:
    """Print a JSON list on standard output item by item, so that memory stays small."""
    opening = "[\n" if sys.stdout.isatty() else "["
    for item in items:
        sys.stdout.write(opening + json.dumps(item, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))
        opening = ",\n" if sys.stdout.isatty() else ", "
    sys.stdout.write("]\n" if opening.startswith(",") else "[]\n")


def print_table(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]], *, empty: str, zone: tzinfo | None = None
) -> None:
    """Print rows as a table: drawn in words on a terminal, tab-separated and with codes elsewhere.

    Args:
        rows: Values by key.
        columns: Key and heading of each column.
        empty: Message instead of an empty table.
        zone: The site's time zone, in which a terminal shows times; None is UTC.
    """
    listed = list(rows)
    if not listed:
        say(empty)
        return
    if not sys.stdout.isatty():
        sys.stdout.writelines("\t".join(_plain(row.get(key)) for key, _ in columns) + "\n" for row in listed)
        return
    table = Table(box=None, header_style="bold")
    for _, heading in columns:
        table.add_column(heading, overflow="fold")
    for row in listed:
        table.add_row(*(escape(one_line(cell(key, row.get(key), zone))) for key, _ in columns))
    Console(highlight=False).print(table)


def _plain(value: object) -> str:
    """Return a cell of a table for programs; empty where there is nothing."""
    return "" if value is None else one_line(value)


@contextmanager
def progress_bar(what: str, total_s: float) -> Iterator[Callable[[float, float], None]]:
    """Show a progress bar, on a terminal only; yields a function of seconds done and seconds in all."""
    bar = Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=messages,
        disable=not messages.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=max(total_s, 0.1))
        yield lambda done, total: bar.update(task, completed=done, total=max(total, 0.1))
