"""`recorder audit`: verify, show and export the audit log."""

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from recorder.audit.anchoring import NODE_CHARACTERS
from recorder.audit.copies import SiteLog, log_name
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
from recorder.cli import completion
from recorder.cli.audit_copies import verify_copies
from recorder.cli.context import CommandContext, HomeContext, PersonContext
from recorder.cli.entries import shell_audit
from recorder.cli.output import fail, fail_unknown, print_json, print_json_list, print_table, progress_bar, say
from recorder.cli.records import FromOption, ToOption, moment
from recorder.common.clock import utc_now
from recorder.common.system_user import os_user
from recorder.permissions import Act, Person
from recorder.recordings.home_stores import open_index
from recorder.rules.wording import audit_acts
from storage.anchors import Anchors
from storage.audit import AuditLog
from storage.audit_chain import AuditState
from storage.audit_copies import AuditCopies
from storage.errors import AuditUnavailableError, DatabaseError, StorageError
from storage.heads import AnchorsUnreadableError, Head, parse_head, read_heads
from storage.keys import NodeKeys
from storage.rows import time_from_json

SHOWN_ENTRIES = 50
_COLUMNS = [
    ("n", "Entry"),
    ("when", "When"),
    ("act", "Act"),
    ("actor", "Who"),
    ("subject", "On what"),
    ("details", "Details"),
]
TextsOption = Annotated[bool, typer.Option("--texts", help="Include free texts: reasons, searches.")]


# --- verify


def verify(
    context: HomeContext,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head", metavar="[NUMBER:]HASH", help="A head that was noted on another machine. May be repeated."
        ),
    ] = None,
    anchors: Annotated[
        list[Path] | None,
        typer.Option(
            "--anchors", metavar="FILE", help="A file or folder with anchors: syslog, mails. May be repeated."
        ),
    ] = None,
) -> None:
    """Verify that the audit log is unchanged; name the first entry that is bad, missing or cut off, and exit 1.

    Heads noted on another machine show whether its end was cut off or the log was rewritten. Needs no person: it shows
    none of the log's contents and writes nothing into it. Where several machines share a database, the copies of their
    logs in it are verified too.
    """
    given, others = _given_heads(head or [], anchors or [], context)
    heads = [*given, *_own_heads(context)]
    try:
        with progress_bar("verifying", 1.0) as progress:
            state = AuditLog(context.home.audit).verify(heads, progress)
    except AuditUnavailableError as error:
        fail(str(error))
    copies = verify_copies(context, [*given, *others]) if context.config.is_shared_index else None
    problems = [] if copies is None else copies.problems
    with contextlib.suppress(OSError):  # a read-only medium cannot store the result
        note_verified(context.home.state, state, utc_now(), problems)
    if context.json:
        print_json(state_to_json(state) | ({} if copies is None else {"copies": copies.as_json()}))
    else:
        _tell(state, is_held_against=bool(heads))
        if copies is not None:
            copies.tell()
    if problems_of(state) or problems:
        raise typer.Exit(1)


def _given_heads(heads: list[str], anchors: list[Path], context: CommandContext) -> tuple[list[Head], list[Head]]:
    """Return the given heads of this home's log, and those of others."""
    try:
        given = [parse_head(text) for text in heads]
    except ValueError as error:
        fail(str(error), 2)
    try:
        found = [head for path in anchors for head in read_heads(path)]
    except AnchorsUnreadableError as error:
        fail(str(error))
    own, others = own_heads(found, context.home)
    if context.config.is_shared_index:
        return given + own, others
    if found and not own:
        fail(f"all {len(others)} heads in {', '.join(map(str, anchors))} are from another recorder")
    if others:
        say(f"{len(others)} heads from other recorders were skipped")
    return given + own, []


def _own_heads(context: CommandContext) -> list[Head]:
    """Return the heads in the database; if it cannot be read, report that and go on without them."""
    if context.config.storage.index_url is None and not context.home.index.exists():
        return []  # a copy of the log, for which no database must be created
    try:
        index = open_index(context.home, context.config)
        try:
            return noted_heads(Anchors(index.database, NodeKeys.load(context.home.root).fingerprint[:NODE_CHARACTERS]))
        finally:
            index.close()
    except (StorageError, OSError) as error:
        say(f"the heads in the database were skipped: {error}")
        return []


def _tell(state: AuditState, *, is_held_against: bool) -> None:
    for problem in problems_of(state):
        say(problem)
    for entry in state.moved_aside:
        is_whole = entry.details.get("is_whole", False)
        what = "it was a whole line, so something changed it" if is_whole else "a power cut can leave that"
        size, name = entry.details["bytes"], entry.details["file"]
        say(f"entry {entry.number}, {entry.at}: {size} bytes before it were no entry and were moved to {name}; {what}")
    if state.gone_texts or state.texts:
        say(f"{state.texts} free texts match, {state.gone_texts} are deleted")
    if not is_held_against:
        say("no head was noted on another machine, so a cut-off end cannot be detected; see [anchors]")
    good = "entries are unchanged" if state.bad is None else "entries before that are unchanged"
    say(f"{state.entries} {good}; {state.heads} noted heads match")
    say(f"head {state.entries}:{state.head}")


# --- show


def show(
    context: PersonContext,
    act: Annotated[
        str | None,
        typer.Option(
            "--act", metavar="ACT", help="call.pause, or call for all acts on calls.", autocompletion=completion.acts
        ),
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="NAME", help="Who did it.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="ID", help="What it was done to, or the beginning of its id.")
    ] = None,
    from_: FromOption = None,
    to: ToOption = None,
    texts: TextsOption = False,
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="NAME", help="Only this machine's log, where several share a database."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, show_default="50, with --json all")] = None,
) -> None:
    """Show entries of the audit log, newest first. Needs the DPO; the query itself is logged too.

    Where several machines share a database, the entries of all their logs are shown.
    """
    zone = context.zone
    if act is not None and act not in (known := audit_acts()):
        fail_unknown(act, known if "." in act else {one for one in known if "." not in one}, what="an act")
    query = AuditQuery(
        act=act,
        actor=actor,
        subject=subject,
        start=moment(from_, zone, is_end=False),
        end=moment(to, zone, is_end=True),
        node=node,
    )
    if node is not None and not context.config.is_shared_index:
        fail("--node is for a site whose machines share a database: index_url in [storage] names none on a server", 2)
    log = AuditLog(context.home.audit)
    _permitted(context, log, Act.VIEW_AUDIT, query.describe(with_texts=texts), query.typed)
    try:
        with _entries(context, log, query, texts) as entries:
            found = itertools.islice(entries, limit or (None if context.json else SHOWN_ENTRIES))
            if context.json:
                print_json_list(found)
                return
            columns = [("node", "Node"), *_COLUMNS] if context.config.is_shared_index else _COLUMNS
            columns = [*columns, ("free_text", "Text")] if texts else columns
            print_table([_line(entry, zone) for entry in found], columns, empty="no entry matches")
    except AuditUnavailableError as error:
        fail(f"{error}; run `recorder audit verify` to find the fault")


@contextlib.contextmanager
def _entries(
    context: CommandContext, log: AuditLog, query: AuditQuery, texts: bool
) -> Iterator[Iterator[dict[str, Any]]]:
    """Give the matching entries as JSON values: of this home's log, or of the logs of all machines."""
    if not context.config.is_shared_index:
        yield (entry_to_json(entry, log, with_text=texts) for entry in entries_found(log, query))
        return
    name = log_name(context.config, NodeKeys.load(context.home.root))
    index = open_index(context.home, context.config, is_deferred=True)
    site = SiteLog(log=log, name=name, copies=AuditCopies(index.database))
    try:
        if why := _why_local(site):
            say(f"{why}; only the entries of this machine are shown")
            local = entries_found(log, query) if query.node in {None, name} else iter(())
            yield ({"node": name, **entry_to_json(entry, log, with_text=texts)} for entry in local)
        else:
            yield (site.as_json(one, with_text=texts) for one in site.find(query))
    finally:
        index.close()


def _why_local(site: SiteLog) -> str:
    """Return why entries of other machines cannot be read, or ""."""
    try:
        return "" if site.copies.is_readable() else "this role may not read entries of other machines"
    except DatabaseError as error:
        return str(error)


def _line(entry: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    at = time_from_json(entry["at"])
    assert at is not None
    return {
        **entry,
        "when": f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        "details": json.dumps(entry["details"], ensure_ascii=False) if entry["details"] else "",
    }


def _permitted(context: CommandContext, log: AuditLog, act: str, details: dict[str, Any], typed: str = "") -> Person:
    """Return the person who may read the log, after logging that they do; exit if they may not."""
    person = context.sign_in("reading the audit log")
    audit_service = shell_audit(context.home, origin={"os_user": os_user()})
    allowed = audit_service.require(person, Act.VIEW_AUDIT, "")
    audit_service.note(act, allowed.actor, "", details, text=typed)
    return allowed


# --- export


def export(
    context: PersonContext,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE.zip|FOLDER", help="A new file or folder."),
    ],
    texts: TextsOption = False,
) -> None:
    """Write the whole audit log as a package that others can check without this program. Needs the DPO; logged."""
    if output.exists():
        fail(f"{output} already exists; give a new name")
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
        fail(f"{output} was not written: {error.strerror}; the partial file was removed")
    if context.json:
        print_json({"path": str(output), "entries": packaged.entries, "head": packaged.head, "texts": packaged.texts})
    else:
        say(f"{output}: {packaged.entries} entries, {packaged.texts} free texts; head {packaged.head}")
        say("the recipient can check it with the check.py in it: `python3 check.py`")
