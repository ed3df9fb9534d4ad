"""Checks what commands print with --json against the schemas in docs/schemas, in every test that runs a command."""

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema_rs

from recorder.cli import output

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def problem_with(words: str, document: object) -> str:
    """Return what is wrong with a document that a command printed; empty if nothing is.

    Args:
        words: The command, such as ``holds add``.
        document: What it printed.
    """
    errors = [f"{list(one.instance_path)}: {one.message[:400]}" for one in _validator(words).iter_errors(document)]
    return f"recorder {words} --json: {'; '.join(errors[:3])}" if errors else ""


@functools.cache
def _validator(words: str) -> jsonschema_rs.Draft202012Validator:
    noun, _, verb = words.rpartition(" ")
    schema = json.loads((FOLDER / f"{noun or 'recorder'}.json").read_text())
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/$defs/{verb}", "$defs": schema["$defs"]})


class _Json:
    """`json` for `recorder.cli.output`: what a command prints is checked first."""

    def dumps(self, document: object, **settings: Any) -> str:
        """Return a document as JSON; a list's items come one by one."""
        from recorder.cli.identity import command_running  # noqa: PLC0415 - forks load what they need

        text, words = json.dumps(document, **settings), command_running()
        if words:
            printed = json.loads(text)
            problem = problem_with(words, printed)
            assert not (problem and problem_with(words, [printed])), problem
        return text


def watch() -> None:
    """Check everything that commands in this process, and in forks of it, print from now on."""
    vars(output)["json"] = _Json()
