"""How pages are read and followed: what is a command, what a page may show of it, and what is told of a fault."""

from pathlib import Path

import pytest

from tests.helpers.guide_shell import GuideShell, Step, is_like, steps_of

PAGE = """\
Text, and a block that is not run:

```
$ recorder purge
```

```console
$ export NAME=2001
$ echo "$NAME \\
    rings"
2001 rings
```

<!-- call: 2001 -->

1. In an item:

    ```console
    $ echo done
    done
    ```

<!-- hang up -->
"""


def test_commands_are_those_of_console_blocks_in_order() -> None:
    assert steps_of(PAGE) == [
        Step("export NAME=2001"),
        Step('echo "$NAME \\\n    rings"', ("2001 rings",)),
        Step("recorder @call 2001"),
        Step("echo done", ("done",)),
        Step("recorder @hang-up"),
    ]


@pytest.mark.parametrize(
    ("shown", "said", "is_so"),
    [
        ("request ... waits", "request fda6449c waits", True),
        ("request ... waits", "request fda6449c is declined", False),
        ("...: paused (agent) from ...", "20261130T001827Z-2001-643855: paused (agent) from 2.72 s", True),
        ("ok: 0 calls", "ok:\t3 calls", True),
        ("ok: 0 calls", "ok: no calls", False),
        ("a.c", "abc", False),
        ("due on 1 June 2027", "due on 30 June 2026", True),
    ],
)
def test_a_line_is_compared_without_what_differs_from_run_to_run(shown: str, said: str, is_so: bool) -> None:
    assert is_like(shown, said) is is_so


def follow(folder: Path, *steps: Step) -> list[str]:
    calls: list[str] = []
    shell = GuideShell(folder, folder / "none", {"@call": calls.append})
    return [one.problem for one in shell.follow(steps, {"HERE": "home"})] + calls


def test_a_page_is_one_shell_and_calls_what_stands_for_a_phone(tmp_path: Path) -> None:
    steps = (Step("NAME=2001"), Step("echo $HERE $NAME", ("home 2001",)), Step("recorder @call $NAME"))
    assert follow(tmp_path, *steps) == ["", "", "", "2001"]


def test_what_fails_ends_the_page_and_is_told(tmp_path: Path) -> None:
    said = follow(tmp_path, Step("echo hello", ("good day",)), Step("recorder recordings shew"), Step("echo never"))
    assert said[0] == "$ echo hello\ndoes not print ['good day'], but: hello\n"
    assert said[1].startswith("$ recorder recordings shew\nends with 2: recorder: No such command 'shew'")
    assert len(said) == 2


def test_a_pipe_fails_with_any_of_its_commands(tmp_path: Path) -> None:
    assert follow(tmp_path, Step("false | cat"))[0].startswith("$ false | cat\nends with 1")
