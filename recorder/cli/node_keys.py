"""`recorder nodes request`, `add`, `join`, `remove`: which machines belong to the site, by files that people carry.

No secret is in these files. People compare a fingerprint at each step, so that a file may go by mail or USB stick.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.access.database import AuditNote
from recorder.cli.command_access import WITHOUT_ACCOUNT
from recorder.cli.context import CommandContext, LazyHomeContext, PersonContext
from recorder.cli.entries import audit, permit
from recorder.cli.errors import said_plainly
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, print_json, say
from recorder.cli.records import opened_index
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.permissions import Act
from recorder.rules import times
from recorder.service.new_home import NewHomeError, make_node_home
from recorder.site_keys.joining import check_can_join, console_lines, lines_to_add
from recorder.site_keys.joining import join as take_welcome
from recorder.site_keys.membership import NodeAdmission, admit, expel, plan_admission, record_of
from recorder.site_keys.node_records import NodeRecord
from recorder.site_keys.node_request import make_request, read_request
from recorder.site_keys.places import is_key_holder, node_request
from recorder.site_keys.publishing import publish
from recorder.site_keys.signed_json import MAX_BYTES, is_same_fingerprint
from recorder.site_keys.welcome import make_welcome, read_welcome
from storage.database import Database
from storage.durable import save_atomically
from storage.errors import DatabaseError
from storage.key_list_rows import reports
from storage.node_holdings import holdings
from storage.nodes import Nodes

_WHAT = "adding and removing nodes"
_DBA = "ask whoever runs PostgreSQL to change the password that it has: it opens the database until then"

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The file that the other machine wrote.")]
OutputOption = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; standard output if not given.")
]
FingerprintOption = Annotated[
    str | None,
    typer.Option("--fingerprint", metavar="HEX", help="As the other machine showed it; asked for if not given."),
]


def request(
    context: LazyHomeContext,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The node's name: a-z, 0-9 and -, at most 40.")],
    address: Annotated[
        str | None,
        typer.Option("--address", metavar="HOST:PORT", help="Where the console reaches its control API."),
    ] = None,
    output: OutputOption = None,
) -> None:
    """Make this machine's keys and a request to join a site; on the new node.

    Makes the home if the folder is empty. Run it again, with the same name, to renew the certificate.
    """
    with _sentences(context.home):
        _make_home(context.home)
        content, made = make_request(context.home, name, address, utc_now())
        note = AuditNote(
            act="node.requested", subject=name, details={"fingerprint": made.fingerprint, **WITHOUT_ACCOUNT}
        )
        audit(context.home, note, actor=f"os:{os_user()}")
        _write(context, output, content, {"name": name, "address": address, "fingerprint": made.fingerprint})
    say(f"fingerprint of the request: {made.fingerprint}")
    say("on the console host run `recorder nodes add FILE --as NAME`, and compare the fingerprint by phone")


def add(
    context: PersonContext,
    file: FileArgument,
    output: OutputOption = None,
    fingerprint: FingerprintOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Add a node to the site, or renew its certificate; on the console host. Writes the welcome for the node."""
    person = context.sign_in(_WHAT)
    home = context.home
    with _sentences(home), opened_index(context) as index:
        _check_holder(home)
        content = _read(file)
        made = read_request(content)
        planned = plan_admission(home, made, Nodes(index.database).registered())
        _show(planned)
        if dry_run:
            shown = {"name": made.name, "address": made.address, "fingerprint": made.fingerprint}
            context.tell(shown, "the request is good; nothing was done")
            return
        _compare(made.fingerprint, fingerprint, "`recorder nodes request`")
        details = {
            "address": made.address, "fingerprint": made.fingerprint, "is_renewed": planned.before is not None,
        }  # fmt: skip
        permit(
            home, Act.MANAGE_KEYS, person, reason="", subject=made.name, operator=None, details=details,
            noted_as="node.added",
        )  # fmt: skip
        now = utc_now()
        certificate, found = admit(home, planned, site=context.config.site.name, by=person.actor, now=now)
        welcome, mark = make_welcome(home, certificate, content, found)
        ends = certificate.not_valid_after_utc
        told = {"name": made.name, "fingerprint": mark, "certificate_ends_at": ends.isoformat()}
        _write(context, output, welcome, told)
        say(f"fingerprint of the welcome: {mark}")
        say(f"the certificate of {made.name} is valid until {times.day(ends)}")
        say(f"on {made.name} run `recorder nodes join FILE`, and compare the fingerprint by phone")
        _say_settings(context)
        _publish(home, index.database)
        Nodes(index.database).take_back(made.name)


def join(context: LazyHomeContext, file: FileArgument, fingerprint: FingerprintOption = None) -> None:
    """Take the console host's welcome: certificate, authority, and the site's public keys; on the new node.

    May be run again: what is stored already stays.
    """
    home = context.home
    with _sentences(home):
        welcome = read_welcome(home, _read(file))
        check_can_join(home, welcome)
        say(f"node {welcome.name}; fingerprint of the welcome: {welcome.fingerprint}")
        _compare(welcome.fingerprint, fingerprint, "`recorder nodes add`")
        details = {"fingerprint": welcome.fingerprint, "list": welcome.key_list.content.number, **WITHOUT_ACCOUNT}
        note = AuditNote(act="node.joined", subject=welcome.name, details=details)
        audit(home, note, actor=f"os:{os_user()}")
        take_welcome(home, welcome)
        address = read_request(node_request(home).read_bytes()).address
    lines = lines_to_add(home, welcome.name, address)
    ends = welcome.certificate.not_valid_after_utc.isoformat()
    if context.json:
        print_json({"name": welcome.name, "certificate_ends_at": ends, "configuration": lines})
        return
    say(f"this machine is node {welcome.name} until {ends[:10]}; recorder.toml needs these lines:")
    sys.stdout.write(lines + "\n")


def remove(
    context: PersonContext,
    removed: Annotated[str, typer.Argument(metavar="NODE", help="The node.")],
    dry_run: DryRunOption = False,
) -> None:
    """Remove a node from the site: its certificates are refused from then on. On the console host.

    Its recordings stay valid and in the index. Bring those that are only on its disk to the object store first.
    """
    person = context.sign_in(_WHAT)
    home = context.home
    with _sentences(home), opened_index(context) as index:
        _check_holder(home)
        record = record_of(home, removed)
        told = _left_on(record, index.database)
        if record.removed_at is not None:  # it may have been interrupted
            _publish(home, index.database)
            Nodes(index.database).remove(record.name)
            say(f"{record.name} was removed on {times.day(record.removed_at)}")
            context.tell(told, "all machines get the new list again")
            return
        if dry_run:
            context.tell(told, "nothing was done")
            return
        details = {"fingerprint": record.fingerprint, "serials": [f"{one:x}" for one in record.serials]}
        permit(
            home, Act.MANAGE_KEYS, person, reason="", subject=record.name, operator=None, details=details,
            noted_as="node.removed",
        )  # fmt: skip
        expel(home, record, utc_now())
        _publish(home, index.database)
        Nodes(index.database).remove(record.name)
    context.tell(told, f"{record.name} is removed; each machine refuses its certificates once it has read the new list")
    say(f"stop the recorder there, and {_DBA}")


def _left_on(record: NodeRecord, database: Database) -> dict[str, Any]:
    """Return and say what a node still has, as far as the tables tell."""
    found = holdings(database, record.name, record.fingerprint)
    said = reports(database).get(record.fingerprint)
    sealed = sorted(said.sealed) if said else []
    say(f"{record.name}: {found.calls} calls in progress, {found.recordings} recordings in the index")
    if found.unfinished:
        say(f"{found.unfinished} recordings there are unfinished: start it once more, so that it files them")
    if found.not_stored:
        say(f"{found.not_stored} recordings there are not in the object store yet: leave it running until they are")
    if found.files_waiting:
        say(
            f"{found.files_waiting} deleted recordings have a file there: start it once more, or destroy its disk and "
            f"run `recorder retention write-off {record.name}`"
        )
    if said is None:
        say("it has never reported which keys it uses")
    elif sealed:
        say(f"sealed keys are in its home, of {', '.join(sealed)}: its disk has the only copy of some")
    else:
        say("no sealed key is in its home")
    return {
        "name": record.name, "fingerprint": record.fingerprint, **asdict(found),
        "sealed": sealed, "reported_at": said.reported_at.isoformat() if said else None,
    }  # fmt: skip


def _say_settings(context: CommandContext) -> None:
    """Say which settings this machine lacks to reach nodes."""
    config = context.config
    if not config.is_shared_index:
        say("several nodes share one index: set index_url in [storage] here and there, postgresql://USER@HOST/NAME")
    if config.node.console_files is None:
        say("recorder.toml here needs, to reach nodes:")
        say(console_lines(context.home))


def _show(planned: NodeAdmission) -> None:
    made, before = planned.request, planned.before
    say(f"node: {made.name}")
    say(f"address: {made.address or 'not given'}")
    say(f"made: {made.made_at}")
    if planned.is_own:
        say("it is this machine, which records too")
    if before is not None:
        say(f"it renews the certificate that ends on {times.day(before.ends_at)}")
        if before.removed_at is not None:
            say(f"it was removed on {times.day(before.removed_at)}, and is a node again")
    say(f"fingerprint of the request: {made.fingerprint}")


def _compare(shown: str, given: str | None, command: str) -> None:
    """Exit unless a person has compared a fingerprint."""
    if given is not None:
        if not is_same_fingerprint(shown, given):
            fail(f"the fingerprints differ: {shown} here. Stop here: the file was replaced on its way")
        return
    if not sys.stdin.isatty():
        fail(f"compare the fingerprint with the one that {command} showed, and give it with --fingerprint", 2)
    if not typer.confirm(f"Did {command} show this fingerprint?", err=True):
        fail("nothing was done: the file is not the one that the other machine wrote")


def _publish(home: Home, database: Database) -> None:
    try:
        publish(home, database)
    except DatabaseError as error:
        fail(f"done here, but other machines do not know it yet: {error}; the console tells them when it can")


def _check_holder(home: Home) -> None:
    if not is_key_holder(home):
        fail(f"{home.root} does not hold the site's keys: run this on the console host", 2)


def _make_home(home: Home) -> None:
    try:
        if make_node_home(home):
            say(f"a home for a node is made in {home.root}; copy recorder.toml there")
    except NewHomeError as error:
        fail(str(error))


def _read(file: Path) -> bytes:
    with said_plainly(code=2), file.open("rb") as opened:
        return opened.read(MAX_BYTES + 1)


def _write(context: CommandContext, output: Path | None, content: bytes, told: dict[str, Any]) -> None:
    """Write a file for another machine; with ``--json`` and no output it is a field of the document."""
    if output is not None:
        save_atomically(output.absolute(), content, mode=0o644)
        say(f"written to {output}")
    if context.json:
        print_json(told | ({"file": content.decode()} if output is None else {}))
    elif output is None:
        sys.stdout.write(content.decode())


@contextmanager
def _sentences(home: Home) -> Iterator[None]:
    """Turn errors into messages."""
    yield
