"""Commands that keep the store in order: verify and recover."""

import sys
from collections.abc import Iterator
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.clock import utc_now
from recorder.commands.records import opened_index, row_of
from recorder.commands.shared import (
    HomeOption,
    JsonOption,
    fail,
    load_home,
    messages,
    print_json,
    print_table,
    progress_bar,
    say,
)
from recorder.inspection import Inspector
from recorder.opening import AlreadyRunningError, held, recover_all
from storage.errors import StorageError
from storage.keys import NodeKeys
from storage.types import RecordingRow, Verification
from storage.vault import Vault


def verify(
    recording: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every recording in the vault.")] = False,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Prove that recordings are as they were closed and as the index says; needs no private key."""
    if (recording is None) != all_:
        fail("give either an ID or --all", 2)
    place, config = load_home(home)
    try:
        with opened_index(place, config) as index:
            inspector = Inspector(vault=Vault(place.root, NodeKeys.load(place.root)), index=index)
            found = _inspected(inspector, None if recording is None else row_of(place, config, recording))
            wrong = _print_stream(found) if json else _print_findings(found, is_all=all_)
    except StorageError as error:
        fail(str(error))
    if wrong:
        raise typer.Exit(1)


def _inspected(inspector: Inspector, row: RecordingRow | None) -> Iterator[dict[str, Any]]:
    """Verify one recording or all, with a progress bar on a terminal."""
    if row is not None:
        if row.path is None:
            fail(f"nothing was kept of {row.id}: {row.outcome}, {row.reason}")
        yield _finding(inspector.one(row))
        return
    total = sum(1 for _ in inspector.vault.finished()) if messages.is_terminal else 0
    with progress_bar("verifying", total) as progress:
        for number, result in enumerate(inspector.all(), 1):
            progress(number, total)
            yield _finding(result)


def _finding(result: Verification) -> dict[str, Any]:
    return {
        "id": result.id,
        "ok": result.problem is None,
        "is_complete": result.is_complete,
        "bytes": result.bytes,
        "sha256": result.sha256,
        "signed_by": result.signed_by,
        "problem": result.problem,
    }


def _print_stream(found: Iterator[dict[str, Any]]) -> int:
    """Print findings as one JSON document while they come; returns how many are wrong."""
    wrong = 0
    sys.stdout.write("[")
    for number, one in enumerate(found):
        wrong += not one["ok"]
        sys.stdout.write((",\n" if number else "\n") + dumps(one))
    sys.stdout.write("\n]\n")
    return wrong


def _print_findings(found: Iterator[dict[str, Any]], *, is_all: bool) -> int:
    """Print a table - of all recordings only what is wrong - and a sum; returns how many are wrong."""
    listed, count, wrong = [], 0, 0
    for one in found:
        count += 1
        wrong += not one["ok"]
        if not (is_all and one["ok"]):
            listed.append(one)
    columns = [("id", "Recording"), ("ok", "Unchanged"), ("is_complete", "Complete"), ("problem", "Problem")]
    if listed:
        print_table(listed, columns, empty="")
    say(f"{count - wrong} of {count} recordings are unchanged" if count else "there are no finished recordings")
    return wrong


def recover(home: HomeOption = Path(), json: JsonOption = False) -> None:
    """Close what a killed daemon left open, as partial recordings; needs no private key."""
    place, config = load_home(home)
    try:
        with held(place):
            recovered = recover_all(place, config, utc_now())
    except AlreadyRunningError as error:
        fail(f"{error}; it recovered what was left when it started")
    except (StorageError, OSError) as error:
        fail(str(error))
    rows = [{"id": r.id, "cut_bytes": r.cut_bytes, "problem": r.problem, "ok": r.problem is None} for r in recovered]
    if json:
        print_json(rows)
    else:
        columns = [("id", "Recording"), ("ok", "Recovered"), ("cut_bytes", "Torn bytes cut"), ("problem", "Problem")]
        print_table(rows, columns, empty="nothing was left open")
    if any(r.problem for r in recovered):
        raise typer.Exit(1)
