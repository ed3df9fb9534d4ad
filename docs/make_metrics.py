"""Writes the table of metrics into docs/monitoring.md, from the code: ``python -m docs.make_metrics``."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recorder.calls.tallies import Tallies
from recorder.common.instruments import Durations
from recorder.common.metric_table import Row
from recorder.service import console_metrics, daemon_metrics
from recorder.web.console_tallies import ConsoleTallies

PAGE = Path(__file__).parent / "monitoring.md"
_MOST_VALUES = 6


def described() -> Iterator[tuple[str, str, str, str]]:
    """Yield name, process, label with its values, and meaning of each metric."""
    for process, table, tallies in (
        ("daemon", daemon_metrics.TABLE, Tallies().all),
        ("console", console_metrics.TABLE, ConsoleTallies().all),
    ):
        for row in table:
            yield row.name, process, _label_of(row), row.help
        for one in tallies:
            yield one.name, process, _labels(one.label, one.values), one.help


def _label_of(row: Row[Any]) -> str:
    if row.label == "alarm":
        return "`alarm`: [its name](alarms.md#alarms)"
    if row.label == "version":
        return "`version`"
    return _labels(row.label, row.values)


def _labels(label: str, values: Iterable[str]) -> str:
    if not label:
        return ""
    names = [f"`{value}`" for value in values]
    shown = ", ".join(names[:_MOST_VALUES])
    return f"`{label}`: {shown}{', ...' if len(names) > _MOST_VALUES else ''}"


def table_of() -> str:
    """Return the table of both processes, as Markdown."""
    found: dict[str, list[str]] = {}
    for name, process, label, meaning in described():
        if name in found:
            found[name][1] = f"{found[name][1]}, {process}"
        else:
            found[name] = [f"`{name}`", process, label, meaning]
    lines = ["| metric | of | label | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in found.values())]) + "\n"


def names() -> frozenset[str]:
    """Return every name that a sample can have, those of histograms with their suffixes."""
    plain = {name for name, *_ in described()}
    timed = [one.name for one in (*Tallies().all, *ConsoleTallies().all) if isinstance(one, Durations)]
    return frozenset(plain - set(timed) | {f"{name}_{end}" for name in timed for end in ("bucket", "count", "sum")})


def updated(page: str) -> str:
    """Return the page with the table as the code has it."""
    pattern = re.compile(r"(<!-- metrics: begin -->\n).*?(<!-- metrics: end -->\n)", re.DOTALL)
    return pattern.sub(lambda found: found[1] + "\n" + table_of() + "\n" + found[2], page)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text()))
