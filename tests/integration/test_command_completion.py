"""What the shell offers on Tab: ids, names and extensions of the home; nothing, and at once, where it cannot look."""

import os
import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from recorder.cli import completion
from recorder.cli.cli import app
from recorder.cli.identity import TOKEN_VARIABLE
from recorder.permissions import Role
from tests.helpers.due_home import DAY, add_recording
from tests.helpers.recorder_home import HANGS_S, RecorderHome
from tests.helpers.starvation import stopwatch

LIMIT_S = 0.5
"""How long the shell waits at most."""


def offered(typed: str, home: Path) -> list[str]:
    """Return what is offered for the last word of a command line, which may be empty, as bash asks for it."""
    words = f"recorder {typed}"
    environment = {
        "_RECORDER_COMPLETE": "complete_bash", "COMP_WORDS": words, "RECORDER_HOME": str(home), TOKEN_VARIABLE: None,
        "COMP_CWORD": str(len(words.split()) - (0 if words.endswith(" ") else 1)),
    }  # fmt: skip
    result = CliRunner().invoke(app, [], prog_name="recorder", env=environment)
    assert result.stderr == ""
    return result.stdout.split()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> RecorderHome:
    home = RecorderHome(tmp_path_factory.mktemp("completion"), next_hop="127.0.0.1:5070")
    home.add_person("olive", Role.OFFICER)
    return home


def test_ids_names_and_extensions(site: RecorderHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "LIMIT_S", HANGS_S)
    older, newer = add_recording(site, 2 * DAY, 1), add_recording(site, DAY, 2)
    assert offered("recordings show ", site.root) == [newer, older]
    took_s = stopwatch(os.getpid())
    assert offered("recordings show ", site.root) == [newer, older]
    assert took_s() < LIMIT_S
    assert newer in offered(f"recordings export {newer[:10]}", site.root)
    assert offered("holds add 1999", site.root) == []
    assert offered("users show ol", site.root) == ["olive"]
    assert offered("recordings list --as fou", site.root) == ["founder"]
    assert offered("calls pause --extension 20", site.root) == ["2001", "2002"]
    assert "alice" in offered("recordings list --operator ", site.root)
    assert offered("show ", site.root) == [newer, older], "after a word of before, too"


IDS = (
    "holds release ", "tokens revoke ", "cases show ", "claims lift ", "proposals confirm ", "requests grant ",
    "erasures confirm ",
)  # fmt: skip
ELSE = ("recordings show ", "users show ", "calls pause --extension ", "calls show ", "webhooks test ")


@pytest.mark.parametrize("typed", [*IDS, *ELSE])
def test_nothing_where_there_is_no_home(typed: str, tmp_path: Path) -> None:
    assert offered(typed, tmp_path) == []
    assert list(tmp_path.iterdir()) == [], "and none is made"


@pytest.mark.parametrize("typed", IDS)
def test_every_table_that_is_asked_for_exists(typed: str, site: RecorderHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_within", lambda find: find())  # an error is one
    assert offered(typed, site.root) == []


def test_a_daemon_that_does_not_answer_keeps_nobody_waiting(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(tmp_path / "recorder.sock"))
        silent.listen()
        before_s = time.monotonic()
        assert offered("calls show ", tmp_path) == []
        assert time.monotonic() - before_s < LIMIT_S + 2.0
