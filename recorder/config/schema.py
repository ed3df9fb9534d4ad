"""A JSON Schema of the configuration file, for editors: keys, types, ranges, defaults, and what each key is for."""

import re
import typing
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from recorder.config.config_file import Answers, text
from recorder.config.settings import Config
from recorder.config.toml_tables import DERIVED
from recorder.rules.policy import Extension
from sip.options import Address

_SECTION = re.compile(r"(?:# )?\[{1,2}(\w+)\]{1,2}\s*\Z")
_KEY = re.compile(r'(?:# )?(\w+) = (?:"[^"]*"|[^#"])*#\s*(?:\.\.\. )?(.+?)(?: \.\.\.)?\Z')
_UNSET = Address(host="192.0.2.1")


def json_schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12).

    It knows the keys of a section one by one. Which of them fit together, only reading the file tells.
    """
    made = TypeAdapter(Config).json_schema(schema_generator=_ConfigurationSchema)
    return {"$schema": _ConfigurationSchema.schema_dialect, "title": "recorder.toml", **made}


class _ConfigurationSchema(GenerateJsonSchema):
    """Writes the settings as they are in the file: ``"off"`` for None, an address as text, no other keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return {"anyOf": [self.generate_inner(schema["schema"]), {"const": "off"}]}

    def encode_default(self, dft: Any) -> Any:  # noqa: ANN401
        if dft is None:
            return "off"
        return str(dft) if isinstance(dft, Address) else super().encode_default(dft)

    def dataclass_schema(self, schema: core_schema.DataclassSchema) -> JsonSchemaValue:
        if schema["cls"] is Address:
            return {"type": "string"}
        made = super().dataclass_schema(schema)
        comments = _comments().get(_sections().get(schema["cls"], ""), {})
        properties = {
            key: {**value, **({"description": comments[key]} if key in comments else {})}
            for key, value in made["properties"].items()
            if key not in DERIVED
        }
        required = {"required": made["required"]} if "required" in made else {}
        return {"type": "object", "properties": properties, **required, "additionalProperties": False}


def _sections() -> dict[type[Any], str]:
    """Return the names of the file's sections by the class of their settings."""
    hints = typing.get_type_hints(Config)
    return {(typing.get_args(hint) or (hint,))[0]: key for key, hint in hints.items() if key not in DERIVED}


def _comments() -> dict[str, dict[str, str]]:
    """Return the comments of the file that `recorder init` writes, by section and key."""
    extension = Extension(number="1", operator="", service="")
    example = Answers(
        site="", timezone="", sip=_UNSET, next_hop=_UNSET, extensions=(extension,), media_ports=(0, 0), console=None,
        admin="", decided_by="",
    )  # fmt: skip
    found: dict[str, dict[str, str]] = {}
    section = ""
    for line in text(example, date.min).splitlines():
        if (heading := _SECTION.match(line)) is not None:
            section = heading[1]
        elif (key := _KEY.match(line)) is not None:
            found.setdefault(section, {})[key[1]] = key[2]
    return found
