"""A recorder with people and calls for the walks of `tests/policy`: one daemon, and whoever sits at its shell.

A walk is a story of commands, each a `recorder ...` as somebody types it. They run in the test's own process, which
saves the second that it takes to load the recorder: exit code, standard output and standard error are those of a
process, and whatever a process would end with a traceback is raised.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from typer.testing import CliRunner

from recorder.cli.cli import app
from recorder.cli.identity import TOKEN_VARIABLE
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings.home_stores import open_index
from recorder.retention.sweep_process import opened_sweeper
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.holds import Holds
from storage.types import RecordingId
from tests.helpers.console_site import Browser
from tests.helpers.due_home import add_recording
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import ADMIN, PASSWORD, contents, eventually
from tests.helpers.sip_peer import State
from tests.helpers.voices import FRAME, TICKS_PER_S, Voice

EXTENSIONS = ("2001:Olive Officer", "2002:Otto Other", "2003:Bea Benn")
TEAMS = ("Revenues", "Revenues", "Benefits")
EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('policy_reviewed_on = "off"', 'policy_reviewed_on = "2026-06-01"'),
    *((f'service = "{team}"\nteam = ""', f'service = "{team}"\nteam = "{team}"') for team in sorted(set(TEAMS))),
)
PEOPLE: dict[str, tuple[str, Role, tuple[str, ...]]] = {
    "dora": ("Dora Dunn", Role.DPO, ()),
    "lena": ("Lena Lead", Role.TEAM_LEADER, ()),
    "mary": ("Mary Mann", Role.MANAGER, ("Revenues",)),
    "hugo": ("Hugo Hill", Role.MANAGER, ("Benefits",)),
    "olive": ("Olive Officer", Role.OFFICER, ("Revenues",)),
    "otto": ("Otto Other", Role.OFFICER, ("Revenues",)),
    "bea": ("Bea Benn", Role.OFFICER, ("Benefits",)),
    "ida": ("Ida Ives", Role.ICT, ()),
    "elma": ("Elma Evans", Role.MEMBER, ()),
}
"""Account: display name, role, teams. `founder` is the administrator."""
FINISHED = {"2001": 11, "2002": 4, "2003": 2}
"""How many calls at each extension are over when the first walk begins: each is given to one walk."""
TALK_S = 1.0
ZONE = ZoneInfo("Europe/London")
"""Of the site, as `recorder init` writes it."""


class Shell:
    """Somebody who types commands; nobody in particular where ``name`` is empty."""

    def __init__(self, site: "PolicySite", name: str = "") -> None:
        self.site = site
        who = ("--as", name, "--password-file", str(site.home.password_file)) if name else ()
        self._who = (*who, "-C", str(site.home.root))

    def run(self, *words: str, token: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `recorder` with these words to its end, whatever that is."""
        command = [*words, *self._who]
        path = f"{self.site.programs}:{os.environ['PATH']}"
        env = {TOKEN_VARIABLE: token, "PATH": path}
        done = CliRunner().invoke(app, command, prog_name="recorder", env=env)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(command, done.exit_code, done.stdout, done.stderr)

    def does(self, *words: str) -> str:
        """Run a command that must succeed; returns what it said, on either output."""
        done = self.run(*words)
        assert done.returncode == 0, f"recorder {' '.join(words)}: exit {done.returncode}: {done.stderr}"
        return " ".join(f"{done.stdout} {done.stderr}".split())

    def json(self, *words: str) -> Any:
        """Run a command that must succeed with ``--json``; returns its document."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, f"recorder {' '.join(words)}: exit {done.returncode}: {done.stderr}"
        return json.loads(done.stdout)

    def is_refused(self, *words: str, code: int = 1) -> str:
        """Run a command that must be refused and show nothing; returns the sentence that says why."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (code, ""), f"recorder {' '.join(words)}: {done.stdout}{done.stderr}"
        return " ".join(done.stderr.split())


class PolicySite:
    """The recorder, its callers and officers; `policy_site` makes one."""

    def __init__(self, lines: Exchange, folder: Path) -> None:
        self.lines, self.home, self.folder = lines, lines.home, folder
        self.programs = folder / "programs"
        self.heard = folder / "heard.wav"
        self.nobody = Shell(self)
        self.founder = Shell(self, ADMIN)
        self._finished: dict[str, list[dict[str, Any]]] = {}
        self._number = 0
        self._install_player()

    def _install_player(self) -> None:
        """Put a program where `recorder recordings play` finds the loudspeaker's; it keeps what it is given to play."""
        self.programs.mkdir()
        player = self.programs / "play"
        player.write_text(f"#!/bin/sh\nexec cat > {self.heard}\n")
        player.chmod(0o700)

    def __getitem__(self, name: str) -> Shell:
        """Return the shell of somebody who has an account."""
        return Shell(self, name)

    def join(self, name: str, role: Role, *teams: str) -> Shell:
        """Return the shell of somebody who gets an account of this role now."""
        self.home.add_person(name, role, display_name=name, teams=teams)
        return Shell(self, name)

    @contextmanager
    def browser(self, console: str, name: str) -> Iterator[Browser]:
        """Sign somebody in to the console, as a browser does."""
        with Browser(console) as browser:
            assert browser.sign_in(name, PASSWORD).status_code == httpx2.codes.SEE_OTHER
            yield browser

    # --- calls

    def talk(self, extension: str = "2001", **options: Any) -> tuple[str, Talk]:
        """Place a call to an extension and wait until caller and officer talk; returns its id too."""
        talk = self.lines.call(extension, **options)
        call = talk.join()
        eventually(lambda: talk.left.sent and talk.right.sent, "both talk")
        return call, talk

    def finish_calls(self, finished: Mapping[str, int]) -> None:
        """Have so many calls made at the same time, and keep what `recorder recordings list` says of each."""
        talks = [(number, self.lines.call(number)) for number, count in finished.items() for _ in range(count)]
        for _, talk in talks:
            talk.join()
        frames = TALK_S * TICKS_PER_S / FRAME
        eventually(lambda: all(len(talk.left.sent) > frames for _, talk in talks), "all talk")
        for _, talk in talks:
            talk.first.hang_up()
        for number, talk in talks:
            self._finished.setdefault(number, []).append(talk.hang_up())

    def end_calls(self) -> None:
        """Hang up what goes on, as after a walk that failed."""
        for talk in self.lines.talks.values():
            if talk.first.state is not State.ENDED:
                talk.first.hang_up()
                talk.first.wait_ended()

    def finished_call(self, extension: str = "2001") -> dict[str, Any]:
        """Return the row of a call that is over and that no other walk is given."""
        assert self._finished[extension], f"no call at {extension} is left: `FINISHED` says how many there are"
        return self._finished[extension].pop()

    def saying(self, voice: Voice) -> tuple[float, float]:
        """Let a voice speak on for a third of a second; returns from when to when it did."""
        began = voice.sent[-1]
        goal = began[0] + TICKS_PER_S // 3
        eventually(lambda: voice.sent[-1][0] >= goal, "the voice goes on")
        return began[1], voice.sent[-1][1]

    def old_recording(self, days: int, *, service: str = "Revenues", **changes: Any) -> RecordingId:
        """Put a recording into vault, keys and index whose call ended so many days ago."""
        self._number += 1
        return add_recording(self.home, timedelta(days=days), 0xF000 + self._number, service=service, **changes)

    # --- time that passes

    def plan(self, service: str, *, in_days: int) -> dict[str, Any]:
        """Return what `recorder retention show --dry-run` says of a service when the clock is so far ahead."""
        ahead = partial(opened_sweeper, now=lambda: utc_now() + timedelta(days=in_days))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recorder.cli.retention.opened_sweeper", ahead)
            plan = self.nobody.json("retention", "--dry-run")
        (line,) = [one for one in plan["calls"] if one["service"] == service]
        return dict(line)

    @contextmanager
    def later(self, after: timedelta) -> Iterator[None]:
        """Have commands on leave to hear take it that it is later; whoever signs in does so now."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("recorder.cli.requests.utc_now", lambda: utc_now() + after)
            yield

    def bring_review_forward(self, hold: str) -> None:
        """Have a hold be due for review today, as if its days had passed."""
        index = open_index(Home(self.home.root), read_config(self.home.config))
        try:
            known = Holds(index.database)
            known.save([replace(known.get(hold), review_on=self.today)])
        finally:
            index.close()

    # --- what is left behind

    def entries(self, subject: str, act: str = "") -> list[AuditEntry]:
        """Return the audit log's entries on something, oldest first, of an act or of all."""
        log = AuditLog(self.home.root / "audit").entries()
        return [one for one in log if one.subject == subject and one.act.startswith(act)]

    def kept(self) -> set[str]:
        """Return the ids of all recordings of which there is a file."""
        return {path.name.partition(".")[0] for path, _ in contents(self.home.root / "recordings")}

    def day_of(self, row: dict[str, Any]) -> str:
        """Return the day of a call where the recorder is."""
        return datetime.fromisoformat(row["started_at"]).astimezone(ZONE).date().isoformat()

    def notices(self) -> set[str]:
        """Return the SHA-256 of every version of the first message."""
        return {one["sha256"] for one in self.nobody.json("notice", "list") if one["name"] == "first"}

    def row(self, call: str) -> dict[str, Any]:
        """Wait until a call is filed; returns its row."""

        def filed() -> dict[str, Any] | None:
            done = self["dora"].run("show", call, "--json")
            return json.loads(done.stdout) if done.returncode == 0 else None

        return eventually(filed, f"{call} is filed")

    def file(self, name: str, text: str) -> str:
        """Write a file that a command is given, such as a number; returns its path."""
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    # --- configuration

    def edit_block(self, line: str, old: str, new: str) -> None:
        """Replace text in the one block of the configuration, `[[service]]` or `[[extension]]`, that has this line."""
        blocks = self.home.config.read_text().split("\n\n")
        (at,) = [at for at, block in enumerate(blocks) if f"\n{line}\n" in f"\n{_without_comments(block)}\n"]
        assert old in blocks[at], f"{old!r} is not in {blocks[at]!r}"
        blocks[at] = blocks[at].replace(old, new)
        self.home.config.write_text("\n\n".join(blocks))

    @property
    def today(self) -> date:
        """The day of today where the recorder is."""
        return utc_now().astimezone(ZONE).date()


def _without_comments(text: str) -> str:
    return "\n".join(line.partition("  #")[0].rstrip() for line in text.splitlines())


@contextmanager
def policy_site(folder: Path, finished: Mapping[str, int] = FINISHED) -> Iterator[PolicySite]:
    """Start a recorder with people at three extensions of two teams, and calls that are over."""
    extensions = [f"{one}:{team}" for one, team in zip(EXTENSIONS, TEAMS, strict=True)]
    with exchange(folder, extensions=extensions, edits=EDITS) as lines:
        site = PolicySite(lines, folder)
        site.founder.does("users", "revoke", ADMIN, "--role", "dpo")
        for name, (display_name, role, teams) in PEOPLE.items():
            lines.home.add_person(name, role, display_name=display_name, teams=teams)
        site.finish_calls(finished)
        yield site
