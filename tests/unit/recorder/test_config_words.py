"""What comments in `recorder.toml` and pages say of a key is what the code does, as far as that can be compared."""

import dataclasses
import enum
import re
import tomllib
import typing
from datetime import date
from pathlib import Path

import pytest

from recorder.config.config_file import Answers, text
from recorder.config.settings import Config, Pause
from recorder.permissions import Act, Role
from recorder.rules.live_access import LIVE_TABLE, SOURCE_TABLE, Relation, Source, relations_of
from recorder.rules.policy import Extension
from sip.options import Address

DOCS = Path(__file__).parents[3] / "docs"
PAUSING, CONFIGURATION = (DOCS / "pausing.md").read_text(), (DOCS / "configuration.md").read_text()
TEMPLATE = text(
    Answers(
        site="Testwick", timezone="Europe/London", sip=Address(host="127.0.0.1", port=5060),
        next_hop=Address(host="127.0.0.1", port=5070), media_ports=(30000, 33999), console=None, admin="founder",
        decided_by="The head", extensions=(Extension(number="2001", operator="alice", service="S", team="S"),),
    ),
    date(2026, 11, 25),
)  # fmt: skip
WORDS = {"three": 3, "four": 4}
NAMES = {
    Source.OFFICER_KEYS: "the call's officer", Source.CALLER_DIGITS: "the caller's digits",
    Source.TOKEN: "a payment page",
}  # fmt: skip
"""As template and pages call them; the officer's page is the officer."""


def of_template(key: str) -> str:
    """Return what the template says of a key: behind it, and in the lines above that are about nothing else."""
    lines = TEMPLATE.splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith(f"{key} = ")]
    above: list[str] = []
    while lines[at - 1 - len(above)].startswith("# "):
        above.insert(0, lines[at - 1 - len(above)][2:])
    return " ".join([*above, lines[at].partition("# ")[2]])


def of_page(key: str) -> str:
    """Return what docs/configuration.md says of a key."""
    (row,) = [line for line in CONFIGURATION.splitlines() if line.startswith(f"| `{key}` |")]
    return row


def choices() -> list[tuple[str, type[enum.Enum]]]:
    """Return the keys whose value is one of a few, of sections that the template shows."""
    found = []
    for hint in typing.get_type_hints(Config).values():
        kind = typing.get_args(hint)[0] if typing.get_args(hint) else hint
        if dataclasses.is_dataclass(kind):
            for key, of in typing.get_type_hints(kind).items():
                if isinstance(of, type) and issubclass(of, enum.Enum):
                    found.append((key, of))
    return found


@pytest.mark.parametrize(("key", "of"), choices())
def test_page_and_template_name_every_choice(key: str, of: type[enum.Enum]) -> None:
    for where in (CONFIGURATION, TEMPLATE):
        lines = [line for line in where.splitlines() if line.startswith((f"| `{key}` |", f"{key} = "))]
        said = [f"{line} {of_template(key) if len(lines) == 1 and where is TEMPLATE else ''}" for line in lines]
        assert any(all(choice.value in one for choice in of) for one in said), said


def test_the_template_denies_no_key_what_it_does() -> None:
    assert not re.findall(r"this version|stores the choice|not yet", TEMPLATE)


@pytest.mark.parametrize("where", [PAUSING, of_page("card_payment"), of_template("card_payment")])
def test_who_discards_is_who_the_table_lets(where: str) -> None:
    allowed = {source for source in Source if Act.DISCARD in SOURCE_TABLE[source][0]}
    assert {(role, one) for role in LIVE_TABLE for one in relations_of(role, Act.DISCARD)} == {
        (role, Relation.OWN) for role in (Role.OFFICER, Role.MANAGER, Role.TEAM_LEADER, Role.DPO)
    }
    assert allowed == set(NAMES)
    (sentence,) = re.findall(r"(?:such a|a) pause[^.;]*? destroys", where)
    assert all(name in sentence for name in NAMES.values()), sentence
    assert "any pause" not in where


def test_an_opt_out_erases_what_was_before_only_with_a_second_person() -> None:
    for where in (of_template("erase_on_opt_out"), of_page("erase_on_opt_out")):
        assert re.search(r"orders what was recorded before it to be erased too[,;] and|erased too; a second", where)
        assert "second person confirms" in where


def test_figures_on_the_page_of_pauses_are_the_defaults() -> None:
    given = re.findall(r"`(\w+)` \((\d+) s\)", PAUSING)
    assert {key for key, _ in given} == {"erase_s", "look_back_s", "forgot_s", "alone_day_s"}
    assert all(float(seconds) == getattr(Pause(), key) for key, seconds in given)
    (digits, seconds), *_ = re.findall(r"keys (\w+) digits within (\d+) s", PAUSING)
    assert (WORDS[digits], float(seconds)) == (Pause().card_digits, Pause().card_window_s)


def test_keys_on_the_page_of_pauses_are_those_of_new_and_of_older_sites() -> None:
    written = tomllib.loads(TEMPLATE)["pause"]
    assert f"`{written['pause_keys']}` and `{written['resume_keys']}` on the phone" in PAUSING
    assert f"in older sites `{Pause().pause_keys}` and `{Pause().resume_keys}`" in PAUSING
