"""`recorder recordings erase`: order and carry out an erasure of a span. Carrying out needs the private keys."""

import enum
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any

import typer

from recorder.cli.accounts import accounts_of
from recorder.cli.backup_carry import carry_deletions
from recorder.cli.context import CommandContext, KeysContext
from recorder.cli.entries import shell_audit
from recorder.cli.identity import people_of
from recorder.cli.options import DryRunOption, ReasonOption
from recorder.cli.output import fail, print_json, print_table, progress_bar, say
from recorder.cli.records import IdArgument, opened_index
from recorder.common.clock import utc_now
from recorder.data_subjects.case_repository import CaseRepository
from recorder.data_subjects.telling import note_erasure
from recorder.recordings.home_stores import open_vault
from recorder.recordings.keyring import epoch_keys
from recorder.retention.eraser import Eraser
from recorder.retention.erasing import check_order, order_erasure
from recorder.retention.erasure_approvals import Approvals
from recorder.retention.erasure_repositories import ErasureRepositories, order_to_json
from recorder.rules.erasing import position_from
from storage.audit import AuditLog
from storage.erasures import Erasures
from storage.errors import NotFoundError, StorageError
from storage.format import is_recording_id
from storage.holds import Holds
from storage.index import Index
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState


class KindOption(enum.StrEnum):
    """Reason of an erasure, as typed."""

    CARD_DATA = "card-data"
    OTHER = "other"


_KINDS = MappingProxyType({KindOption.CARD_DATA: ErasureKind.CARD_DATA, KindOption.OTHER: ErasureKind.OTHER})


def erase(
    context: KeysContext,
    recording: IdArgument,
    from_: Annotated[str | None, typer.Option("--from", metavar="S", help="Seconds, or mm:ss.")] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="S", help="Seconds, mm:ss, or end.")] = None,
    kind: Annotated[KindOption, typer.Option("--kind", help="Why.")] = KindOption.CARD_DATA,
    third: Annotated[
        str, typer.Option("--third-approver", metavar="NAME", help="Third approver, for over 60 s of a held recording.")
    ] = "",
    dry_run: DryRunOption = False,
    reason: ReasonOption = "",
) -> None:
    """Erase a span from a recording: its audio, key and row. A second person may have to confirm."""
    if from_ is None or to is None:
        fail("give --from and --to: the span to erase, in seconds or mm:ss", 2)
    with opened_index(context) as index:
        person = context.sign_in("erasing")
        repos, eraser = parts_of(context, index)
        span_s, found = _span(from_, to), whole_id(index, recording)
        asked: dict[str, Any] = {"kind": _KINDS[kind], "reason": reason, "third": third}
        if dry_run:
            row, order, _ = check_order(repos, person, found, span_s, **asked)
            _preview(eraser, order, row.id, json=context.json)
            return
        order = order_erasure(repos, person, found, span_s=span_s, **asked)
        answer(eraser, index, order, json=context.json)
    carry_deletions(context)


def _span(from_: str, to: str) -> tuple[float, float | None]:
    return _seconds(from_), None if to == "end" else _seconds(to)


def parts_of(context: CommandContext, index: Index) -> tuple[ErasureRepositories, Eraser]:
    """Open the repositories and the eraser; exit with a message on storage errors."""
    vault = open_vault(context.home, context.config, index)
    keys = epoch_keys(context.home, context.config, context.passphrase_file)
    erasures, audit = Erasures(index.database), AuditLog(context.home.audit)
    people, engine = people_of(context.home), accounts_of(context.home)
    repos = ErasureRepositories(
        index=index,
        erasures=erasures,
        audit=audit,
        audit_service=shell_audit(context.home),
        vault=vault,
        forgot_s=context.config.pause.forgot_s,
        alone_day_s=context.config.pause.alone_day_s,
        now=utc_now,
        approvals=Approvals(engine),
        person=people.find,
        vouched=people.vouched,
    )
    eraser = Eraser(
        vault=vault,
        keys=keys,
        index=index,
        erasures=erasures,
        holds=Holds(index.database),
        audit=audit,
        lock=context.home.erasing_lock,
        now=utc_now,
        approvals=Approvals(engine),
        tell=partial(note_erasure, CaseRepository(engine, now=utc_now), audit, context.config.site.timezone),
        alone_day_s=context.config.pause.alone_day_s,
    )
    return repos, eraser


def whole_id(index: Index, recording: str) -> str:
    """Return the full id of a recording from its beginning; exit if there is none."""
    try:
        return index.get(recording).id
    except NotFoundError as error:
        if is_recording_id(recording):
            return recording
        fail(f"{error}; `recorder recordings list` lists them")


def _seconds(text: str) -> float:
    try:
        return position_from(text)
    except ValueError as error:
        fail(str(error), 2)


def _preview(eraser: Eraser, order: ErasureOrder, recording: str, *, json: bool) -> None:
    try:
        seen = eraser.preview(order)
    except (StorageError, OSError) as error:
        fail(f"{error}; run this where the private keys are")
    segments = [
        {"start_s": s.start_s, "end_s": s.end_s, "kind": str(s.kind), "reason": s.reason} for s in seen.row.segments
    ]
    left, right = seen.silenced_s
    if json:
        answer = {"id": recording, "dry_run": True, "silenced_s": [left, right], "segments": segments}
        print_json({**answer, "needs_second_person": order.state is ErasureState.WAITING})
        return
    say(f"{left:.1f} s of the caller and {right:.1f} s of the officer would be erased; nothing was changed")
    columns = [("start_s", "From, s"), ("end_s", "To, s"), ("kind", "What"), ("reason", "Reason")]
    print_table(segments, columns, empty="")
    if order.state is ErasureState.WAITING:
        say("a second person would have to confirm this")


def answer(eraser: Eraser, index: Index, order: ErasureOrder, *, json: bool) -> None:
    """Carry a confirmed order out if the keys are here, and print its state."""
    queued_because = ""
    if order.state is ErasureState.CONFIRMED:
        order, queued_because = _carry_out(eraser, index, order)
    if json:
        print_json({**order_to_json(order), "queued_because": queued_because})
    else:
        say(_sentence(order, queued_because))
    if order.state is ErasureState.FAILED:
        raise typer.Exit(1)


def _carry_out(eraser: Eraser, index: Index, order: ErasureOrder) -> tuple[ErasureOrder, str]:
    row = index.get(order.recording)
    problem = eraser.problem_with_key(row) if row.path is not None else ""
    if problem:
        return order, problem
    try:
        with progress_bar("erasing", row.duration_s) as progress:
            eraser.carry_out_due(progress=progress, wait=True)
        return eraser.erasures.get(order.id), ""
    except (StorageError, OSError) as error:
        return replace(order), str(error)


def _sentence(order: ErasureOrder, queued_because: str) -> str:
    if order.state is ErasureState.WAITING:
        return (
            f"order {order.id} waits for a second person: the team's manager, the team leader or the DPO; for a held "
            "recording the DPO, and for much of it also the third approver; "
            "until then the recording is locked"
        )
    if order.state is ErasureState.DONE:
        return f"order {order.id} is carried out: the span is erased from {order.recording}"
    if order.state is ErasureState.DECLINED:
        return f"order {order.id} is declined; nothing was erased"
    if order.state is ErasureState.FAILED:
        return f"order {order.id} could not be carried out: {order.problem}; the console tries again"
    why = f" ({queued_because})" if queued_because else ""
    return f"order {order.id} is confirmed and queued{why}; the recording is locked until the console carries it out"
