"""What do 10, 1,000 and 100,000 calls at a time need, by the figures that other benchmarks measured?

Arithmetic only: it reads documents of ``benchmarks/results`` and writes ``benchmarks/results/scale.json``, with each
figure's source, and the tables of ``docs/scale.md``. What was not measured is an assumption, listed and replaceable.
Command: ``python -m benchmarks.scale [--write] [--json] [--assume NAME=VALUE ...]``.
"""

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.page_blocks import with_blocks

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs/scale.md"
SIZES = (10, 1_000, 100_000)
_DAY_S, _KB, _GB, _TB = 86_400, 1e3, 1e9, 1e12
PACKET_BYTES = 214
"""A packet of 20 ms of G.711 on Ethernet: 160 of audio, RTP 12, UDP 8, IPv4 20, Ethernet 14."""
PACKETS_PER_S = 100
"""Of a call that arrive: two sides, 50 each."""
_BEATS_PER_S = 0.5
_PAGE_BYTES = 1e6
"""Of the list of live calls that a browser shows without delay."""
_OBJECTS, _PART_S = 2, 5
"""Objects of a recording: container and sealed key. With parts, one more each five seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What is not measured here.

    Attributes:
        call_s: Mean length of a call, seconds.
        busy_hours: A day's calls, as hours at the peak.
        kept_days: Retention.
        cores: Of a node.
        used: Share of cores, of the call thread, and of what the database can write, that is planned for.
        spare_nodes: Nodes above what the peak needs.
        spare_from_calls: Calls at a time from which a site has them.
        store_usd_per_gb: A month's price of a GB in an object store.
        write_usd_per_1000: Price of 1,000 requests that write or list.
    """

    call_s: float = 240.0
    busy_hours: float = 6.0
    kept_days: float = 90.0
    cores: float = 2.0
    used: float = 0.5
    spare_nodes: float = 1.0
    spare_from_calls: float = 100.0
    store_usd_per_gb: float = 0.023
    write_usd_per_1000: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure and the document that it is from."""

    value: float
    unit: str
    source: str


def read_measured(results: Path = RESULTS) -> dict[str, Measured]:
    """Return the figures that the arithmetic uses, by name.

    Raises:
        OSError: A document is missing.
        KeyError, ValueError: It is not one of the benchmark's.
    """
    sockets, index = _read(results, "capacity-1000"), _read(results, "index-5m-postgresql")
    nodes, board = _read(results, "nodes-2"), _read(results, "board-300-sent")
    largest, engine = sockets["steps"][-1], index["engines"]["postgresql"]
    found = {
        "node_ms_per_s": (sockets["lines"]["daemon"]["fixed_ms"], "ms of CPU a second", "capacity-1000"),
        "call_ms_per_s": (sockets["lines"]["daemon"]["per_call_ms"], "ms of CPU a second", "capacity-1000"),
        "setup_ms": (largest["setup_cpu_ms_per_call"], "ms of CPU", "capacity-1000"),
        "most_calls": (largest["calls"], "calls", "capacity-1000"),
        "call_kb": (largest["per_call"]["resident_kb"], "kB", "capacity-1000"),
        "stored_bytes_per_s": (nodes["stored_bytes_per_call_second"], "bytes", "nodes-2"),
        "database_ms": (nodes["database_cpu_ms_per_call"], "ms of CPU", "nodes-2"),
        "row_bytes": (engine["bytes_per_row"], "bytes", "index-5m-postgresql"),
        "rows_per_s": (engine["saving"]["one_by_one_rows_per_second"], "rows a second", "index-5m-postgresql"),
        "searched_rows": (index["rows"], "rows", "index-5m-postgresql"),
        "listed_bytes": (board["rows_bytes"] / board["calls"], "bytes", "board-300-sent"),
    }
    return {
        name: Measured(value=round(float(value), 4), unit=unit, source=f"{source}.json")
        for name, (value, unit, source) in found.items()
    }


def _read(results: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    return document


def calls_of_a_node(measured: Mapping[str, float], given: Assumptions) -> int:
    """Return how many calls at a time a node is planned for, by its cores and its call thread, as far as measured."""
    set_up_ms = measured["setup_ms"] / given.call_s
    by_cores = (1000 * given.cores * given.used - measured["node_ms_per_s"]) / (measured["call_ms_per_s"] + set_up_ms)
    by_thread = 1000 * given.used / set_up_ms
    return int(min(by_cores, by_thread, measured["most_calls"]))


def size(calls: int, measured: Mapping[str, float], given: Assumptions) -> dict[str, Any]:
    """Return what a site with so many calls at a time needs, and what its next limit is."""
    each = calls_of_a_node(measured, given)
    nodes = math.ceil(calls / each) + (int(given.spare_nodes) if calls >= given.spare_from_calls else 0)
    set_ups = calls / given.call_s
    call_seconds = calls * given.busy_hours * 3600
    calls_a_day = call_seconds / given.call_s
    stored = call_seconds * measured["stored_bytes_per_s"]
    parts = call_seconds / _PART_S
    rows = calls_a_day * given.kept_days
    limits = {
        "calls of the nodes": calls / (each * nodes),
        "rows the database writes": set_ups / (measured["rows_per_s"] * given.used),
        "rows a search was measured on": rows / measured["searched_rows"],
        "list of live calls": calls * measured["listed_bytes"] / _PAGE_BYTES,
    }
    return {
        "calls": calls,
        "calls_of_a_node": each,
        "nodes": nodes,
        "set_ups_per_s": round(set_ups, 2),
        "calls_a_day": round(calls_a_day),
        "node_mbit_per_s": round(min(calls, each) * PACKETS_PER_S * PACKET_BYTES * 8 / 1e6, 1),
        "site_mbit_per_s": round(calls * PACKETS_PER_S * PACKET_BYTES * 8 / 1e6, 1),
        "stored_gb_a_day": round(stored / _GB, 1),
        "stored_tb": round(stored * given.kept_days / _TB, 2),
        "database_cores": round(set_ups * measured["database_ms"] / 1000, 3),
        "database_rows": round(rows),
        "database_gb": round(rows * measured["row_bytes"] / _GB, 1),
        "partitions": max(1, math.ceil(rows / measured["searched_rows"])),
        "beats_per_s": round(nodes * _BEATS_PER_S, 1),
        "writes_a_day": round(calls_a_day * _OBJECTS),
        "writes_a_day_with_parts": round(calls_a_day * _OBJECTS + parts),
        "requests_usd_a_month": round(30 * calls_a_day * _OBJECTS * given.write_usd_per_1000 / 1000, 2),
        "parts_usd_a_month": round(30 * parts * given.write_usd_per_1000 / 1000, 2),
        "storage_usd_a_month": round(stored * given.kept_days / _GB * given.store_usd_per_gb, 2),
        "used": {name: round(share, 4) for name, share in limits.items()},
        "next_limit": max(limits, key=lambda name: limits[name]),
    }


def check(results: Path) -> dict[str, float]:
    """Compare what each of two real nodes costs with what one costs alone, which the arithmetic multiplies."""
    found = _read(results, "nodes-2")
    compared = {"calls_of_each_node": found["calls"] / found["nodes"]}
    for name in ("cpu_ms_per_call_second", "setup_cpu_ms_per_call"):
        alone, together = found["alone"][name][0], sum(found[name]) / found["nodes"]
        compared |= {f"{name}, alone": alone, f"{name}, of two": round(together, 3)}
        compared[f"{name}, ratio"] = round(together / alone, 2)
    return compared


def plan(results: Path = RESULTS, given: Assumptions | None = None) -> dict[str, Any]:
    """Return the whole document: figures and their sources, assumptions, each size, and the check of two nodes."""
    given = given or Assumptions()
    measured = read_measured(results)
    values = {name: one.value for name, one in measured.items()}
    return {
        "measured": {name: dataclasses.asdict(one) for name, one in measured.items()},
        "assumed": dataclasses.asdict(given),
        "sizes": [size(calls, values, given) for calls in SIZES],
        "two_nodes": check(results),
    }


_ROWS = (
    ("nodes of {cores:g} cores, {spare_nodes:g} of them spare from {spare_from_calls:g} calls on", "{nodes:,}"),
    ("calls set up a second", "{set_ups_per_s:,}"),
    ("calls a day", "{calls_a_day:,}"),
    ("network of a node; of the site, each way", "{node_mbit_per_s:,.0f}; {site_mbit_per_s:,.0f} Mbit/s"),
    ("stored a day; in {kept_days:g} days", "{stored_gb_a_day:,} GB; {stored_tb:,} TB"),
    ("rows in PostgreSQL; size", "{database_rows:,}; {database_gb:,} GB"),
    ("cores of PostgreSQL for calls; heartbeats a second", "{database_cores:,}; {beats_per_s:,}"),
    ("partitions, so that each is as large as was measured", "{partitions:,}"),
    ("writes to the object store a day; with parts", "{writes_a_day:,}; {writes_a_day_with_parts:,}"),
    ("their price a month; what parts add", "{requests_usd_a_month:,.2f}; {parts_usd_a_month:,.2f} USD"),
    ("price of storage a month", "{storage_usd_a_month:,.2f} USD"),
    ("next limit", "{next_limit}"),
)  # fmt: skip


def tables(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the tables of the page by name: ``sizes``, ``measured``, ``assumed`` and ``two nodes``."""
    sizes, assumed = document["sizes"], document["assumed"]
    lines = ["| calls at a time | " + " | ".join(f"{one['calls']:,}" for one in sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for label, form in _ROWS:
        lines.append(f"| {label.format(**assumed)} | " + " | ".join(form.format(**one) for one in sizes) + " |")
    lines += [
        f"| used: {limit} | " + " | ".join(f"{100 * one['used'][limit]:,.1f} %" for one in sizes) + " |"
        for limit in sizes[0]["used"]
    ]
    measured = [
        f"| `{name}` | {_figure(one['value'])} {one['unit']} | `{one['source']}` |"
        for name, one in document["measured"].items()
    ]
    return {
        "sizes": "\n".join(lines),
        "measured": "\n".join(["| figure | value | measured by |", "|---|---|---|", *measured]),
        "assumed": _pairs("assumption", assumed),
        "two nodes": _pairs("figure", document["two_nodes"]),
    }


def _pairs(head: str, values: Mapping[str, float]) -> str:
    return "\n".join([f"| {head} | value |", "|---|---|", *(f"| `{name}` | {one:g} |" for name, one in values.items())])


def _figure(value: float) -> str:
    return f"{value:,.4g}" if value < _KB else f"{value:,.0f}"


def page_with(page: str, document: Mapping[str, Any]) -> str:
    """Return the text of the page with its tables replaced.

    Raises:
        ValueError: It lacks the place of a table.
    """
    return with_blocks(page, tables(document))


def _assumptions(words: Sequence[str]) -> Assumptions:
    known = {one.name for one in dataclasses.fields(Assumptions)}
    given: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in known:
            raise ValueError(f"{name!r} is no assumption; there are {', '.join(sorted(known))}")
        given[name] = float(value)
        if not given[name] > 0:
            raise ValueError(f"{name} must be above 0")
    return Assumptions(**given)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 a document is missing, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--assume", nargs="+", default=[], metavar="NAME=VALUE", help="replace assumptions")
    parser.add_argument("--write", action="store_true", help="write scale.json and the tables of docs/scale.md")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    try:
        given = _assumptions(options.assume)
    except ValueError as error:
        parser.error(str(error))
    if options.write and given != Assumptions():
        parser.error("--write is for the assumptions of the page; leave out --assume")
    try:
        document = plan(given=given)
    except (OSError, KeyError, ValueError) as error:
        print(f"the arithmetic lacks a document of benchmarks/results: {error}", file=sys.stderr)
        return 1
    if options.write:
        (RESULTS / "scale.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), document), encoding="utf-8")
    print(json.dumps(document, indent=2) if options.json else "\n\n".join(tables(document).values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
