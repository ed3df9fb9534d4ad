"""Commands for recordings: find, show, play, export, verify, recover."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from recorder.clock import utc_now
from recorder.commands.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PasswordOption,
    ReasonOption,
    fail,
    load_home,
    messages,
    permit,
    print_json,
    print_table,
    say,
    sign_in,
)
from recorder.config import Config
from recorder.domain.access import Act
from recorder.home import Home
from recorder.opening import AlreadyRunningError, held, open_index, open_reader, recover_all
from storage.errors import NotFoundError, StorageError
from storage.export import Exported, Format
from storage.export import export as write_copy
from storage.index import Index
from storage.keys import NodeKeys
from storage.rows import row_to_json
from storage.types import Outcome, RecordingRow, Search
from storage.vault import Vault
from storage.verify import verify as verify_file

SHOWN_ROWS = 100
"""Rows that a person gets without asking for more; a program gets all there are."""

MOST_ROWS = 1_000_000


@contextmanager
def opened_index(home: Home, config: Config) -> Iterator[Index]:
    """Open the index for a command."""
    index = open_index(home, config)
    try:
        yield index
    finally:
        index.close()


def find(
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="From this time or date on.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="T", help="Before this time; a date is included.")] = None,
    operator: Annotated[str | None, typer.Option("--operator", metavar="X")] = None,
    extension: Annotated[str | None, typer.Option("--extension", metavar="N")] = None,
    number_file: Annotated[
        str | None,
        typer.Option(
            "--number-file", metavar="F|-", help="A file with the caller's number: `ps` shows arguments to all."
        ),
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", metavar="O")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=MOST_ROWS, show_default="100, with --json all")
    ] = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Find calls by date, time, operator, extension, number and outcome; newest first."""
    place, config = load_home(home)
    zone = ZoneInfo(config.site.timezone)
    search = Search(
        started_from=_moment(from_, zone, is_end=False),
        started_to=_moment(to, zone, is_end=True),
        operator=operator,
        extension=extension,
        number=_number(number_file),
        outcome=outcome,
        limit=limit or (MOST_ROWS if json else SHOWN_ROWS),
    )
    with opened_index(place, config) as index:
        rows, total = index.find(search), index.count(search)
    if json:
        print_json([row_to_json(row) for row in rows])
        return
    columns = [
        ("id", "Recording"),
        ("when", "When"),
        ("direction", "Direction"),
        ("operator", "Operator"),
        ("caller", "Caller"),
        ("outcome", "Outcome"),
        ("reason", "Reason"),
        ("recorded_s", "Recorded, s"),
    ]
    print_table([_line(row, zone) for row in rows], columns, empty="no call matches")
    if total > len(rows):
        say(f"{len(rows)} of {total} calls; give --limit to see more")


def _line(row: RecordingRow, zone: ZoneInfo) -> dict[str, Any]:
    return {**row_to_json(row), "when": f"{row.started_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"}


def _moment(text: str | None, zone: ZoneInfo, *, is_end: bool) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text!r} is no time; write 2026-11-25, 2026-11-25T14:30 or 2026-11-25T14:30:00Z", 2)
    if is_end and len(text) == len("2026-11-25"):
        moment = datetime.combine(moment.date() + timedelta(days=1), time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _number(source: str | None) -> str | None:
    if source is None:
        return None
    try:
        text = sys.stdin.readline() if source == "-" else Path(source).read_text().partition("\n")[0]
    except OSError as error:
        fail(f"{source}: {error.strerror}", 2)
    return text.strip() or fail("the number file is empty", 2)


IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A recording's id, or its beginning.")]


def show(recording: IdArgument, home: HomeOption = Path(), json: JsonOption = False) -> None:
    """Show one call: its outcome, its notice, its segments."""
    place, config = load_home(home)
    row = _row(place, config, recording)
    if json:
        print_json(row_to_json(row))
        return
    fields = row_to_json(row)
    facts = [{"key": key, "value": value} for key, value in fields.items() if key not in ("segments", "notice")]
    facts += [{"key": f"notice.{key}", "value": value} for key, value in (fields["notice"] or {}).items()]
    print_table(facts, [("key", ""), ("value", "")], empty="")
    columns = [("start_s", "From, s"), ("end_s", "To, s"), ("kind", "What"), ("reason", "Reason"), ("by", "By")]
    print_table(fields["segments"], columns, empty="nothing of this call was kept")


def _row(home: Home, config: Config, recording: str) -> RecordingRow:
    with opened_index(home, config) as index:
        try:
            return index.get(recording)
        except NotFoundError as error:
            fail(f"{error}; `recorder find` lists them")


def export(
    recording: IdArgument,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="A file that is not there yet.")],
    format_: Annotated[Format, typer.Option("--format", help="g711 is exact; the others are decoded.")] = Format.WAV,
    name: AsOption = None,
    password_file: PasswordOption = None,
    reason: ReasonOption = "",
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Write a copy of a recording, caller on the left. Takes a person and a reason."""
    place, config = load_home(home)
    person = sign_in(place, name, password_file, "an export")
    row = _row(place, config, recording)
    details = {"format": format_.value, "file": output.name}
    permission = permit(
        place, Act.EXPORT, person, reason=reason, subject=row.id, operator=row.operator, details=details
    )
    copy = _copy(place, config, row, output, format_)
    if json:
        print_json(
            {
                "id": row.id,
                "path": str(output),
                "format": format_.value,
                "bytes": copy.bytes,
                "sha256": copy.sha256,
                "duration_s": copy.duration_s,
                "break_glass": permission.is_break_glass,
            }
        )
    else:
        say(f"{output}: {copy.duration_s:.1f} s, {copy.bytes} bytes, sha256 {copy.sha256}")


def _copy(home: Home, config: Config, row: RecordingRow, output: Path, form: Format) -> Exported:
    bar = Progress(
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=messages,
        disable=not messages.is_terminal,
    )
    try:
        with bar:
            task = bar.add_task("exporting", total=max(row.duration_s, 0.1))
            return write_copy(
                open_reader(home, config, row),
                output,
                form,
                duration_s=row.duration_s,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
    except StorageError as error:
        fail(str(error))


def play(
    recording: IdArgument,
    name: AsOption = None,
    password_file: PasswordOption = None,
    reason: ReasonOption = "",
    home: HomeOption = Path(),
) -> None:
    """Play a recording on this machine's loudspeaker. Takes a person and a reason."""
    player = shutil.which("play") or shutil.which("aplay")
    if player is None:
        fail("there is no player here: install sox or alsa-utils, or use `recorder export`")
    place, config = load_home(home)
    person = sign_in(place, name, password_file, "listening")
    row = _row(place, config, recording)
    permit(place, Act.PLAY, person, reason=reason, subject=row.id, operator=row.operator, details={"where": "shell"})
    # Memory only: a copy for the player must not touch a disk.
    copy = Path("/dev/shm") / f"recorder-{row.id}.wav"  # noqa: S108 - made O_EXCL and 0600 by the export
    try:
        _copy(place, config, row, copy, Format.WAV)
        arguments = [player, "-q", str(copy)]
        if subprocess.run(arguments, check=False).returncode != 0:  # noqa: S603 - a fixed program and our own file
            fail(f"{player} could not play; is there a sound device? `recorder export` makes a file instead")
    finally:
        copy.unlink(missing_ok=True)


def verify(
    recording: Annotated[str | None, typer.Argument(metavar="[ID]")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every recording in the vault.")] = False,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Prove that recordings are as they were closed; needs no private key."""
    if (recording is None) != all_:
        fail("give either an ID or --all", 2)
    place, config = load_home(home)
    try:
        node = NodeKeys.load(place.root)
    except StorageError as error:
        fail(str(error))
    vault = Vault(place.root, node)
    found = []
    for path in _paths(place, config, vault, recording):
        result = verify_file(path, node.sign_public)
        found.append(
            {
                "id": result.id,
                "ok": result.problem is None,
                "is_complete": result.is_complete,
                "bytes": result.bytes,
                "sha256": result.sha256,
                "problem": result.problem,
            }
        )
    bad = [one for one in found if not one["ok"]]
    if json:
        print_json(found)
    else:
        columns = [("id", "Recording"), ("ok", "Unchanged"), ("is_complete", "Complete"), ("problem", "Problem")]
        print_table(found, columns, empty="there are no finished recordings")
        say(f"{len(found) - len(bad)} of {len(found)} recordings are unchanged")
    if bad:
        raise typer.Exit(1)


def _paths(home: Home, config: Config, vault: Vault, recording: str | None) -> Iterator[Path]:
    if recording is None:
        yield from vault.finished()
        return
    row = _row(home, config, recording)
    if row.path is None:
        fail(f"nothing was kept of {row.id}: {row.outcome}, {row.reason}")
    yield vault.locate(row.path)


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
