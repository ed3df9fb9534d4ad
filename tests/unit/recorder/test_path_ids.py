"""What of a path that was refused may stand in the audit log for good."""

import re

import pytest

from recorder.data_subjects.case_repository import PREFIXES
from recorder.web.path_ids import WORDS, id_in_path
from recorder.web.route_access import ROUTES
from storage.claims import new_claim_id
from storage.erasures import new_order_id
from storage.holds import new_hold_id

RECORDING = "20261124T093000Z-2001-0a1b2c"
IDS = {
    "recording_id": [RECORDING, "20261124T093000Z-441632960123-0a1b2c"],
    "call": [RECORDING],
    "number": ["2001", "*12", "600"],
    "account": ["olive", "b.smith", "7of9"],
    "message": ["first", "second"],
    "case_id": [f"{prefix}-2026-0007" for prefix in PREFIXES.values()],
    "hold_id": ["0a1b2c3d"],
    "order_id": ["0a1b2c3d"],
    "claim_id": ["0a1b2c3d"],
    "request_id": ["0a1b2c3d"],
    "proposal": ["0a1b2c3d"],
    "emergency_id": ["0a1b2c3d"],
    "finding_id": ["0a1b2c3d4e5f6071"],
    "day": ["2026-11-28"],
}
FIRST = sorted({found[1] for route in ROUTES if (found := re.search(r"\{(\w+)", route)) and found[1] not in WORDS})


def test_every_kind_of_id_that_comes_first_in_a_path_has_a_form() -> None:
    assert sorted(IDS) == FIRST


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in IDS for value in IDS[name]])
def test_an_id_is_kept(name: str, value: str) -> None:
    assert id_in_path({name: value, "secret": "x"}) == value


def test_ids_that_are_made_have_their_form() -> None:
    made = {"hold_id": new_hold_id(), "order_id": new_order_id(), "claim_id": new_claim_id()}
    assert [id_in_path({name: value}) for name, value in made.items()] == list(made.values())


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize(
    "value", ["07700900123", "+447700900123", "0770 090 0123", "447700900123", "Mrs Smith, 07700900123", "", "2001\n"]
)
def test_a_number_or_a_name_is_not(name: str, value: str) -> None:
    assert id_in_path({name: value}) == ""


def test_nor_is_a_word_or_what_no_route_has() -> None:
    assert id_in_path({}) == id_in_path({"act": "pause"}) == id_in_path({"unknown": RECORDING}) == ""
