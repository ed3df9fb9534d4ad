"""The schemas of what commands print: they are those of the types, and a field has one type everywhere."""

import json

import pytest
from typer.testing import CliRunner

from docs.make_schemas import FOLDER, TABLE, fields, schemas, text_of, updated
from recorder.cli import output
from recorder.cli.cli import app
from recorder.cli.identity import running
from tests.helpers.json_results import problem_with

SCHEMAS = schemas()
TWO_TYPES = {
    "accounts", "before", "calls", "changed", "copies", "due", "entries", "extensions", "files_waiting", "findings",
    "holds", "keys", "locked", "mended", "networks", "node", "number", "problems", "recordings", "refused", "rows",
    "sealed", "second_message", "silenced_s", "spans", "status", "version", "why",
}  # fmt: skip
"""Fields of before 1.0 that are a count or a text in one place, and a list or an object in another. No more of them."""


def test_the_schemas_are_those_of_the_types() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(SCHEMAS)
    wrong = [noun for noun, made in SCHEMAS.items() if (FOLDER / f"{noun}.json").read_text() != text_of(made)]
    assert wrong == [], "run python -m docs.make_schemas"
    assert updated(TABLE.read_text()) == TABLE.read_text(), "run python -m docs.make_schemas"


def test_a_field_has_one_type_everywhere() -> None:
    assert {name for name, kinds in fields().items() if len(kinds) > 1} == TWO_TYPES


@pytest.mark.parametrize("document", [{"name": "a"}, [{"name": "a"}], [1], "text"])
def test_what_a_schema_does_not_know_is_seen(document: object) -> None:
    assert "recorder holds list --json" in problem_with("holds list", document)
    with running("holds list"), pytest.raises(AssertionError, match="recorder holds list --json"):
        output.print_json(document)


def test_an_empty_list_is_a_document() -> None:
    assert problem_with("holds list", []) == ""
    assert problem_with("holds add", []) != ""


@pytest.mark.parametrize("words", ["database roles", "config schema"])
def test_what_opens_no_recorder(words: str) -> None:
    done = CliRunner().invoke(app, [*words.split(), *(["--json"] if words != "config schema" else [])])
    assert problem_with(words, json.loads(done.stdout)) == ""
