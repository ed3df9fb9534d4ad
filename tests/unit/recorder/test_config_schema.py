"""The JSON Schema of recorder.toml: it accepts what the reader accepts, and knows types, ranges and unknown keys."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from recorder.cli.cli import app
from recorder.config.config_file import text
from recorder.config.reading import read_config
from recorder.config.schema import json_schema
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from tests.helpers.config_text import GOOD, written
from tests.unit.recorder.test_config_file import TODAY, answers

SERVICE = '[[service]]\nname = "Revenues"\n'
SECTIONS_THAT_ARE_LISTS = ("peer", "route", "register", "service", "extension", "webhook", "call_records")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    found = json_schema()
    jsonschema_rs.meta.validate(found)
    return found


def mistakes(schema: dict[str, Any], toml: str) -> list[str]:
    return [error.message for error in jsonschema_rs.validator_for(schema).iter_errors(tomllib.loads(toml))]


@pytest.mark.parametrize("toml", ["", GOOD, text(answers(), TODAY), text(answers(console=None), TODAY)])
def test_it_accepts_files_that_are_read(schema: dict[str, Any], toml: str) -> None:
    assert mistakes(schema, toml) == []


@pytest.mark.parametrize(
    "toml",
    [
        "[pause]\nlook_back_s = true\n",
        "[pause]\nlook_back_s = 500.5\n",
        "[pause]\nmax_s = 0\n",
        "[pause]\nreminder_s = 0\n",
        "[pause]\nreminder_s = false\n",
        "[pause]\nkeys = '*1'\n",
        "[media]\nthreads = 0\n",
        "[media]\nthreads = 1.5\n",
        "[media]\ngather_ms = 10.1\n",
        "[media]\nports = [1, 2, 3]\n",
        "[media]\nports = 30000\n",
        "[retention]\nretention_days = 0\n",
        "[retention]\nmost_share_a_day = 0\n",
        "[archive]\nafter_days = 0\n",
        "[archive]\nformat = 'mp3'\n",
        "[console]\nlisten = 8080\n",
        "[console]\nmax_connections = 15\n",
        "[mail]\nweekly_on = 'someday'\n",
        "[openid]\nmax_age_s = 0\n",
        "[[peer]]\nname = 'pbx'\n",
        "[[peer]]\nname = 'pbx'\nnetworks = ['192.0.2.1']\nmax_calls = 0\n",
        f"{SERVICE}ring_s = -1\n",
        f"{SERVICE}retention_days = 0\n",
        "[service]\nname = 'Revenues'\n",
        "colour = 1\n",
        "sha256 = ''\n",
    ],
)
def test_it_refuses_wrong_types_values_out_of_range_and_unknown_keys_as_the_reader_does(
    schema: dict[str, Any], tmp_path: Path, toml: str
) -> None:
    with pytest.raises(ConfigError, match=r"line \d"):
        read_config(written(tmp_path, toml))
    assert mistakes(schema, toml)


def test_its_defaults_are_the_readers(schema: dict[str, Any], tmp_path: Path) -> None:
    lines = []
    for section, of in schema["properties"].items():
        if section in SECTIONS_THAT_ARE_LISTS:
            continue
        lines.append(f"[{section}]")
        keys = schema["$defs"][of["$ref"].rpartition("/")[2]]["properties"]
        lines += [f"{key} = {json.dumps(value['default'])}" for key, value in keys.items()]
    assert dataclasses.replace(read_config(written(tmp_path, "\n".join(lines))), sha256="") == Config()


def test_it_says_what_a_key_is_for(schema: dict[str, Any]) -> None:
    keys = schema["$defs"]["Pause"]["properties"]
    assert keys["erase_s"]["description"] == "audio before the key that a pause erases: digits already spoken"
    assert keys["reminder_s"]["description"].startswith("how often an officer is reminded")
    assert schema["$defs"]["SignOnRules"]["properties"]["keys"]["description"].endswith("no phone can be taken over")
    assert schema["$defs"]["RegisterOptions"]["properties"]["registrar"] == {"$ref": "#/$defs/Address"}


def test_the_command_prints_it(schema: dict[str, Any]) -> None:
    result = CliRunner().invoke(app, ["config", "schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == schema
