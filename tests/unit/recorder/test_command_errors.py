"""Errors that a person can do something about become one sentence; others stay what they are."""

import pytest
import typer

from recorder.access.account_rows import PeopleError
from recorder.cli.errors import said_plainly
from recorder.common.problems import ProblemError
from recorder.config.toml_tables import ConfigError
from storage.errors import DatabaseError, StorageError


@pytest.mark.parametrize(
    ("error", "said", "code"),
    [
        (StorageError("the vault is full"), "the vault is full", 1),
        (PeopleError("there is no account 'x'"), "there is no account 'x'", 1),
        (ProblemError(404, "There is no case."), "There is no case.", 1),
        (ConfigError("recorder.toml, line 3: unknown key 'x'"), "recorder.toml, line 3: unknown key 'x'", 2),
        (FileNotFoundError(2, "No such file or directory", "/a/b"), "/a/b: No such file or directory", 1),
        (OSError(28, "No space left on device"), "No space left on device", 1),
        (TimeoutError(), "TimeoutError", 1),
    ],
)
def test_a_sentence(error: Exception, said: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, said_plainly():
        raise error
    assert (left.value.exit_code, capsys.readouterr().err) == (code, f"recorder: {said}\n")
    with pytest.raises(typer.Exit) as left, said_plainly("run it again", code=2):
        raise error
    assert (left.value.exit_code, capsys.readouterr().err) == (2, f"recorder: {said}; run it again\n")


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("a fault of ours"), KeyError("x"), typer.Exit(1)])
def test_what_is_no_such_error(error: Exception) -> None:
    with pytest.raises(type(error)), said_plainly():
        raise error


def test_an_error_that_the_caller_does_something_about() -> None:
    with pytest.raises(DatabaseError), said_plainly(passing=DatabaseError):
        raise DatabaseError("the server is away", is_passing=True)
