"""The commands of the tutorial, of the guides and of Operations, run as they are written: in a home of their own.

The tutorial makes its recorder itself; phones of the tests stand for `recorder phone`, whose own tests are elsewhere.
The guides are about one council, whose people are those of the policy's walks. They are followed in the order of the
navigation, since one person goes on where another one stopped.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx2

from recorder.calls.notices import NoticeStore
from recorder.cli.identity import people_of
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.permissions import Role
from recorder.recordings.home_stores import open_index
from storage.rows import row_from_json
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.guide_shell import Done, GuideShell, Step, steps_of
from tests.helpers.policy_site import policy_site
from tests.helpers.recorder_home import HANGS_S, RecorderHome, recorder_home, tone_file
from tests.helpers.signed_in import signing
from tests.helpers.storage_home import row
from tests.helpers.unix_transport import UnixTransport

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = ("engineer", "agent", "manager", "team-leader", "data-protection-officer", "elected-member", "auditor")


class Phones:
    """The phones of a reader: one call at a time."""

    def __init__(self, lines: Exchange) -> None:
        self._lines = lines
        self._talk: Talk | None = None

    def call(self, extension: str) -> None:
        """Call, and have the officer answer."""
        self._talk = self._lines.call(extension)
        self._talk.join()
        self._talk.talk_for(0.5)

    def phone(self, *words: str) -> None:
        """Be what `recorder phone` is: the officer's telephone is there, and whoever is dialled is called."""
        if "--listen" not in words:
            self.call(words[0].partition("@")[0])

    def hang_up(self) -> None:
        """End the call, when something was said since the last pause, and wait until it is filed."""
        assert self._talk is not None
        self._talk.talk_for(0.5)
        self._talk.hang_up()


def problems(done: list[Done], steps: list[Step]) -> list[str]:
    """Return what a page said that was not so; also that not all of it was run."""
    assert steps
    return [one.problem for one in done if one.problem] or [one.command for one in steps[len(done) :]]


@contextmanager
def tutorial_home(folder: Path) -> Iterator[tuple[Exchange, RecorderHome]]:
    """Give free ports and phones for a recorder that the page makes in ``folder``."""
    with ExitStack() as stack:
        lines = Exchange(stack)
        hop = f"127.0.0.1:{lines.officer.address[1]}"
        home = stack.enter_context(recorder_home(folder / ".spare", next_hop=hop, is_started=False))
        home.root = folder / "my-recorder"
        home.live = httpx2.Client(
            transport=UnixTransport(home.root / "recorder.sock"), base_url="http://recorder", timeout=HANGS_S,
            event_hooks=signing(home.root),
        )  # fmt: skip
        lines.home = home
        yield lines, home


def test_the_tutorial_makes_a_recorder_that_records_a_call(tmp_path: Path) -> None:
    with tutorial_home(tmp_path) as (lines, home):
        phones = Phones(lines)

        def prepare() -> None:
            home.edit("[30000, 33999]", "[{}, {}]".format(*home.media_ports))
            home.edit("limit_s = 600.0", "limit_s = 0.0")  # the daemon ends with the test
            NoticeStore(Home(home.root).notices).put("first", tone_file(tmp_path / ".notice.wav", 700, 0.5), by="test")

        shell = GuideShell(
            tmp_path,
            tmp_path / "first-password",
            {"up": lambda *_: home.start(), "phone": phones.phone, "@hang-up": phones.hang_up},
            {"127.0.0.1:5060": f"127.0.0.1:{home.sip[1]}", "127.0.0.1:5070": f"127.0.0.1:{lines.officer.address[1]}"},
            {"init": prepare},
        )
        steps = steps_of((DOCS / "tutorial.md").read_text())
        assert problems(shell.follow(steps, {}), steps) == []


def test_the_first_accounts_are_made_in_the_order_of_operations(tmp_path: Path) -> None:
    text = (DOCS / "operations.md").read_text()
    steps = steps_of(text[text.index("## Create the home folder") : text.index("## Run under systemd")])
    (tmp_path / "typed").write_text("seven tall cranes over the harbour\n")
    (tmp_path / "typed").chmod(0o600)
    home = tmp_path / "home"
    replaced = {"/var/lib/council-recorder": str(home), "council-shared": str(os.getgid())}
    shell = GuideShell(tmp_path, tmp_path / "typed", {}, replaced, has_apps=True)
    assert problems(shell.follow(steps, {"RECORDER_HOME": ""}), steps) == []

    assert 'second_factor = "required"' in (home / "recorder.toml").read_text()
    people = {one.person.name: one for one in people_of(Home(home)).list()}
    assert {name: one.person.roles for name, one in people.items()} == {
        "founder": {Role.ADMIN}, "dora": {Role.DPO}, "lena": {Role.TEAM_LEADER}, "mary": {Role.MANAGER},
        "alice": {Role.OFFICER},
    }  # fmt: skip
    assert [name for name, one in people.items() if not one.has_second_factor] == []


def test_the_page_of_commands_finds_calls_by_number_and_name(tmp_path: Path) -> None:
    steps = steps_of((DOCS / "commands.md").read_text())
    with recorder_home(tmp_path / "site", next_hop="127.0.0.1:5070", is_started=False) as home:
        home.add_person("lena", Role.TEAM_LEADER, display_name="Lena Lead")
        with closing(open_index(Home(home.root), read_config(home.config))) as index:
            index.save(row_from_json(row(caller="+447700900555", operator="Olive Officer")))
        done = GuideShell(tmp_path, home.password_file, {}).follow(steps, {"RECORDER_HOME": str(home.root)})
        assert problems(done, steps) == []


def test_the_page_of_outcomes_shows_what_explain_prints(tmp_path: Path) -> None:
    steps = steps_of((DOCS / "outcomes.md").read_text())
    assert problems(GuideShell(tmp_path, tmp_path, {}).follow(steps, {}), steps) == []


def test_the_guides_are_walked_from_the_engineer_to_the_auditor(tmp_path: Path) -> None:
    with policy_site(tmp_path / "site", {"2001": 2, "2003": 1}) as site:
        phones = Phones(site.lines)
        recording = site.finished_call("2001")["id"]
        for name in GUIDES:
            folder = tmp_path / name
            folder.mkdir()
            shell = GuideShell(folder, site.home.password_file, {"@call": phones.call, "@hang-up": phones.hang_up})
            steps = steps_of((DOCS / "guides" / f"{name}.md").read_text())
            done = shell.follow(steps, {"RECORDER_HOME": str(site.home.root), "RECORDING": recording})
            assert problems(done, steps) == [], name
