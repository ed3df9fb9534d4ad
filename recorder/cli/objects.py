"""`recorder objects`: finished recordings in the object store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from recorder.calls.filing import FOLDER
from recorder.cli.context import CommandContext, HomeContext
from recorder.cli.entries import note_unnamed
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, messages, print_table, progress_bar, say
from recorder.cli.records import opened_index
from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from recorder.common.plain_text import size_words
from recorder.objects.checking import CheckedObjects, ObjectChecker
from recorder.objects.elsewhere import WORKING, open_objects
from recorder.objects.parts import PartRestorer
from recorder.objects.status import ObjectsHealth
from recorder.objects.work import Round
from recorder.recordings.home_lock import AlreadyRunningError, held
from recorder.recordings.home_stores import open_vault
from recorder.recordings.object_work import open_object_work
from recorder.service.object_process import LOCK
from storage.errors import DamagedError
from storage.index import Index
from storage.object_queries import ObjectQueries, ObjectState, StoredObject
from storage.objects import Objects
from storage.rows import time_to_json
from storage.tombstones import Deletions

CHECKED, RESTORED = "objects.checked", "objects.restored"
"""Acts of the audit log."""
_MOST = 1000
_NONE = "no object store is configured: set url in [objects] of recorder.toml; docs/several-machines.md says how"

_COLUMNS = [
    ("recording", "Recording"), ("state", "State"), ("since", "Since"), ("locked_until", "Locked until"),
    ("problem", "Problem"),
]  # fmt: skip


def status(context: HomeContext) -> None:
    """Show how many recordings are stored, and list those that wait or cannot be removed yet.

    Exit 1 if any has waited too long, or the store or the process that stores them does not answer.
    """
    with _opened(context) as index:
        queries = ObjectQueries(index.database)
        counts = queries.counts()
        waiting = [
            one for state in (ObjectState.REMOVING, ObjectState.WAITING) for one in queries.in_state(state, limit=_MOST)
        ]
    health = ObjectsHealth(
        state=context.home.state, options=lambda: context.config.objects, now=utc_now
    ).look()  # fmt: skip
    document = {
        "url": context.config.objects.url, "stored": counts.stored, "stored_bytes": counts.stored_bytes,
        "only_there": counts.released, "waiting": counts.waiting, "waiting_bytes": counts.waiting_bytes,
        "removing": counts.removing, "locked": counts.locked, "locked_until": time_to_json(counts.locked_until),
        "problem": health["problem"], "at": health["at"], "alarms": health["alarms"],
        "not_done": [_line(one) for one in waiting],
    }  # fmt: skip
    if context.json:
        context.tell(document, "")
    else:
        say(f"{counts.stored} recordings, {size_words(counts.stored_bytes)}, are in {context.config.objects.url}")
        rest = f"{counts.waiting} wait to be stored, {counts.removing} to be removed"
        say(f"{counts.released} of them are only in the store; {rest}")
        if waiting:
            print_table([_line(one) for one in waiting], _COLUMNS, empty="")
        if health["problem"]:
            say(health["problem"])
    if health["alarms"] or health["problem"]:
        raise typer.Exit(1)


def push(
    context: HomeContext,
    dry_run: DryRunOption = False,
) -> None:
    """Store every recording that waits, and remove what must go, now. The daemon does this automatically.

    For a machine without a running daemon. Exit 1 if anything is left undone.
    """
    with _opened(context) as index:
        if dry_run:
            _show_plan(context, index)
            return
        with locked(context.home.state / LOCK, wait=False) as is_alone:
            if not is_alone:
                fail("the daemon stores recordings already: `recorder objects show` shows how far it is")
            done = _push(context, index)
    context.tell(
        {"uploaded": done.uploaded, "removed": done.removed, "released": done.released, "problems": done.problems},
        f"{done.uploaded} recordings stored, {done.removed} removed, {done.released} removed from this disk; "
        f"{len(done.problems)} problems",
    )
    if not context.json:
        for recording, problem in done.problems.items():
            say(f"recording {recording}: {problem}")
    if done.problems:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Pushed:
    """Sums over several rounds."""

    uploaded: int
    removed: int
    released: int
    problems: dict[str, str]

    def add(self, one: Round) -> None:
        self.uploaded += one.uploaded
        self.removed += len(one.gone.recordings)
        self.released += one.released
        self.problems |= one.problems
        for recording, left in one.gone.left.items():
            self.problems[recording] = f"{len(left)} versions are left: {left[0].why}"


def _push(context: CommandContext, index: Index) -> _Pushed:
    work, done = open_object_work(context.home, context.config, index), _Pushed(0, 0, 0, {})
    work.find_new()
    counts = ObjectQueries(index.database).counts(has_stored=False)
    total = counts.waiting + counts.removing
    with progress_bar("storing", total if messages.is_terminal else 0) as progress:
        while True:
            one = work.round()
            done.add(one)
            progress(min(done.uploaded + done.removed, total), total)
            if one.problem:
                fail(one.problem)
            if not one.has_more:
                return done


def _show_plan(context: CommandContext, index: Index) -> None:
    work = open_object_work(context.home, context.config, index)
    new = [row for rows in work.new() for row in rows]
    counts = ObjectQueries(index.database).counts(has_stored=False)
    document = {
        "waiting": counts.waiting + len(new),
        "waiting_bytes": counts.waiting_bytes + sum(one.bytes or 0 for one in new),
        "removing": counts.removing,
    }  # fmt: skip
    context.tell(
        document,
        f"{document['waiting']} recordings, {size_words(document['waiting_bytes'])}, would be stored in "
        f"{context.config.objects.url}, and {counts.removing} removed there",
    )


def restore(
    context: HomeContext,
    dry_run: DryRunOption = False,
) -> None:
    """Restore, from their parts, recordings of calls that were in progress when this node's disk was lost.

    In a home with the node's own keys, before the daemon is started; then run `recorder recordings recover`, which
    closes and files them. Exit 1 if one cannot be restored.
    """
    with _opened(context) as index, held(context.home):
        restorer = PartRestorer(
            store=open_objects(context.config.objects, context.home.state, WORKING),
            vault=open_vault(context.home, context.config, index), index=index, objects=Objects(index.database),
            filed_soon={path.stem for path in (context.home.state / FOLDER).glob("*.json")},
        )  # fmt: skip
        done: list[str] = []
        problems: dict[str, str] = {}
        for one in restorer.lost():
            try:
                if not dry_run:
                    restorer.restore(one)
                done.append(one.recording)
            except DamagedError as error:
                problems[one.recording] = str(error)
    if not dry_run:
        note_unnamed(context.home, RESTORED, {"recordings": done})
    context.tell(
        {"restored": done, "problems": problems},
        f"{len(done)} recordings {'would be' if dry_run else 'were'} restored, {len(problems)} could not be"
        + ("; run `recorder recordings recover` now" if done and not dry_run else ""),
    )
    if not context.json:
        for recording, problem in problems.items():
            say(f"recording {recording}: {problem}")
    if problems:
        raise typer.Exit(1)


def check(
    context: HomeContext,
    thorough: Annotated[bool, typer.Option("--thorough", help="Read every object and compare its digest.")] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="File recordings in the store that the index lacks, after it was lost.")
    ] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Compare the store with the list of recordings that are in it, by name, size and sealed key.

    What is wrong is stored again from this machine's disk. Objects of deleted recordings that came back are removed.
    Exit 1 if anything is wrong.
    """
    note_unnamed(context.home, CHECKED, {"thorough": thorough, "adopt": adopt, "dry_run": dry_run})
    with _opened(context) as index:
        checker = ObjectChecker(
            store=open_objects(context.config.objects, context.home.state, WORKING),
            vault=open_vault(context.home, context.config, index), index=index, objects=Objects(index.database),
            deletions=Deletions(index.database), now=utc_now, is_thorough=thorough, is_dry=dry_run, is_adopting=adopt,
        )  # fmt: skip
        total = checker.objects.counts().stored if messages.is_terminal else 0
        with progress_bar("comparing", total) as progress:
            done = checker.check(progress)
    _tell_checked(context, done, is_dry=dry_run)
    if not done.is_good:
        raise typer.Exit(1)


def _tell_checked(context: CommandContext, done: CheckedObjects, *, is_dry: bool) -> None:
    context.tell(
        done.as_json(),
        f"{done.checked} recordings were compared: {len(done.problems)} are wrong, {len(done.returned)} were deleted "
        f"and {'would be' if is_dry else 'are'} removed again, {len(done.adopted)} were filed, {len(done.unknown)} "
        "objects are unknown",
    )
    if not context.json:
        for recording, problem in done.problems.items():
            say(f"recording {recording}: {problem}")
        for digest, problem in done.unknown.items():
            say(f"object {digest}: {problem}")


@contextmanager
def _opened(context: CommandContext) -> Iterator[Index]:
    """Open the index, and exit with a message if the store or the disk fails."""
    if context.config.objects.url is None:
        fail(_NONE, 2)
    try:
        with opened_index(context) as index:
            yield index
    except AlreadyRunningError as error:
        fail(f"{error}: stop it first")


def _line(one: StoredObject) -> dict[str, Any]:
    return {
        "recording": one.recording, "state": str(one.state), "since": time_to_json(one.since), "bytes": one.size,
        "locked_until": time_to_json(one.locked_until), "problem": one.problem,
    }  # fmt: skip
