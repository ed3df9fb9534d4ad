"""Every command on finished calls and on what people asked for, by every role, on their own, their team's and others'.

Which commands there are, and what must come out, is asked of `recorder.cli.command_access`. Routes are run so in
`test_route_matrix`, acts on calls in progress in `tests.virtual.test_live_matrix`.
"""

import contextlib
import io
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typer.main import get_command

from recorder.cli import identity
from recorder.cli.cli import app
from recorder.cli.command_access import NAMED
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.common.problems import ProblemError
from recorder.permissions import TABLE, Person, Role
from recorder.rules.live_access import Relation
from recorder.rules.requirement import Requirement, Subject, relations_of
from storage.audit import AuditLog
from tests.helpers.matrix_site import DEPUTY, MatrixSite, Things, matrix_site, name_of

PROGRAM = get_command(app)
WHY = ("--reason", "complaint 17")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command as somebody gives it.

    Attributes:
        words: Its own.
        given: What it is given of the things it is about.
        needed: What it takes of whoever gives it.
        is_done: Whether it comes to its end at this site, where it is allowed.
    """

    words: str
    given: Callable[[Things], tuple[str, ...]]
    needed: Requirement
    is_done: bool = True


def _by_table(words: str, given: Callable[[Things], tuple[str, ...]], *, is_done: bool = True) -> Command:
    return Command(words=words, given=given, needed=NAMED[words], is_done=is_done)


COMMANDS = [
    _by_table("recordings show", lambda it: (it.recording_id,)),
    _by_table("recordings play", lambda it: (it.held_id, *WHY), is_done=False),  # most have no file
    _by_table("recordings export", lambda it: (it.held_id, "-o", "copy.wav", *WHY), is_done=False),  # most have no file
    _by_table("recordings erase", lambda it: (it.recording_id, "--from", "0", "--to", "1", *WHY)),
    _by_table("erasures confirm", lambda it: (it.order_id, *WHY)),
    _by_table("erasures decline", lambda it: (it.order_id, *WHY)),
    _by_table("holds add", lambda it: (it.held_id, "--kind", "complaint", "--case", "C 1", "--owner", "lead", *WHY)),
    _by_table("holds release", lambda it: (it.hold_id, *WHY)),
    _by_table("holds reinstate", lambda it: (it.hold_id, *WHY), is_done=False),  # it stands
    _by_table("holds review", lambda it: (it.hold_id, *WHY)),
    _by_table("requests add", lambda it: (it.recording_id, "--category", "CATEGORY", "--reference", "A 1", *WHY)),
    _by_table("requests grant", lambda it: ("REQUEST", *WHY)),
    _by_table("requests decline", lambda it: ("REQUEST", *WHY)),
    _by_table("requests withdraw", lambda it: ("REQUEST",)),
    _by_table("claims uphold", lambda it: (it.claim_id, "--ground", "unlawful", *WHY)),
    _by_table("claims decline", lambda it: (it.claim_id, "--ground", "not_theirs", *WHY)),
    _by_table("claims lift", lambda it: (it.upheld_id, *WHY)),
    _by_table("claims allow-use", lambda it: (it.upheld_id, "--days", "3", "--ground", "consent", *WHY)),
    _by_table("assurance explain", lambda it: (it.finding_id, *WHY)),
    _by_table("cases decide", lambda it: (it.case_id, "refuse", *WHY), is_done=False),  # nothing was searched
    _by_table("proposals confirm", lambda it: (it.proposal,), is_done=False),  # there is no authenticator to take away
    _by_table("proposals decline", lambda it: (it.proposal,)),
]


class Outcome:
    """What came of a command.

    Attributes:
        code: How it left.
        said: What it said.
        entries: What it wrote into the audit log.
        status: How HTTP would have answered, where it was no.
    """

    def __init__(self) -> None:
        self.code: int | str | None = 0
        self.said = ""
        self.entries: list[str] = []
        self.status: int | None = None

    @property
    def is_refused(self) -> bool:
        """Whether it was not for them: a conflict with how things stand (409) is another matter."""
        return self.is_written_down if self.status is None else self.status in (403, 404)

    @property
    def is_written_down(self) -> bool:
        """Whether the audit log has a refusal."""
        return any(act.endswith(".refused") for act in self.entries)

    @property
    def changed(self) -> list[str]:
        """What was done by the audit log, beside looking, having asked and being refused."""
        return [act for act in self.entries if not act.endswith((".refused", ".view"))]


class Shell:
    """A site with accounts of every role, who are signed in at its shell."""

    def __init__(self, site: MatrixSite, patch: pytest.MonkeyPatch, root: Path) -> None:
        self.site = site
        self._patch = patch
        self._root = root
        self._outcome = Outcome()
        append, begin = AuditLog.append, ProblemError.__init__

        def appended(log: AuditLog, act: str, *rest: object, **more: object) -> object:
            if log.folder.is_relative_to(root):  # and not of a console before, whose listens end after some time
                self._outcome.entries.append(str(act))
            return append(log, act, *rest, **more)  # type: ignore[arg-type]

        def begun(problem: ProblemError, status: int, *rest: object, **more: object) -> None:
            self._outcome.status = status
            begin(problem, status, *rest, **more)  # type: ignore[arg-type]

        def known(_home: Home, _name: str | None, token: str) -> Person:
            return site.person(token)

        patch.setattr(AuditLog, "append", appended)
        patch.setattr(ProblemError, "__init__", begun)
        patch.setattr(shutil, "which", lambda _: "/bin/true")  # a loudspeaker
        patch.setattr(identity, "_by_token", known)  # as who has signed in before, without looking for the session

    def run(self, command: Command, account: str, things: Things) -> Outcome:
        """Run a command as somebody who is signed in."""
        given = command.given(things)
        is_member = Role.MEMBER in self.site.person(account).roles
        values = {
            "CATEGORY": "about_me" if is_member else "complaint",
            "REQUEST": self.site.request(things) if "REQUEST" in given else "",
        }
        arguments = [*command.words.split(), *(values.get(one, one) for one in given), "-C", str(self._root)]
        self._outcome = outcome = Outcome()
        self._patch.setenv(identity.TOKEN_VARIABLE, account)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                PROGRAM(arguments, prog_name="recorder")
            except SystemExit as left:
                outcome.code = left.code
        outcome.said = " ".join(said.getvalue().split())
        Path("copy.wav").unlink(missing_ok=True)
        return outcome


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("relations")
    with matrix_site(folder, now=utc_now) as site, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)  # where copies are made
        (folder / "home" / "recorder.toml").write_text(f'[storage]\nprivate_keys = "{folder / "private"}"\n')
        yield Shell(site, patch, folder / "home")


def problem_with(command: Command, outcome: Outcome, *, allowed: bool) -> str:
    """Return what is wrong with what came of a command; empty where nothing is."""
    if allowed:
        if outcome.is_refused:
            return f"refused where it is allowed: {outcome.said}"
        return "" if outcome.code == 0 or not command.is_done else f"left with {outcome.code}: {outcome.said}"
    if not outcome.is_refused or outcome.code == 0:
        return f"not refused, left with {outcome.code}: {outcome.said}"
    if not outcome.is_written_down:
        return f"refused, and that is written down nowhere: {outcome.said}"
    return f"refused, and yet done: {', '.join(outcome.changed)}" if outcome.changed else ""


def test_every_command_whose_relation_counts_is_run() -> None:
    counts = {words for words, needed in NAMED.items() if needed.subject in (Subject.KEPT, Subject.MATTER)}
    assert counts == {command.words for command in COMMANDS}


ROLES: list[tuple[str, Role, bool]] = [*((name_of(role), role, False) for role in Role), (DEPUTY, Role.OFFICER, True)]


@pytest.mark.parametrize(("account", "role", "is_deputy"), ROLES)
def test_each_role_does_at_the_shell_what_the_table_says(
    shell: Shell, account: str, role: Role, is_deputy: bool
) -> None:
    wrong = []
    for relation in Relation:
        for command in COMMANDS:
            if is_deputy and not command.needed.is_deputys:
                continue  # as any officer
            if is_left_out(command, role, relation, is_deputy=is_deputy):
                continue
            outcome = shell.run(command, account, shell.site.things_on_demand(account, relation))
            allowed = relation in relations_of(role, command.needed)
            if is_deputy:
                allowed = not (command.needed.is_for_others and relation is Relation.OWN)
            if problem := problem_with(command, outcome, allowed=allowed):
                wrong.append(f"recorder {command.words} by {account}, {relation}: {problem}")
    assert not wrong, "\n".join(wrong)


def is_left_out(command: Command, role: Role, relation: Relation, *, is_deputy: bool) -> bool:
    """Tell whether what is allowed comes to nothing here: other tests have it."""
    if is_break_glass(command, role):
        return True  # one recording at a time, of all that anybody hears
    is_known = is_deputy or any(act in TABLE[role] for act in command.needed.acts)
    if not is_known and relation is not Relation.TEAM:
        return True  # one is as good as another
    return is_deputy and command.words in ("requests grant", "requests decline")  # for the DPO: tests of requests


def is_break_glass(command: Command, role: Role) -> bool:
    """Tell whether it is to hear without approval."""
    return command.words == "recordings play" and role is Role.ICT


@pytest.mark.parametrize("role", list(Role))
def test_leave_opens_at_the_shell_what_it_is_for(shell: Shell, role: Role) -> None:
    wrong = []
    account = name_of(role)
    things = replace(shell.site.things(account, Relation.OTHER), recording_id=shell.site.untouched)
    things = replace(things, held_id=shell.site.untouched)
    shell.site.give_leave(account)
    for command in COMMANDS:
        if command.words not in ("recordings show", "recordings play", "recordings export") or is_break_glass(
            command, role
        ):
            continue
        outcome = shell.run(command, account, things)
        allowed = Relation.OTHER in relations_of(role, command.needed, has_grant=True)
        if problem := problem_with(replace(command, is_done=True), outcome, allowed=allowed):
            wrong.append(f"recorder {command.words} by {role} with leave: {problem}")
    assert not wrong, "\n".join(wrong)
