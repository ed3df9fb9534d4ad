"""`recorder index rebuild`, `reconcile` and `fsck`: repair after damage or a restored backup."""

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from json import dumps
from typing import Annotated, Any

import typer

from recorder.cli.accounts import accounts_exist
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.entries import note_unnamed, permit
from recorder.cli.options import DryRunOption
from recorder.cli.output import fail, messages, print_json, print_table, progress_bar, say
from recorder.cli.records import opened_index
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.permissions import Act, Person
from recorder.recordings.fsck import Checker
from recorder.recordings.home_lock import is_daemon_there
from recorder.recordings.reconcile import Reconciler, Report
from recorder.recordings.reindex import Reindexed, Reindexer
from recorder.recordings.repair import REPAIRED, Repair
from recorder.rules.wording import words_for
from storage.audit import AuditLog
from storage.errors import StorageError
from storage.fsck import Finding, Kind
from storage.index import Index
from storage.keys import NodeKeys
from storage.vault import Vault


def reindex(context: PersonContext, dry_run: DryRunOption = False) -> None:
    """Rebuild the index from recordings and audit log, with holds, deletions and orders to erase.

    Run it again if it was interrupted. A usable index is completed, also while the daemon runs. A missing or damaged
    one is replaced: stop daemon and console for that; the old file is moved to lost+found. Calls without a recording
    are lost, except those still readable in the damaged file. Afterwards nothing is deleted before `recorder
    reconcile`.
    """
    home = context.home
    by = _repairer(context, "reindex", is_dry=dry_run)
    try:
        made = Reindexer(
            home=home, config=context.config, vault=_vault(home), audit=AuditLog(home.audit), now=utc_now, tell=say
        )
        if dry_run:
            done = made.look()
        else:
            with progress_bar("reading recordings", 0) as progress:
                done = made.run(by, progress)
    except (StorageError, OSError) as error:
        fail(str(error) if dry_run else f"{error}; the work so far is saved and the sweep waits: run it again")
    if context.json:
        print_json(done.as_json() | {"dry_run": dry_run})
    else:
        _print_reindexed(done, is_dry=dry_run)


def _print_reindexed(done: Reindexed, *, is_dry: bool) -> None:
    facts = done.as_json()
    for name in ("damaged", "unfiled"):
        for path, problem in facts.pop(name).items():
            say(f"{name}: recordings/{path}: {problem}")
    print_table([{"what": key.replace("_", " "), "is": value} for key, value in facts.items() if value or value == 0],
                [("what", "What"), ("is", "Is")], empty="")  # fmt: skip
    if done.late_entries:
        say(f"{done.late_entries} entries wait for the audit log: start the daemon, then run this again")
    if not is_dry:
        say("nothing is deleted until the DPO has checked the result: recorder index reconcile")


def reconcile(
    context: PersonContext,
    confirm: Annotated[
        bool, typer.Option("--yes", help="Confirm the result, so that the sweep continues. DPO only.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What you compared with what.")] = "",
) -> None:
    """Compare recordings, index and audit log after a repair or a restored backup; --yes continues the sweep."""
    home = context.home
    person = _dpo(context, reason) if confirm else None
    with opened_index(context) as index, _bar("comparing", _vault(home)) as (progress, total):
        made = Reconciler(
            home=home, vault=_vault(home), database=index.database, audit=AuditLog(home.audit), now=utc_now,
            is_live=is_daemon_there(home),
        )  # fmt: skip
        report = made.report(progress, total)
        if person is not None:
            made.confirm(person.actor, reason, report)
    if context.json:
        print_json(report.as_json() | {"confirmed": confirm})
        return
    _print_report(report)
    if confirm:
        say("the sweep continues")
    elif report.mark is not None:
        say("nothing is deleted until the DPO confirms: recorder index reconcile --yes --reason TEXT --as NAME")


def _print_report(report: Report) -> None:
    facts = report.as_json()
    for why in facts.pop("why"):
        say(f"the sweep waits: {why}")
    rebuilt, anchors = facts.pop("reindex"), facts.pop("anchors")
    rows = [{"what": key.replace("_", " "), "is": value} for key, value in facts.items()]
    rows += [{"what": f"when it was rebuilt: {key.replace('_', ' ')}", "is": value} for key, value in rebuilt.items()]
    rows += [{"what": f"head noted at {target}", "is": said} for target, said in anchors.items()]
    print_table(rows, [("what", "What"), ("is", "Is")], empty="")


def fsck(
    context: PersonContext,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair faults without losing evidence; replaced files go to lost+found.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the recordings' contents.")] = False,
    write_off: Annotated[
        bool,
        typer.Option("--write-off-missing", help="With --repair: mark calls whose file is missing as not kept."),
    ] = False,
) -> None:
    """Compare recordings with index, keys and audit log. Changes nothing without --repair. Exit 1 if faults remain."""
    if write_off and not repair:
        fail("--write-off-missing needs --repair", 2)
    by = _repairer(context, "fsck", is_dry=not repair)
    with opened_index(context) as index:
        looked = _Look(context, index, is_quick=quick, is_writing_off=write_off)
        left = looked.run(by if repair else None)
    if left:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Look:
    """One run of fsck; prints findings as they come, so that memory stays small."""

    context: CommandContext
    index: Index
    is_quick: bool
    is_writing_off: bool

    def run(self, by: str | None) -> int:
        """Check, repair if ``by`` names somebody, and print; return the number of faults left."""
        counts: Counter[str] = Counter()
        home = self.context.home
        vault, audit = _vault(home), AuditLog(home.audit)
        checker = Checker(
            home=home, vault=vault, database=self.index.database, audit=audit, now=utc_now,
            is_live=is_daemon_there(home), is_quick=self.is_quick, counts=counts,
        )  # fmt: skip
        mender = None
        if by is not None:
            mender = Repair(
                home=home, config=self.context.config, vault=vault, database=self.index.database, audit=audit,
                now=utc_now, is_writing_off=self.is_writing_off,
            )  # fmt: skip
        found: Counter[str] = Counter()
        with _bar("comparing", vault) as (progress, total):
            mended = self._mended(checker.findings(progress, total), mender, found)
            _print_found(mended, counts, found, json=self.context.json)
        if mender is not None and found["mended"]:
            audit.append(REPAIRED, by or "", "", {"findings": dict(found)})
        return found["left"]

    @staticmethod
    def _mended(findings: Iterator[Finding], mender: Repair | None, found: Counter[str]) -> Iterator[dict[str, Any]]:
        for finding in findings:
            said = mender.repair(finding) if mender is not None else ""
            found["mended" if said else "left"] += 1
            found[str(finding.kind)] += 1
            yield {**finding.as_json(), "mended": said or None}


def _print_found(found: Iterator[dict[str, Any]], counts: Counter[str], sums: Counter[str], *, json: bool) -> None:
    if json:
        sys.stdout.write('{"findings": [')
        for number, one in enumerate(found):
            sys.stdout.write((",\n" if number else "\n") + dumps(one))
        ends = {"looked_at": dict(counts), "mended": sums["mended"], "left": sums["left"]}
        sys.stdout.write(f"\n], {dumps(ends)[1:]}\n")
        return
    for one in found:
        ending = one["mended"] or (
            f"--repair would {one['repair']}" if one["repair"] else "it must be repaired by hand: see docs"
        )
        say(f"{words_for(Kind, one['kind'])}: {one['where']}: {one['what']}. {ending}")
    looked = ", ".join(f"{counts[name]} {name}" for name in ("containers", "rows", "keys"))
    say(f"{looked} compared: {sums['mended']} repaired, {sums['left']} left")


@contextlib.contextmanager
def _bar(what: str, vault: Vault) -> Iterator[tuple[Any, int]]:
    total = sum(1 for _ in vault.finished()) if messages.is_terminal else 0
    with progress_bar(what, total) as progress:
        yield progress, total


def _repairer(context: CommandContext, command: str, *, is_dry: bool) -> str:
    """Return the person who repairs, for the audit log. Needs no account, because the accounts may be lost.

    A person who is named is signed in, and their role must permit it; so must that of a token, if accounts can be read.
    """
    details = {"command": command, "dry_run": is_dry}
    if context.name is None and not (context.is_by_token and accounts_exist(context.home)):
        note_unnamed(context.home, Act.REPAIR_INDEX.value, details)
        return f"os:{os_user()}"
    person = context.sign_in("a repair")
    permit(context.home, Act.REPAIR_INDEX, person, reason="", subject="", operator=None, details=details)
    return person.actor


def _dpo(context: CommandContext, reason: str) -> Person:
    person = context.sign_in("to let the sweep go on")
    permit(context.home, Act.RECONCILE, person, reason=reason, subject="", operator=None, details={})
    return person


def _vault(place: Home) -> Vault:
    return Vault(place.root, NodeKeys.load(place.root))
