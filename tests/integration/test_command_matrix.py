"""Every command, run by whoever's role has none of its acts and by somebody whose role has one.

Which commands there are is asked of the program, what must come out of `recorder.cli.command_access`. Acts on calls
in progress are run in every relation to the call in `tests.virtual.test_live_matrix`.
"""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from recorder.access.accounts import People
from recorder.access.database import open_people
from recorder.cli import identity
from recorder.cli.cli import app
from recorder.cli.command_access import ASKED_BY_THE_DAEMON, IF_NAMED, NAMED, UNNAMED
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import TABLE, Person, Role
from recorder.rules.requirement import AccessLevel, Requirement
from storage.audit import AuditLog
from tests.helpers.accounts import CHEAP, PASSWORD
from tests.helpers.recorder_home import RecorderHome
from tests.integration.test_named_commands import LEAVES, arguments

WHY = ["--reason", "complaint 17"]
GIVEN = {
    "alarms acknowledge": ["disk_full", "--remark", "full"],
    "index check": ["--repair"], "index reconcile": ["--yes", *WHY],
    "recordings erase": ["x", "--from", "0", "--to", "1"], "calls resume": ["--call", "x"],
    "calls retroactive-pause": ["--call", "x"],
    "calls second-message": ["--call", "x"], "calls opt-out": ["--call", "x", *WHY],
    "opt-outs add": ["--call", "x"], "opt-outs grant": ["x", *WHY], "opt-outs decline": ["x", *WHY],
    "holds release": ["x", *WHY], "holds reinstate": ["x", *WHY], "holds review": ["x", *WHY],
    "recordings export": ["x", "-o", "out"], "keys destroy": ["2020-01"], "keys passphrase": ["--remove"],
}  # fmt: skip
"""What a command is given beside what it must have: that it asks for a person, and for a reason where one is taken."""


PROGRAM = get_command(app)


class Shell:
    """A home with accounts of any roles, who are signed in, and the entries of its audit log as they come."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._patch = patch
        self._accounts = People(open_people(root / "people.sqlite"), now=utc_now, hasher=CHEAP)
        self._people: dict[frozenset[Role], Person] = {}
        self._lacking: list[str] = []
        self._signed_in: list[Person] = []
        append = AuditLog.append

        def appended(log: AuditLog, act: str, *rest: object, **more: object) -> object:
            details: Any = more.get("details") or {}
            if act.endswith(".refused") and "command" in details:
                self._lacking.append(details["command"])
            return append(log, act, *rest, **more)  # type: ignore[arg-type]

        def known(_home: Home, _name: str | None, token: str) -> Person:
            self._signed_in += [one for one in self._people.values() if one.name == token]
            return self._signed_in[-1]

        patch.setattr(AuditLog, "append", appended)
        patch.setattr(identity, "_by_token", known)  # as who has signed in before, without looking for the session
        patch.chdir(root.parent)  # some write a file where they are run

    def person(self, roles: frozenset[Role]) -> Person:
        if roles not in self._people:
            name = f"m{len(self._people)}"
            self._accounts.add(name, PASSWORD, display_name=f"Pat {name}", roles=roles, teams=["Revenues"])
            found = self._accounts.find(name)
            assert found is not None
            self._people[roles] = found
        return self._people[roles]

    def is_refused(self, words: str, roles: frozenset[Role]) -> bool:
        """Run a command as somebody who is signed in; tells whether it is refused because of their role."""
        given = GIVEN.get(words) or arguments(LEAVES[words])
        self._patch.setenv(identity.TOKEN_VARIABLE, self.person(roles).name)
        self._lacking.clear()
        self._signed_in.clear()
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
            PROGRAM([*words.split(), *given, "-C", str(self.root)], prog_name="recorder")
        assert self._signed_in, (words, said.getvalue())
        return words in self._lacking


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    edits = [('after_days = "off"', "after_days = 30")]
    root = RecorderHome(tmp_path_factory.mktemp("roles"), next_hop="127.0.0.1:5070", edits=edits).root
    with pytest.MonkeyPatch.context() as patch:
        yield Shell(root, patch)


ASKED: dict[str, Requirement] = {
    words: needed
    for words, needed in {**NAMED, **IF_NAMED}.items()
    if needed.level is AccessLevel.ROLE and words not in {*ASKED_BY_THE_DAEMON, "users connect"}
}
"""What asks for a role; at this home is no OpenID provider, to whom somebody could be connected."""


def without(needed: Requirement) -> list[frozenset[Role]]:
    """Return the roles that have none of some acts, `admin` apart: no account has it beside one that hears."""
    found = frozenset(role for role in Role if not any(act in TABLE[role] for act in needed.acts))
    return [roles for roles in (found - {Role.ADMIN}, found & {Role.ADMIN}) if roles]


def test_every_command_is_in_one_table_and_every_entry_is_a_command() -> None:
    assert {*NAMED, *UNNAMED} == set(LEAVES)
    assert not set(NAMED) & set(UNNAMED)
    assert set(IF_NAMED) <= set(UNNAMED)


def test_a_command_is_refused_to_whoever_has_none_of_its_acts(shell: Shell) -> None:
    wrong = [
        f"recorder {words} by {', '.join(sorted(roles))}"
        for words, needed in ASKED.items()
        for roles in without(needed)
        if not shell.is_refused(words, roles)
    ]
    assert not wrong, "\n".join(["not refused:", *wrong])


def test_a_command_is_there_for_whoever_has_one_of_its_acts(shell: Shell) -> None:
    wrong = [
        f"recorder {words} by {role}"
        for words, needed in ASKED.items()
        for role in [next(role for role in Role if needed.acts[0] in TABLE[role])]
        if shell.is_refused(words, frozenset({role}))
    ]
    assert not wrong, "\n".join(["refused:", *wrong])
