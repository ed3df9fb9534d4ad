"""`recorder recordings export`: copies of one recording or of many, as a file, a folder or a ZIP archive."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext, KeysContext
from recorder.cli.entries import shell_audit
from recorder.cli.identity import requests_of
from recorder.cli.options import DryRunOption, ReasonOption
from recorder.cli.output import fail, print_json, print_table, progress_bar, say
from recorder.cli.records import moment, opened_index, permitted_search, row_known
from recorder.common.clock import utc_now
from recorder.common.problems import ProblemError
from recorder.data_subjects.case_repository import CaseRepository
from recorder.data_subjects.transcripts import Transcripts, case_file
from recorder.exports.copy_orders import CopyOrder, CopyRepositories, Ordered, check_order
from recorder.exports.exporting import Copying
from recorder.exports.left_out import Ground
from recorder.exports.span_words import position_in, redaction_from
from recorder.permissions import Act, Person
from recorder.recordings.home_stores import open_reader, open_vault
from recorder.recordings.keyring import read_passphrase
from recorder.recordings.searching import knows
from recorder.rules import times
from storage.audit import AuditLog
from storage.encoding import SUFFIXES, CopyFormat
from storage.errors import NotFoundError, StorageError
from storage.format import is_recording_id
from storage.index import Index
from storage.new_file import refuse_target, write_new
from storage.package import write_folder, write_zip
from storage.types import Outcome, RecordingRow, Search

MOST_RECORDINGS = 1000
"""Most recordings in one package; larger ones should be several requests, or a backup."""
_ZIP = ".zip"
_FORMAT_OF = {
    ".wav": CopyFormat.WAV,
    ".flac": CopyFormat.FLAC,
    ".mp3": CopyFormat.MP3,
    ".opus": CopyFormat.OPUS,
    ".ogg": CopyFormat.OPUS,
}
_PROBLEMS_SHOWN = 20


def export(
    context: KeysContext,
    recordings: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]", help="Recordings' ids.", autocompletion=completion.recordings)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="File to write: audio (.wav .flac .mp3 .opus), a ZIP archive (.zip), else a folder. "
            "Archive and folder include a cover sheet and hashes.",
        ),
    ] = None,
    format_: Annotated[
        CopyFormat | None,
        typer.Option("--format", help="g711 is the original audio; others are decoded.", show_default="wav"),
    ] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="S", help="Start: seconds, mm:ss, or time of day T14:30:05.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="S", help="End, written as --from.")] = None,
    redact: Annotated[
        list[str] | None,
        typer.Option("--redact", metavar="SPAN", help="Silence a span: 12.5-20, left:1:10-1:15. May be repeated."),
    ] = None,
    redact_reason: Annotated[str, typer.Option("--redact-reason", metavar="TEXT", help="Why it is silenced.")] = "",
    requester: Annotated[str, typer.Option("--for", metavar="WHO", help="Who asked, for the cover sheet.")] = "",
    ground: Annotated[Ground | None, typer.Option("--ground", help="Ground of the request.")] = None,
    seal_with: Annotated[
        Path | None,
        typer.Option(
            "--archive-passphrase-file",
            metavar="FILE",
            help="A file with a passphrase that encrypts the archive (AES-256).",
        ),
    ] = None,
    case: Annotated[
        str, typer.Option("--case", metavar="REF", help="The case it is for; its transcripts are added.")
    ] = "",
    ids_file: Annotated[
        str | None, typer.Option("--from-file", metavar="F|-", help="A file with recordings' ids, one per line.")
    ] = None,
    started_from: Annotated[
        str | None, typer.Option("--started-from", metavar="T", help="Calls from this time on.")
    ] = None,
    started_to: Annotated[str | None, typer.Option("--started-to", metavar="T", help="Calls before this time.")] = None,
    operator: Annotated[str | None, typer.Option("--operator", metavar="X", help="Calls of an operator.")] = None,
    extension: Annotated[str | None, typer.Option("--extension", metavar="N", help="Calls of an extension.")] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", metavar="O", help="Calls of an outcome.")] = None,
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
) -> None:
    """Write copies of recordings, with the caller in the left channel.

    Needs an access grant (`recorder requests add --access listen_and_export`) and a reason. Select recordings by ids,
    --from-file, or --started-from, --started-to, --operator, --extension, --outcome.
    """
    if output is None:
        fail("give -o OUT: an audio file, an archive that ends in .zip, or a folder", 2)
    if case and output.suffix in _FORMAT_OF:
        fail("--case needs an archive or a folder, because transcripts are separate files", 2)
    form, sealed_by, zone = _form_of(output, format_), _seal_of(seal_with, output), context.zone
    search = Search(
        started_from=moment(started_from, zone, is_end=False), started_to=moment(started_to, zone, is_end=True),
        operator=operator, extension=extension, outcome=outcome, limit=MOST_RECORDINGS + 1,
    )  # fmt: skip
    given = _given(recordings or [], ids_file, search)
    _refuse_output(output)
    person = context.sign_in("an export")
    with opened_index(context) as index:
        rows = _rows(context, index, person, given, search)
        if len(rows) > 1 and (from_ or to or redact or output.suffix in _FORMAT_OF):
            fail(f"{len(rows)} recordings: a span, --redact and an audio file are for one recording; give -o FOLDER", 2)
        order = CopyOrder(
            form=form, reason=reason, requester=requester, ground=ground, passphrase=sealed_by,
            destination=output.name, case=case, **_spans(rows[0], zone, from_, to, redact or [], redact_reason),
        )  # fmt: skip
        repos = _repositories(context, index)
        ordered = _check(repos, person, rows, order)
        if dry_run:
            _preview(ordered, json=context.json)
            return
        copying = _copied(repos, person, order, ordered, output)
    _tell(output, order, ordered, copying, json=context.json)


def _form_of(output: Path, asked: CopyFormat | None) -> CopyFormat:
    named = _FORMAT_OF.get(output.suffix)
    if asked is None:
        return named or CopyFormat.WAV
    if named is not None and SUFFIXES[asked] != SUFFIXES[named]:
        fail(f"the name of a file in format {asked} must end in .{SUFFIXES[asked]}", 2)
    return asked


def _seal_of(file: Path | None, output: Path) -> str | None:
    if file is None:
        return None
    if output.suffix != _ZIP:
        fail("--archive-passphrase-file needs an archive: end the name after -o in .zip", 2)
    try:
        return read_passphrase(file).decode("ascii", "replace")
    except StorageError as error:
        fail(str(error), 2)


def _given(recordings: Sequence[str], ids_file: str | None, search: Search) -> list[str]:
    """Return the ids that were given; exit unless either ids or a search select recordings."""
    given = [*recordings, *_ids_in(ids_file)]
    if bool(given) == (search != Search(limit=search.limit)):
        fail("select recordings by ids, or by --started-from, --started-to, --operator, --extension, --outcome", 2)
    return given


def _ids_in(file: str | None) -> list[str]:
    if file is None:
        return []
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file}: {getattr(error, 'strerror', None) or 'it is not text'}", 2)
    return [line.strip() for line in text.splitlines() if line.strip()] or fail(f"{file} has no ids of recordings", 2)


def _refuse_output(output: Path) -> None:
    refuse_target(output)


def _rows(
    context: CommandContext, index: Index, person: Person, given: Sequence[str], search: Search
) -> list[RecordingRow | str]:
    """Return the row of each recording once, or its id if it has no row and the rules must say why.

    A search finds what `recorder recordings list` finds, and is logged in the same way.
    """
    if given:
        found: dict[str, RecordingRow | str] = {}
        for one in given:
            row = _row_or_id(context, index, person, one)
            found[row if isinstance(row, str) else row.id] = row
        rows = list(found.values())
    else:
        search = permitted_search(context.home, person, search)
        rows = [row for row in index.find(search) if row.path is not None and knows(person, row)]
    if not rows:
        fail("no matching call has a recording")
    if len(rows) > MOST_RECORDINGS:
        fail(f"more than {MOST_RECORDINGS} recordings; select fewer at a time")
    return rows


def _row_or_id(context: CommandContext, index: Index, person: Person, recording: str) -> RecordingRow | str:
    if not is_recording_id(recording):
        return row_known(context, person, recording, Act.EXPORT)[0]
    try:
        return index.get(recording)
    except NotFoundError:
        return recording


def _spans(
    row: RecordingRow | str, zone: ZoneInfo, from_: str | None, to: str | None, redact: Sequence[str], why: str
) -> dict[str, Any]:
    """Return span and redactions of an order; times of day are those of the call."""
    if isinstance(row, str) or not (from_ or to or redact):
        return {}
    try:
        start = 0.0 if from_ is None else position_in(from_, row.started_at, zone)
        end = None if to in (None, "end") else position_in(to or "", row.started_at, zone, since_s=start)
        silent = tuple(redaction_from(one, row.started_at, zone, reason=why) for one in redact)
    except ValueError as error:
        fail(str(error), 2)
    return {"span_s": (start, end) if from_ or to else None, "redactions": silent}


def _repositories(context: CommandContext, index: Index) -> CopyRepositories:
    home = context.home
    vault = open_vault(home, context.config, index)
    engine = accounts_of(home)
    return CopyRepositories(
        index=index, requests=requests_of(home), vault=vault, audit=AuditLog(home.audit),
        audit_service=shell_audit(home), site=context.config.site.name,
        open=lambda row: open_reader(home, context.config, row, passphrase_file=context.passphrase_file),
        timezone=context.config.site.timezone, now=utc_now,
        case_file=partial(case_file, CaseRepository(engine, now=utc_now), Transcripts(engine)),
    )  # fmt: skip


def _check(
    repos: CopyRepositories, person: Person, rows: Sequence[RecordingRow | str], order: CopyOrder
) -> list[Ordered]:
    """Check all recordings; exit with every problem if any of them cannot be copied."""
    ordered, problems = [], []
    with progress_bar("checking", len(rows)) as progress:
        for number, row in enumerate(rows, 1):
            recording = row if isinstance(row, str) else row.id
            try:
                ordered.append(check_order(repos, person, recording, order))
            except ProblemError as error:
                problems.append(error.detail if recording in error.detail else f"{recording}: {error.detail}")
                if error.status == 403 or len(rows) == 1:
                    fail(error.detail)
            progress(number, len(rows))
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        listed = "\n".join(problems[:_PROBLEMS_SHOWN]) + (f"\nand {more} more" if more > 0 else "")
        fail(f"nothing was written; {len(problems)} of {len(rows)} recordings have problems:\n{listed}")
    return ordered


def _preview(ordered: Sequence[Ordered], *, json: bool) -> None:
    found = [
        {"id": one.row.id, "start_s": one.copy.span_s[0], "end_s": one.copy.span_s[1], "is_whole": one.is_whole}
        for one in ordered
    ]
    if json:
        print_json(found)
        return
    columns = [("id", "Recording"), ("start_s", "From, s"), ("end_s", "To, s"), ("is_whole", "Whole call")]
    print_table(found, columns, empty="")
    say(f"{len(found)} copies, {times.duration(sum(one.copy.duration_s for one in ordered))}; nothing was written")


def _copied(repos: CopyRepositories, person: Person, order: CopyOrder, ordered: list[Ordered], output: Path) -> Copying:
    with progress_bar("exporting", sum(one.copy.duration_s for one in ordered)) as progress:
        copying = Copying(repos, person, order, ordered, progress=progress)
        _write(output, copying, order, repos)
    return copying


def _write(output: Path, copying: Copying, order: CopyOrder, repos: CopyRepositories) -> None:
    if output.suffix == _ZIP:
        dated = repos.now().astimezone(ZoneInfo(repos.timezone))
        write_zip(output, copying.package(), dated, passphrase=order.passphrase)
    elif output.suffix in _FORMAT_OF:
        write_new(output, copying.sound(0, output.name))
    else:
        write_folder(output, copying.package())


def _tell(output: Path, order: CopyOrder, ordered: Sequence[Ordered], copying: Copying, *, json: bool) -> None:
    copies = [
        {
            "id": made.row.id, "path": str(output), "file": made.file, "format": str(order.form), "bytes": made.bytes,
            "sha256": made.sha256, "duration_s": one.copy.duration_s, "request": one.request,
        }
        for one, made in zip(ordered, copying.made, strict=True)
    ]  # fmt: skip
    if json:
        print_json(copies[0] if output.suffix in _FORMAT_OF else {"path": str(output), "copies": copies})
        return
    total = times.duration(sum(one.copy.duration_s for one in ordered))
    if output.suffix in _FORMAT_OF:
        (one,) = copies
        say(f"{output}: {one['duration_s']:.1f} s, {one['bytes']} bytes, sha256 {one['sha256']}")
    else:
        say(f"{output}: {len(copies)} {'copy' if len(copies) == 1 else 'copies'}, {total}, with a cover sheet")
