"""`recorder recordings verify` and `recorder recordings recover`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from recorder.cli import completion
from recorder.cli.context import HomeContext
from recorder.cli.entries import note_unnamed
from recorder.cli.output import fail, messages, print_json_list, print_table, progress_bar, say
from recorder.cli.records import opened_index, row_of
from recorder.common.clock import utc_now
from recorder.recordings.home_lock import AlreadyRunningError, held
from recorder.recordings.home_stores import open_vault
from recorder.recordings.inspection import Inspector
from recorder.recordings.recovery import recover_all
from recorder.recordings.verifying import day_of, due_slices, note_slices, read_verified, slice_of
from storage.rows import time_to_json
from storage.types import RecordingId, RecordingRow, Verification
from storage.unfinished import UnfinishedRecordings

VERIFIED, RECOVERED = "recording.verified", "recording.recovered"
"""Acts of the audit log."""


def verify(
    context: HomeContext,
    recording: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="A recording's id, or its beginning.", autocompletion=completion.recordings
        ),
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All recordings.")] = False,
    due: Annotated[
        bool,
        typer.Option("--due", help="Those whose turn it is, so that each is read within `[storage] verify_days`."),
    ] = False,
) -> None:
    """Verify that recordings are unchanged and match the index. Needs no private key.

    With --all or --due the result is in health, which has an alarm while something is wrong, or if nothing was verified
    for three days. A timer runs it with --due each night.
    """
    if (recording is not None) + all_ + due != 1:
        fail("give either an ID, --all or --due", 2)
    note_unnamed(context.home, VERIFIED, {"all": all_, "due": due})
    state, slices, began = context.home.state, context.config.storage.verify_days, utc_now()
    turns = due_slices(read_verified(state).day, day_of(began), slices) if due else frozenset(range(slices))
    with opened_index(context) as index:
        inspector = Inspector(vault=open_vault(context.home, context.config, index), index=index)
        tally = _Tally()
        row = None if recording is None else row_of(context, recording)
        found = tally.counted(_inspected(inspector, row, lambda one: slice_of(one, slices) in turns))
        if context.json:
            print_json_list(found)
        else:
            _print_findings(found, is_all=recording is None)
    if recording is None:
        note_slices(state, began, turns, of=slices, checked=tally.count, problems=tally.problems)
    if not context.json:
        sentence = f"{tally.count - tally.wrong} of {tally.count} recordings are unchanged"
        say(sentence if tally.count else "there are no finished recordings")
    if tally.wrong:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Tally:
    """Counts findings while they are passed on."""

    count: int = 0
    wrong: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def counted(self, found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for one in found:
            self.count += 1
            self.wrong += not one["ok"]
            if one["problem"] is not None:
                self.problems[one["id"]] = one["problem"]
            yield one


def _inspected(
    inspector: Inspector, row: RecordingRow | None, chosen: Callable[[RecordingId], bool]
) -> Iterator[dict[str, Any]]:
    if row is not None:
        if row.path is None:
            fail(f"{row.id} has no recording: {row.outcome}, {row.reason}")
        yield _finding(inspector.one(row))
        return
    total = 0
    if messages.is_terminal:
        total = sum(1 for path in inspector.vault.finished() if chosen(RecordingId(path.stem)))
    with progress_bar("verifying", total) as progress:
        for number, result in enumerate(inspector.all(chosen), 1):
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


def _print_findings(found: Iterator[dict[str, Any]], *, is_all: bool) -> None:
    """Print findings as a table; of all recordings only the faulty ones."""
    listed = [one for one in found if not (is_all and one["ok"])]
    columns = [("id", "Recording"), ("ok", "Unchanged"), ("is_complete", "Complete"), ("problem", "Problem")]
    if listed:
        print_table(listed, columns, empty="")


def recover(
    context: HomeContext,
    elsewhere: Annotated[
        bool,
        typer.Option("--elsewhere", help="List unfinished recordings of nodes that are away; change nothing."),
    ] = False,
) -> None:
    """Close recordings that a killed daemon left open, as partial recordings. Needs no private key."""
    if elsewhere:
        _list_elsewhere(context)
        return
    try:
        with held(context.home), progress_bar("recovering", 0) as progress:
            recovered = recover_all(context.home, context.config, utc_now(), progress=progress)
    except AlreadyRunningError as error:
        fail(f"{error}; it recovered open recordings when it started")
    note_unnamed(context.home, RECOVERED, {"closed": len(recovered)})
    rows = [{"id": r.id, "cut_bytes": r.cut_bytes, "problem": r.problem, "ok": r.problem is None} for r in recovered]
    columns = [("id", "Recording"), ("ok", "Recovered"), ("cut_bytes", "Torn bytes cut"), ("problem", "Problem")]
    context.print_rows(rows, columns, empty="nothing was left open")
    if any(r.problem for r in recovered):
        raise typer.Exit(1)


def _list_elsewhere(context: HomeContext) -> None:
    if not context.config.is_shared_index:
        fail("this recorder has its index for itself, so there are no other nodes: leave out --elsewhere")
    with opened_index(context) as index:
        found = UnfinishedRecordings(index.database).of_nodes_away()
    rows = [
        {
            "id": one.recording, "node": one.node, "started_at": time_to_json(one.started_at),
            "seen_at": time_to_json(one.seen_at),
        }
        for one in found
    ]  # fmt: skip
    columns = [("id", "Recording"), ("node", "On node"), ("started_at", "Began"), ("seen_at", "Node last seen")]
    context.print_rows(rows, columns, empty="no node that is away has an unfinished recording")
    if rows and not context.json:
        say("they are on that node's disk; its daemon adds them to the index when it starts again")
