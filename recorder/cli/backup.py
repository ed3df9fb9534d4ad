"""`recorder backups add`, `recorder backups` and `recorder backups restore`."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from recorder.backups.backup import Backup, Made
from recorder.backups.checking import BackupChecker, list_snapshots
from recorder.backups.destinations import open_store
from recorder.backups.rehearsal import FOLDER, Rehearsal
from recorder.backups.restore import Restore, Restored
from recorder.backups.restore_plan import public_key_of
from recorder.backups.snapshots import Repository
from recorder.cli.context import CommandContext, HomeContext
from recorder.cli.entries import note_unnamed
from recorder.cli.options import DryRunOption, JsonOption
from recorder.cli.output import fail, messages, print_json, print_table, say
from recorder.cli.records import opened_index
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.plain_text import size_words
from recorder.common.system_user import os_user
from recorder.config.store_urls import is_object_store, overlap
from recorder.rules import times
from storage.audit import AuditLog
from storage.keys import NodeKeys

CHECKED = "backup.checked"
"""Act of the audit log."""


Report = Callable[[str, int, int], None]
DestinationArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[DEST]", help="An existing folder, or s3://BUCKET/PREFIX; without it, `[backup] destination`."
    ),
]
KeysOption = Annotated[
    str | None,
    typer.Option(
        "--keys", metavar="DEST2", help="Another one, for the keys; without it, `[backup] keys_destination`, if set."
    ),
]
S3Option = Annotated[
    Path | None,
    typer.Option("--s3-file", metavar="FILE", help="Account of an object store, instead of `[backup] s3_file`."),
]
KeysS3Option = Annotated[
    Path | None,
    typer.Option(
        "--keys-s3-file", metavar="FILE",
        help="Account of the keys' object store, instead of `[backup] keys_s3_file`; without either, the other one.",
    ),
]  # fmt: skip
_LINE_EVERY = 10
"""Without a terminal, progress is a line each tenth of the work."""


def backup(
    context: HomeContext,
    destination: DestinationArgument = None,
    keys: KeysOption = None,
    s3_file: S3Option = None,
    keys_s3_file: KeysS3Option = None,
    init: Annotated[bool, typer.Option("--init", help="Begin a new destination in an empty folder.")] = False,
    dry_run: DryRunOption = False,
) -> None:
    """Back up the recorder, while daemon and console run, and verify the copy.

    Only new and changed recordings are copied. Keys are copied only to a folder of their own. Run it as the user that
    owns the recorder's home. An interrupted backup leaves the last complete snapshot as it is: run it again. Exit 1 if
    anything is missing in the backup, such as a recording that was altered or removed here; the rest is copied.
    """
    home = context.home
    _check_user(home)
    with opened_index(context) as index:
        node = NodeKeys.load(home.root)
        where, keys = _destination(context, destination), keys or context.config.backup.keys_destination
        data = _repository(context, where, s3_file, node)
        of_keys = None if keys is None else _keys_repository(context, _apart(where, keys), s3_file, keys_s3_file, node)
        made = Backup(
            home=home, config=context.config, repository=data, keys=of_keys, node=node, database=index.database,
            audit=AuditLog(home.audit), now=utc_now, by=f"os:{os_user()}",
        )  # fmt: skip
        for one in (data, of_keys):
            if one is not None and init and not dry_run:
                one.create(node, utc_now())
            elif one is not None and not init:
                one.check_owner()
        if dry_run:
            _show_plan(context, made)
            return
        with reporting(is_quiet=context.json) as report:
            done = made.run(report)
    _tell_made(context, data, done)


def _tell_made(context: CommandContext, data: Repository, done: Made) -> None:
    for problem in done.problems:
        say(problem)
    if done.keys_at is None:
        say("no keys were copied: give --keys DEST2 once after each change of the keys; without them nothing opens")
    elif done.open_private_keys:
        say(
            f"{done.open_private_keys} private keys have no passphrase: "
            f"who has {done.keys_at} and {data.store.name} can listen"
        )
    context.tell(
        done.as_json(),
        f"snapshot {done.snapshot} in {data.store.name}: {done.recordings} recordings, {done.files} files, "
        f"{size_words(done.bytes)}, of which {size_words(done.new_bytes)} are new; verified"
        + (f", but with {len(done.problems)} problems, named above" if done.problems else ""),
    )
    if done.problems:
        raise typer.Exit(1)


def _show_plan(context: CommandContext, made: Backup) -> None:
    plan = made.plan()
    document = {"recordings": plan.recordings, "new_recordings": plan.new_recordings, "new_bytes": plan.new_bytes}
    context.tell(
        document,
        f"{plan.new_recordings} of {plan.recordings} recordings are new or changed; {size_words(plan.new_bytes)} would "
        "be copied, with databases and audit log",
    )


def list_(context: HomeContext, destination: DestinationArgument = None, s3_file: S3Option = None) -> None:
    """List the complete snapshots at a destination, oldest first."""
    node = NodeKeys.load(context.home.root)
    repository = _repository(context, _destination(context, destination), s3_file, node)
    repository.check_owner()
    found = list_snapshots(repository)
    lines = [
        {
            "id": one.id, "at": one.at and times.short_moment(one.at, context.zone), "by": one.by,
            **{str(name): size_words(size) for name, (_, size) in one.classes.items()}, "problem": one.problem,
        }
        for one in found
    ]  # fmt: skip
    columns = [
        ("id", "Snapshot"), ("at", "Begun"), ("by", "By"), ("media", "Recordings"), ("index", "Index"),
        ("accounts", "Accounts"), ("audit", "Audit log"), ("keys", "Keys"), ("problem", "Problem"),
    ]  # fmt: skip
    context.print_rows([one.as_json() for one in found], columns, empty="there is no snapshot", lines=lines)


def check(context: HomeContext, destination: DestinationArgument = None, s3_file: S3Option = None) -> None:
    """Read every snapshot at a destination, and verify signatures and digests. Exit 1 if anything is wrong."""
    note_unnamed(context.home, CHECKED, {"destination": _destination(context, destination)})
    node = NodeKeys.load(context.home.root)
    repository = _repository(context, _destination(context, destination), s3_file, node)
    checker, done = BackupChecker(repository), 0
    with reporting(is_quiet=context.json) as report:

        def read(size: int) -> None:
            nonlocal done
            done += size
            report("reading", done, 0)

        problems = list(checker.problems(read))
    if context.json:
        print_json({"pieces": checker.checked, "problems": problems})
    else:
        for problem in problems:
            say(problem)
        say(f"{checker.checked} pieces were read in {repository.store.name}: {len(problems)} problems")
    if problems:
        raise typer.Exit(1)


def rehearse(
    context: HomeContext,
    destination: DestinationArgument = None,
    keys: KeysOption = None,
    s3_file: S3Option = None,
    keys_s3_file: KeysS3Option = None,
    snapshot: Annotated[str | None, typer.Option("--snapshot", metavar="ID", help="Not the newest one.")] = None,
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="FOLDER", help="Where to restore to; without it, `rehearsal` in the home."),
    ] = None,
) -> None:
    """Restore a backup on trial: into a scratch folder, verify every recording, open some, and remove it all again.

    The recorder goes on meanwhile. The result is in the audit log and in health, which has an alarm if it failed, or if
    there was none for 40 days. Exit 1 if the backup could not be restored as it should.
    """
    home = context.home
    _check_user(home)
    node, where = NodeKeys.load(home.root), _destination(context, destination)
    keys = keys or context.config.backup.keys_destination
    if keys is None:
        fail(
            "name the destination of the keys: --keys DEST2, or keys_destination in [backup]; nothing opens without", 2
        )
    rehearsal = Rehearsal(
        data=_repository(context, where, s3_file, node),
        keys=_keys_repository(context, _apart(where, keys), s3_file, keys_s3_file, node), home=home,
        scratch=(into or home.root / FOLDER).absolute(), snapshot=snapshot, now=utc_now, clock=time.monotonic,
        by=f"os:{os_user()}",
    )  # fmt: skip
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # at a shutdown no private key stays behind
    with reporting(is_quiet=context.json) as report:
        done = rehearsal.run(report)
    for problem in done.problems if not context.json else ():
        say(problem)
    context.tell(
        done.as_json(),
        f"snapshot {done.snapshot or 'none'}: {done.recordings} recordings verified, {done.opened} opened, in "
        f"{done.took_s:.0f} s; {len(done.problems)} problems; the copy is removed",
    )
    if done.problems:
        raise typer.Exit(1)


def restore(
    source: Annotated[str, typer.Argument(metavar="SRC", help="The destination that `recorder backups add` wrote to.")],
    home: Annotated[
        Path, typer.Option("-C", "--home", metavar="NEW", help="The new home: a folder that is missing or empty.")
    ],
    keys: Annotated[str, typer.Option("--keys", metavar="SRC2", help="The destination of the keys.")],
    s3_file: Annotated[
        Path | None, typer.Option("--s3-file", metavar="FILE", help="Account of an object store.")
    ] = None,
    keys_s3_file: KeysS3Option = None,
    snapshot: Annotated[str | None, typer.Option("--snapshot", metavar="ID", help="Not the newest one.")] = None,
    index_url: Annotated[
        str | None,
        typer.Option("--index-url", metavar="URL", help='Another database for the index; "off": a file in NEW.'),
    ] = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
) -> None:
    """Restore a recorder into a new folder, replay what happened since, and verify every recording.

    Nothing is ever overwritten. If it is interrupted, run it again. Recordings that were deleted after the snapshot
    do not come back. Afterwards nothing is deleted before `recorder index reconcile`. Exit 1 if a recording does not
    verify.
    """
    made: Restored | None = None
    of_keys = open_store(_absolute(keys), keys_s3_file or s3_file)
    public = public_key_of(of_keys)
    new = Restore(
        data=Repository(open_store(_absolute(source), s3_file), public), keys=Repository(of_keys, public),
        home=Home(home.resolve()), snapshot=snapshot, index_url=index_url, now=utc_now, by=f"os:{os_user()}",
    )  # fmt: skip
    if dry_run:
        plan = new.plan().as_json()
    else:
        with reporting(is_quiet=json) as report:
            made = new.run(report)
        plan = made.as_json()
    if json:
        print_json(plan | {"dry_run": dry_run})
    else:
        rows = [
            {"what": key.replace("_", " "), "is": value}
            for key, value in plan.items()
            if not isinstance(value, dict | list)
        ]
        print_table(rows, [("what", "What"), ("is", "Is")], empty="")
    if made is not None:
        _tell_restored(made, home)


def _tell_restored(made: Restored, home: Path) -> None:
    for note in made.notes:
        say(note)
    for sentence in made.settled.access.closed:
        say(f"closed, as the audit log says: {sentence}")
    for sentence in made.settled.access.decide:
        say(f"to decide: {sentence}")
    for month in made.settled.months_without_key:
        say(f"recordings are sealed to {month}, whose private key was not in the backup of the keys: they do not open")
    for recording, problem in made.settled.problems.items():
        say(f"{recording}: {problem}")
    say(f"restored into {home}; next: recorder site-check, start it, then the DPO's recorder index reconcile")
    if made.settled.problems:
        raise typer.Exit(1)


# --- destinations


def _absolute(destination: str) -> str:
    return destination if is_object_store(destination) else str(Path(destination).resolve())


def _destination(context: CommandContext, given: str | None) -> str:
    found = given or context.config.backup.destination
    if found is None:
        fail("name the destination: recorder backups add DEST, or set destination in [backup]", 2)
    return _absolute(found)


def _repository(context: CommandContext, destination: str, s3_file: Path | None, node: NodeKeys) -> Repository:
    if overlap(destination, str(context.home.root)):
        fail(f"{destination} must lie outside the recorder's home: a copy on the same disk is lost with it", 2)
    store = open_store(destination, s3_file or context.config.backup.s3_path, context.home.state)
    return Repository(store, node.sign_public)


def _keys_repository(
    context: CommandContext, destination: str, s3_file: Path | None, keys_s3_file: Path | None, node: NodeKeys
) -> Repository:
    """Return the destination of the keys, which may have an account of its own: who has one need not have the other."""
    account = keys_s3_file or s3_file or context.config.backup.keys_s3_path
    return _repository(context, destination, account, node)


def _apart(data: str, keys: str) -> str:
    found = _absolute(keys)
    if overlap(found, data):
        fail("the keys must go to a different place: anyone who has both can listen", 2)
    return found


def _check_user(home: Home) -> None:
    """Refuse another user than the home's owner, whose files the console could not read or remove later."""
    owner = home.root.stat().st_uid if home.root.exists() else os.geteuid()
    if owner != os.geteuid():
        fail(f"run it as the user that owns {home.root}: sudo -u {os_user(owner)} recorder backup ...")


# --- progress


@contextmanager
def reporting(*, is_quiet: bool) -> Iterator[Report]:
    """Show progress: a bar on a terminal, else a line each tenth of the work; nothing if quiet."""
    if not messages.is_terminal:
        yield (lambda _what, _done, _total: None) if is_quiet else _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages) as bar:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total or None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield report


class _Lines:
    """Prints progress as lines."""

    def __init__(self) -> None:
        self._said: tuple[str, int] = ("", 0)

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = 0 if not total else done * _LINE_EVERY // total
        if (what, tenth) != self._said:
            self._said = what, tenth
            say(f"{what}: {tenth * 100 // _LINE_EVERY} %" if total else what)
