"""Writes the JSON schemas of what commands print, one for each noun: ``python -m docs.make_schemas``."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from docs.generated import between
from recorder.cli.results.table import RESULTS

FOLDER = Path(__file__).parent / "schemas"
TABLE = FOLDER / "README.md"
BEGIN, END = "<!-- fields: begin -->\n", "<!-- fields: end -->\n"
PROGRAM = "recorder"
"""The schema of the commands without a noun."""


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each noun, by its name. ``$defs`` has one for each command, by its verb."""
    found: dict[str, dict[str, Any]] = {}
    for words, result in RESULTS.items():
        noun = words.partition(" ")[0] if " " in words else PROGRAM
        schema = found.setdefault(
            noun,
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": f"What `recorder {noun}` prints with --json" if noun != PROGRAM else "Commands without a noun",
                "anyOf": [],
                "$defs": {},
            },
        )
        made = _plain(TypeAdapter(result).json_schema())
        schema["$defs"].update(made.pop("$defs", {}))
        verb = words.rpartition(" ")[2]
        schema["$defs"][verb] = made
        schema["anyOf"].append({"$ref": f"#/$defs/{verb}"})
    return found


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Return a schema without titles of fields and defaults; its objects have no other fields."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _plain(one) for key, one in value.items() if key not in ("title", "default")}
    if "properties" in value:
        fields = {key.rstrip("_"): _plain(one) for key, one in value["properties"].items()}
        found |= {"properties": fields, "additionalProperties": False}
        if "required" in value:
            found["required"] = [key.rstrip("_") for key in value["required"]]
    return found


def text_of(schema: Mapping[str, Any]) -> str:
    """Return a schema as it stands in its file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def fields() -> dict[str, dict[str, set[str]]]:
    """Return the nouns that have a field, by its name and type."""
    found: dict[str, dict[str, set[str]]] = {}
    for noun, schema in schemas().items():
        for name, kind in _fields_in(schema):
            found.setdefault(name, {}).setdefault(kind, set()).add(noun)
    return found


def _fields_in(schema: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON values
    if isinstance(schema, list):
        for one in schema:
            yield from _fields_in(one)
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            yield name, _kind_of(one)
        for one in schema.values():
            yield from _fields_in(one)


def _kind_of(schema: Mapping[str, Any]) -> str:
    """Return the type of a field in words; that it may be null is left out."""
    kinds = {_kind_of(one) for one in schema.get("anyOf", ()) if one.get("type") != "null"}
    if kinds:
        return " or ".join(sorted(kinds))
    if "$ref" in schema:
        return "object"
    kind = str(schema.get("type", "any"))
    if kind != "array" or "items" not in schema:
        return kind
    of = _kind_of(schema["items"])
    return f"list of {of.replace('list of ', 'lists of ', 1) if of.startswith('list of ') else of + 's'}"


def table() -> str:
    """Return the table of field names as Markdown."""
    rows = [
        f"| `{name}` | {'; '.join(sorted(kinds))} | {', '.join(sorted(set().union(*kinds.values())))} |"
        for name, kinds in sorted(fields().items())
    ]
    return "\n".join(["| field | type | of |", "|---|---|---|", *rows]) + "\n"


def updated(page: str) -> str:
    """Return the page with the table as the code has it."""
    return between(page, BEGIN, table(), END)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    made = schemas()
    for noun, schema in made.items():
        (FOLDER / f"{noun}.json").write_text(text_of(schema))
    for path in FOLDER.glob("*.json"):
        if path.stem not in made:
            path.unlink()
    TABLE.write_text(updated(TABLE.read_text()))
