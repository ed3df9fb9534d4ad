"""`recorder audit`: whether the audit log is what was written, what is in it, and a copy that others can check."""

import contextlib
import itertools
import json
import sqlite3
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from recorder.audit.anchoring import NODE_CHARACTERS
from recorder.audit.package import PackageExistsError, write_package
from recorder.audit.reading import (
    EXPORT,
    AuditQuery,
    entries_found,
    entry_to_json,
    note_verified,
    noted_heads,
    own_heads,
    problems_of,
    state_to_json,
)
from recorder.cli.context import CommandContext, HomeJsonContext, PersonJsonContext
from recorder.cli.records import FromOption, ToOption, moment
from recorder.cli.shared import (
    fail,
    print_json,
    print_json_list,
    print_table,
    progress_bar,
    say,
    shell_audit,
)
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.problems import ProblemError
from recorder.common.system_user import os_user
from recorder.permissions import Act, Person
from recorder.recordings.home_stores import open_index
from storage.anchors import Anchors
from storage.audit import AuditLog
from storage.audit_chain import AuditState
from storage.audit_entry import AuditEntry
from storage.errors import AuditUnavailableError, StorageError
from storage.heads import AnchorsUnreadableError, Head, parse_head, read_heads
from storage.keys import NodeKeys
from storage.rows import time_from_json

audit = typer.Typer(no_args_is_help=True, help="The audit log: verify it, read it, take a copy that others can check.")

SHOWN_ENTRIES = 50
_COLUMNS = [
    ("n", "Entry"),
    ("when", "When"),
    ("act", "Act"),
    ("actor", "Who"),
    ("subject", "On what"),
    ("details", "Details"),
]
TextsOption = Annotated[bool, typer.Option("--texts", help="Free texts too: reasons, searches.")]


# --- verify


@audit.command("verify")
def verify(
    context: HomeJsonContext,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", metavar="[NUMBER:]HASH", help="A head that was noted elsewhere. May be repeated."),
    ] = None,
    anchors: Annotated[
        list[Path] | None,
        typer.Option(
            "--anchors", metavar="FILE", help="A file with anchors, or a folder: syslog, mails. May be repeated."
        ),
    ] = None,
) -> None:
    """Prove that the audit log is what was written: names the first entry that is bad, missing or cut off. Exit 1 then.

    Heads that were noted elsewhere show that its end was cut off or that it was written anew. Takes no person: it
    shows nothing of what is in the log, and writes nothing into it.
    """
    heads = [*_given_heads(head or [], anchors or [], context.home), *_own_heads(context)]
    try:
        with progress_bar("verifying", 1.0) as progress:
            state = AuditLog(context.home.audit).verify(heads, progress)
    except AuditUnavailableError as error:
        fail(str(error))
    with contextlib.suppress(OSError):  # on a medium for reading there is nothing to note
        note_verified(context.home.state, state, utc_now())
    if context.json:
        print_json(state_to_json(state))
    else:
        _tell(state, is_held_against=bool(heads))
    if problems_of(state):
        raise typer.Exit(1)


def _given_heads(heads: list[str], anchors: list[Path], home: Home) -> list[Head]:
    try:
        given = [parse_head(text) for text in heads]
    except ValueError as error:
        fail(str(error), 2)
    try:
        found = [head for path in anchors for head in read_heads(path)]
    except AnchorsUnreadableError as error:
        fail(str(error))
    own, others = own_heads(found, home)
    if found and not own:
        fail(f"all {others} heads in {', '.join(map(str, anchors))} are those of another recorder")
    if others:
        say(f"{others} heads of other recorders were left out")
    return given + own


def _own_heads(context: CommandContext) -> list[Head]:
    """Return the heads that our own database knows; that it cannot be asked is no reason not to look at the log."""
    if context.config.storage.index_url is None and not context.home.index.exists():
        return []  # a copy of the log: no database is made for it
    try:
        index = open_index(context.home, context.config)
        try:
            return noted_heads(Anchors(index.database))
        finally:
            index.close()
    except (StorageError, OSError) as error:
        say(f"the heads that the database knows of are left out: {error}")
        return []


def _tell(state: AuditState, *, is_held_against: bool) -> None:
    for problem in problems_of(state):
        say(problem)
    for entry in state.moved_aside:
        is_whole = entry.details.get("is_whole", False)
        what = "was a whole line, so something changed it" if is_whole else "a power cut leaves such"
        size, name = entry.details["bytes"], entry.details["file"]
        say(f"entry {entry.number}, {entry.at}: {size} bytes before it were no entry and were moved to {name}; {what}")
    if state.gone_texts or state.texts:
        say(f"{state.texts} free texts fit, {state.gone_texts} are there no more")
    if not is_held_against:
        say("no head was noted elsewhere: that its end was cut off could not be seen; see [anchors]")
    good = "entries follow from one another" if state.bad is None else "entries are good before that"
    say(f"{state.entries} {good}; {state.heads} heads that were noted elsewhere fit")
    say(f"head {state.entries}:{state.head}")


# --- show


@audit.command("show")
def show(
    context: PersonJsonContext,
    act: Annotated[str | None, typer.Option("--act", metavar="ACT", help="call.pause, or call for all of it.")] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Who did it.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", metavar="ID", help="On what, or its beginning.")] = None,
    from_: FromOption = None,
    to: ToOption = None,
    texts: TextsOption = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, show_default="50, with --json all")] = None,
) -> None:
    """Show entries of the audit log, newest first. Takes the DPO; that they looked, and for what, is an entry too."""
    zone = context.zone
    query = AuditQuery(
        act=act,
        actor=actor,
        subject=subject,
        start=moment(from_, zone, is_end=False),
        end=moment(to, zone, is_end=True),
    )
    log = AuditLog(context.home.audit)
    _permitted(context, log, Act.VIEW_AUDIT, query.describe(with_texts=texts), query.typed)
    found = itertools.islice(entries_found(log, query), limit or (None if context.json else SHOWN_ENTRIES))
    try:
        if context.json:
            print_json_list(entry_to_json(entry, log, with_text=texts) for entry in found)
            return
        columns = [*_COLUMNS, ("free_text", "Text")] if texts else _COLUMNS
        print_table([_line(entry, log, zone, texts) for entry in found], columns, empty="no entry matches")
    except AuditUnavailableError as error:
        fail(f"{error}; `recorder audit verify` says where and what")


def _line(entry: AuditEntry, log: AuditLog, zone: ZoneInfo, with_text: bool) -> dict[str, Any]:
    at = time_from_json(entry.at)
    assert at is not None
    return {
        **entry_to_json(entry, log, with_text=with_text),
        "when": f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        "details": json.dumps(entry.details, ensure_ascii=False) if entry.details else "",
    }


def _permitted(context: CommandContext, log: AuditLog, act: str, details: dict[str, Any], typed: str = "") -> Person:
    """Return the person who may read the log, once it is written down that they do; or leave."""
    person = context.sign_in("reading the audit log")
    ledger = shell_audit(context.home, origin={"os_user": os_user()})
    try:
        allowed = ledger.require(person, Act.VIEW_AUDIT, "")
        ledger.note(act, allowed.actor, "", details, text=typed)
    except ProblemError as error:
        fail(error.detail)
    return allowed


# --- export


@audit.command("export")
def export(
    context: PersonJsonContext,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE.zip|FOLDER", help="A name that is not there yet."),
    ],
    texts: TextsOption = False,
) -> None:
    """Write the whole log as a package that others can check without this program. Takes the DPO; it is audited."""
    if output.exists():
        fail(f"{output} is there already; give a name that is new")
    log = AuditLog(context.home.audit)
    heads = _own_heads(context)
    person = _permitted(context, log, EXPORT, {"file": output.name, "texts": texts})
    try:
        node = NodeKeys.load(context.home.root).fingerprint[:NODE_CHARACTERS]
        with progress_bar("exporting", 1.0) as progress:
            packaged = write_package(
                log,
                output,
                heads=heads,
                site=context.config.site.name,
                node=node,
                by=person.actor,
                at=utc_now(),
                with_texts=texts,
                progress=progress,
            )
    except (PackageExistsError, StorageError, sqlite3.Error) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{output} was not written: {error.strerror}; nothing is left of it")
    if context.json:
        print_json({"path": str(output), "entries": packaged.entries, "head": packaged.head, "texts": packaged.texts})
    else:
        say(f"{output}: {packaged.entries} entries, {packaged.texts} free texts; head {packaged.head}")
        say("whoever gets it can check it with check.py in it: `python3 check.py`")
