"""What are the figures of docs/capacity.md: measure them all, or take them from documents that benchmarks wrote?

Runs the benchmarks of `benchmarks.report_runs` in turn, each with its document in ``benchmarks/results``. Then makes
``benchmarks/results/report.json`` of all documents there: figures, ranges, ratios, and each run's command, machine,
commit and day. From that it makes the tables of ``docs/capacity.md`` and its plots. A run that fails leaves its former
document, and the others go on. Command: ``python -m benchmarks.report [--only NAME ...] [--quick] [--into FOLDER]
[--from FOLDER] [--list] [--dry-run] [--json]``; ``--from benchmarks/results`` measures nothing. Exit codes: 0 done, 1 a
run failed, or a sentence says why it could not be done, 2 wrong usage, 130 ended by Ctrl-C.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.page_blocks import with_blocks
from benchmarks.report_figures import UNTRACED, as_json, calculated, measured, paths, steps
from benchmarks.report_page import blocks, pictures
from benchmarks.report_runs import RUNS, Run, RunError, listed, measure

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks/results", ROOT / "docs/capacity.md"
_SETTINGS = ("calls", "rounds", "rate", "seconds")
_INTERRUPTED = 130


class ReportError(Exception):
    """The report cannot be made; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where documents are, and what is written.

    Attributes:
        documents: Folder of the benchmarks' documents.
        report: The file with all figures.
        page: What has the tables; plots are beside it.
    """

    documents: Path
    report: Path
    page: Path

    @property
    def link(self) -> str:
        """The documents' folder, as the page links to it."""
        relative = os.path.relpath(self.documents, self.page.parent)
        return "" if relative == "." else f"{relative}/"


def collect(documents: Path, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the report of a folder of documents.

    Args:
        documents: The folder.
        known: A former report. A document without a day has it from there, if it is still the same, or from git.

    Raises:
        ReportError: A document is not one of its benchmark.
    """
    read = {run.name: _read(documents / f"{run.document}.json") for run in RUNS}
    found = {name: document for name, document in read.items() if document is not None}
    figures, series = {}, {}
    for name, document in found.items():
        try:
            figures.update(measured(name, document))
            series.update({name: steps(document)} if name in ("sockets", "kernel") else {})
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ReportError(f"the document of {name!r} is not one of that benchmark: {error!r}") from error
    return {
        "runs": {run.name: _about(run, documents, read[run.name], known or {}) for run in RUNS},
        "figures": as_json(figures | calculated()),
        "series": series,
        "paths": paths(found["peers"]) if "peers" in found else [],
        "untraced": [dataclasses.asdict(one) for one in UNTRACED],
    }


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ReportError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ReportError(f"{path} is no document of a benchmark")
    return document


def _about(run: Run, documents: Path, document: Mapping[str, Any] | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a run; without a document only that there is none."""
    path = documents / f"{run.document}.json"
    about: dict[str, Any] = {"measures": run.measures, "document": path.name}
    if document is None:
        return about | {"sha256": None}
    digest, commit = hashlib.sha256(path.read_bytes()).hexdigest(), document.get("commit", "unknown")
    former = known.get("runs", {}).get(run.name, {})
    is_same = former.get("sha256") == digest
    dated = (
        {"date": document["date"], "dated_by": "run"} if "date" in document else _dated(former if is_same else {}, path)
    )
    return about | {
        "sha256": digest,
        "command": document.get("command"),
        "settings": _settings(document),
        "is_quick": document.get("is_quick", False),
        "machine": document["machine"],
        "commit": commit,
        "is_clean": commit != "unknown" and not commit.endswith("-dirty"),
        **dated,
    }


def _settings(document: Mapping[str, Any]) -> dict[str, Any]:
    """How it was run, as far as the document says: a list of what each step had."""
    in_steps = {
        name: [step[name] for step in document.get("steps", []) if name in step] or None for name in ("calls", "rate")
    }
    found = {name: document.get(name, in_steps.get(name)) for name in _SETTINGS}
    return {name: value for name, value in found.items() if value is not None}


def _dated(former: Mapping[str, Any], path: Path) -> dict[str, Any]:
    if former:
        return {name: former[name] for name in ("date", "dated_by")}
    command = ["git", "-C", str(path.parent), "log", "-1", "--format=%cI", "--", path.name]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        said = ""
    return {"date": said or None, "dated_by": "commit"}


def write(report: Mapping[str, Any], places: Places) -> list[Path]:
    """Write the report, the page and its plots; return their paths.

    Raises:
        ReportError: A figure has no source, or the page no place for a table.
    """
    try:
        page = with_blocks(PAGE.read_text(encoding="utf-8"), blocks(report, places.link))
    except ValueError as error:
        raise ReportError(str(error)) from error
    texts = {places.report: json.dumps(report, indent=2) + "\n", places.page: page}
    texts |= {places.page.parent / name: text for name, text in pictures(report).items()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _print_plan(runs: Sequence[Run], places: Places, options: argparse.Namespace) -> None:
    planned = listed(runs, is_quick=options.quick)
    if options.json:
        print(json.dumps(planned, indent=2))
        return
    for one in planned:
        needs = f"; needs {one['needs']}" if one["needs"] else ""
        print(f"{one['name']}: {one['measures']}\n  about {_minutes(one['takes_s'])}{needs}\n  {one['command']}")
    print(f"in all about {_minutes(sum(one['takes_s'] for one in planned))}")
    if options.dry_run:
        print(f"documents would go to {places.documents}, the tables into {places.page}; nothing was run or written")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure_all(runs: Sequence[Run], folder: Path, *, is_quick: bool) -> dict[str, str]:
    """Run benchmarks in turn, each with its document in a folder; return why each failed, by name.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; documents of what had ended are there.
    """
    failed: dict[str, str] = {}
    for number, run in enumerate(runs, 1):
        command, about = " ".join(run.command(is_quick=is_quick)), _minutes(run.duration_s(is_quick=is_quick))
        _tell(f"{number} of {len(runs)}, {run.name}, about {about}: {command}")
        try:
            document = measure(run, folder, is_quick=is_quick)
        except RunError as error:
            failed[run.name] = str(error)
            _tell(f"{run.name} failed: {error}")
        else:
            _tell(f"{run.name} took {_minutes(document['took_s'])}")
    return failed


def _places(options: argparse.Namespace) -> Places:
    """Where things are; a short run has a folder of its own, because its figures are not for the page.

    Raises:
        ReportError: There are no documents, or figures would be linked to some outside of the project.
    """
    if options.source is not None and not options.source.is_dir():
        raise ReportError(f"there is no folder {options.source}; name the one that the benchmarks wrote to")
    into = options.into or (Path(tempfile.gettempdir()) / f"recorder-report-{os.getpid()}" if options.quick else None)
    if into is not None:
        return Places(documents=options.source or into, report=into / "report.json", page=into / PAGE.name)
    if options.source is not None and options.source.resolve() != RESULTS:
        raise ReportError(f"the page links to documents in {RESULTS}: copy them there, or write elsewhere with --into")
    return Places(documents=RESULTS, report=RESULTS / "report.json", page=PAGE)


def refuse_short_runs(report: Mapping[str, Any]) -> None:
    """Keep figures of short runs off the page of the project.

    Raises:
        ReportError: A run was a short one.
    """
    if short := [name for name, run in report["runs"].items() if run.get("is_quick")]:
        raise ReportError(f"figures of short runs are not for the page; measure without --quick: {', '.join(short)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=(__doc__ or "").partition("\n")[0])
    names = [run.name for run in RUNS]
    parser.add_argument("--from", dest="source", type=Path, metavar="FOLDER", help="run nothing: take its documents")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="write documents, report and page there")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help="run these alone")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that each works; not for the page")
    parser.add_argument("--list", action="store_true", help="list the runs, and run nothing")
    parser.add_argument("--dry-run", action="store_true", help="say what would run and for how long, and run nothing")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; see the module for the exit codes."""
    parser = _parser()
    options = parser.parse_args(arguments)
    runs = [run for run in RUNS if run.name in options.only]
    if options.source is not None and (options.quick or len(runs) < len(RUNS)):
        parser.error("--from runs nothing: leave out --quick and --only")
    failed, status = {}, 0
    try:
        places = _places(options)
        if options.list or options.dry_run:
            _print_plan([] if options.source else runs, places, options)
            return 0
        places.page.parent.mkdir(parents=True, exist_ok=True)
        try:
            failed = {} if options.source else measure_all(runs, places.documents, is_quick=options.quick)
            status = 1 if failed else 0
        except KeyboardInterrupt:
            _tell("ended; the report has what was measured until now")
            status = _INTERRUPTED
        report = collect(places.documents, _read(places.report))
        if places.page == PAGE:
            refuse_short_runs(report)
        written = write(report, places)
    except (ReportError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({**report, "failed": failed}, indent=2))
    else:
        _print_summary(report, written, failed)
    return status


def _print_summary(report: Mapping[str, Any], written: Sequence[Path], failed: Mapping[str, str]) -> None:
    missing = [name for name, run in report["runs"].items() if run["sha256"] is None]
    print(f"{len(report['figures'])} figures; written: {', '.join(str(path) for path in written)}")
    if missing:
        print(f"without a document, and so not on the page: {', '.join(missing)}")
    for name, reason in failed.items():
        print(f"{name} failed: {reason}")
    print("docs/scale.md is of the same documents: `python -m benchmarks.scale --write`")


if __name__ == "__main__":
    sys.exit(main())
