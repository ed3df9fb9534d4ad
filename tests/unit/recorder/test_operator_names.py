"""Extensions that name an officer otherwise than their calls are found by."""

import pytest

from recorder.access.operator_names import misnamed_operators
from recorder.config.settings import Config
from recorder.permissions import Person, Role
from recorder.rules.policy import Extension
from recorder.service.config_check import check_operators
from recorder.service.findings import Level

ALICE = Person(name="alice", display_name="Alice Archer", roles=frozenset({Role.OFFICER}))
BOB = Person(name="bob", display_name="bob", roles=frozenset({Role.OFFICER}))
PEOPLE = [ALICE, BOB]


@pytest.mark.parametrize(
    ("operator", "meant"),
    [
        ("alice", ALICE), ("Alice", ALICE), ("alice archer", ALICE), ("Bob", BOB),
        ("Alice Archer", None), ("bob", None), ("", None), ("dave", None),
    ],
)  # fmt: skip
def test_whose_calls_would_be_lost(operator: str, meant: Person | None) -> None:
    found = [one.person for one in misnamed_operators([("2001", operator)], PEOPLE)]
    assert found == ([] if meant is None else [meant])


def test_a_name_by_which_calls_of_somebody_else_are_found_is_theirs() -> None:
    other = Person(name="al", display_name="alice", roles=frozenset())
    assert list(misnamed_operators([("2001", "alice")], [ALICE, other])) == []


def test_site_check_fails_and_says_what_to_write() -> None:
    config = Config(
        extension=(
            Extension(number="2001", operator="alice", service="Desk"),
            Extension(number="2002", operator="bob", service="Desk"),
        )
    )
    (found,) = check_operators(config, PEOPLE)
    assert found.level is Level.ERROR
    assert "2001" in found.says
    assert "'Alice Archer'" in found.says
    assert list(check_operators(config, [BOB])) == []
