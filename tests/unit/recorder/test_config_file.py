"""The file that `recorder init` writes: it can be read back, shows every key, and the page about it is complete."""

import dataclasses
import re
import tomllib
import typing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from recorder.config.config_file import Answers, text
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.rules.policy import CardPayment, Extension, NoticeWhen
from recorder.service.config_check import TAKEN_KEYS
from sip.options import Address

TODAY = date(2026, 11, 25)
PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
OPTIONAL_IN_FILE = {("route", "peer")}
"""Keys that the generated file leaves out because their being there means something."""


def answers(**changes: Any) -> Answers:
    values: dict[str, Any] = {
        "site": "Wold Borough Council",
        "timezone": "Europe/London",
        "sip": Address(host="192.0.2.10", port=5060),
        "next_hop": Address(host="192.0.2.20", port=5070),
        "extensions": (
            Extension(number="2001", operator="alice", service="Revenues"),
            Extension(number="2002", operator="bob", service="Benefits", team="North"),
        ),
        "media_ports": (30000, 33999),
        "console": Address(host="127.0.0.1", port=8080),
        "admin": "founder",
        "decided_by": "A. Manager",
    }
    return Answers(**{**values, **changes})


def generated(folder: Path, **changes: Any) -> Config:
    path = folder / "recorder.toml"
    path.write_text(text(answers(**changes), TODAY))
    return read_config(path)


def test_what_was_answered_comes_back(tmp_path: Path) -> None:
    config = generated(tmp_path, notice_when=NoticeWhen.AFTER_ANSWER, card_payment=CardPayment.DISCARD)
    asked = answers()
    assert config.site.name == asked.site
    assert config.sip.listen == asked.sip
    assert config.route[0].targets == (asked.next_hop,)
    assert config.extension == asked.extensions
    assert config.media.ports == asked.media_ports
    assert config.media.address == "192.0.2.10"
    assert config.console.listen == asked.console
    assert [service.name for service in config.service] == ["Revenues", "Benefits"]
    assert {service.notice_when for service in config.service} == {NoticeWhen.AFTER_ANSWER}
    assert {service.card_payment for service in config.service} == {CardPayment.DISCARD}
    assert config.peer[0].has("192.0.2.20")
    assert not config.peer[0].has("192.0.2.21")


def test_everything_else_is_the_default(tmp_path: Path) -> None:
    config, default = generated(tmp_path), Config()
    config = dataclasses.replace(config, pause=dataclasses.replace(config.pause, pause_keys="*1", resume_keys="*2"))
    for section in ("pause", "notice", "storage", "retention", "limits", "emergency"):
        assert getattr(config, section) == getattr(default, section)
    assert dataclasses.replace(config.sip, listen=default.sip.listen) == default.sip
    assert dataclasses.replace(config.media, address="") == default.media


def test_ipv6_and_a_console_that_is_off(tmp_path: Path) -> None:
    hop = Address(host="2001:db8::20", port=5060)
    config = generated(tmp_path, sip=Address(host="2001:db8::10", port=5060), next_hop=hop, console=None)
    assert config.route[0].targets == (hop,)
    assert config.peer[0].has("2001:db8::20")
    assert config.console.listen is None


@pytest.mark.parametrize(
    "name", ['The "Old" Town', "back\\slash", "tab\there\x7f", "Åland ☎", 'x"\n[pause]\nerase_s = 0']
)
def test_names_cannot_break_out_of_their_quotes(tmp_path: Path, name: str) -> None:
    extension = Extension(number="1", operator=name, service=name)
    written = tomllib.loads(text(answers(site=name, extensions=(extension,)), TODAY))
    assert written["site"]["name"] == name
    assert written["extension"][0]["operator"] == name
    assert written["service"][0]["name"] == name
    assert written["pause"]["erase_s"] == Config().pause.erase_s
    assert generated(tmp_path, site=name).pause.erase_s == Config().pause.erase_s


def test_a_new_site_has_keys_that_no_pbx_takes_as_shipped_and_an_old_file_keeps_its_own(tmp_path: Path) -> None:
    new = generated(tmp_path).pause
    assert {new.pause_keys, new.resume_keys}.isdisjoint(TAKEN_KEYS)
    assert new.manager_keys is None
    (tmp_path / "old.toml").write_text("[pause]\nerase_s = 2.0\n")
    old = read_config(tmp_path / "old.toml").pause
    assert (old.pause_keys, old.resume_keys) == ("*1", "*2"), "an upgrade never changes what a key does"


def test_who_decided_stands_in_the_file_on_one_line() -> None:
    written = text(answers(decided_by="A\n[pause]\nB"), TODAY)
    assert "# Decided by 'A\\n[pause]\\nB' on 2026-11-25" in written
    assert len(tomllib.loads(written)["service"]) == 2


def sections() -> dict[str, dict[str, dataclasses.Field[Any]]]:
    """Return every key by section, out of the dataclasses."""
    found = {}
    for section, hint in typing.get_type_hints(Config).items():
        kind = typing.get_args(hint)[0] if typing.get_args(hint) else hint
        if dataclasses.is_dataclass(kind):
            found[section] = {field.name: field for field in dataclasses.fields(kind)}
    return found


def test_the_generated_file_shows_every_key() -> None:
    table = tomllib.loads(text(answers(), TODAY))
    shown = {
        (section, key)
        for section, content in table.items()
        for key in (content[0] if isinstance(content, list) else content)
    }
    known = {(section, key) for section, keys in sections().items() for key in keys}
    registrations = {("register", key) for key in sections()["register"]}  # of no use to most sites: an example only
    webhooks = {("webhook", key) for key in sections()["webhook"]}  # likewise
    call_records = {("call_records", key) for key in sections()["call_records"]}  # likewise
    assert known - shown == OPTIONAL_IN_FILE | registrations | webhooks | call_records
    assert shown - known == set()


# --- docs/configuration.md


def documented() -> dict[tuple[str, str], str]:
    """Return the default column of every row of the page's tables by section and key."""
    rows: dict[tuple[str, str], str] = {}
    section = ""
    for line in PAGE.read_text().splitlines():
        if heading := re.fullmatch(r"## `\[+(\w+)\]+`.*", line):
            section = heading[1]
        elif row := re.match(r"\| `(\w+)` \| ([^|]*) \| ([^|]*) \|", line):
            rows[section, row[1]] = row[3].strip()
    return rows


def test_the_page_lists_every_key_and_no_other() -> None:
    known = {(section, key) for section, keys in sections().items() for key in keys}
    assert set(documented()) == known


def shown(value: object) -> str:
    """Return a default as the page writes it."""
    if value is None:
        return '`"off"`'
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{item}"' if isinstance(item, str) else str(item) for item in value) + "]`"
    return f'`"{value}"`' if isinstance(value, str | Address) else f"`{value}`"


def defaults() -> list[tuple[str, str, object]]:
    found: list[tuple[str, str, object]] = []
    for section, keys in sections().items():
        for key, field in keys.items():
            if field.default_factory is not dataclasses.MISSING:
                found.append((section, key, field.default_factory()))
            elif field.default is not dataclasses.MISSING:
                found.append((section, key, field.default))
    return found


@pytest.mark.parametrize(("section", "key", "default"), defaults())
def test_the_page_gives_the_default(section: str, key: str, default: object) -> None:
    expected = "any" if (section, key) == ("route", "peer") else shown(default)
    assert documented()[section, key] == expected


def test_the_page_says_which_keys_must_be_given() -> None:
    required = {
        (section, key)
        for section, keys in sections().items()
        for key, field in keys.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    assert {row for row, default in documented().items() if default == "required"} == required
