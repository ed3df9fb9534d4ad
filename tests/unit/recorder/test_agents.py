"""Sign-ons: in force at once, still there after a restart."""

import stat
from pathlib import Path

import pytest

from recorder.domain.policy import Extension
from recorder.people.agents import SignOnClashError, SignOns

DESK = Extension(number="2001", operator="alice", service="Revenues")


def test_whoever_is_signed_on_is_the_operator(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    signed = SignOns(path)
    assert signed.operator_of(DESK) == "alice"
    signed.sign_on("2001", "bob")
    assert signed.operator_of(DESK) == "bob"
    signed.sign_on("2001", "carol")
    assert SignOns(path).operator_of(DESK) == "carol"
    assert SignOns(path).all() == {"2001": "carol"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_signing_off(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    signed = SignOns(path)
    signed.sign_on("2001", "bob")
    assert signed.sign_off("2001")
    assert not signed.sign_off("2001")
    assert SignOns(path).operator_of(DESK) == "alice"


def test_what_is_handed_out_is_a_copy(tmp_path: Path) -> None:
    signed = SignOns(tmp_path / "agents.json")
    signed.all()["2001"] = "mallory"
    assert signed.operator_of(DESK) == "alice"


@pytest.mark.parametrize("content", ["", "{", "\x00"])
def test_a_damaged_file_is_no_reason_not_to_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "agents.json"
    path.write_text(content)
    assert SignOns(path).operator_of(DESK) == "alice"


def test_who_else_is_there_may_be_taken_over_from_or_not(tmp_path: Path) -> None:
    signed = SignOns(tmp_path / "agents.json")
    signed.sign_on("2001", "bob", takes_over=False)
    signed.sign_on("2001", "bob", takes_over=False)
    assert (signed.other_than("bob", "2001"), signed.other_than("carol", "2001")) == (None, "bob")
    with pytest.raises(SignOnClashError) as clash:
        signed.sign_on("2001", "carol", takes_over=False)
    assert (clash.value.operator, signed.all()) == ("bob", {"2001": "bob"})
    signed.sign_on("2001", "carol", takes_over=True)
    assert signed.all() == {"2001": "carol"}


def test_a_sign_on_that_cannot_be_kept_is_not_in_force(tmp_path: Path) -> None:
    signed = SignOns(tmp_path / "gone" / "agents.json")
    with pytest.raises(OSError, match="gone"):
        signed.sign_on("2001", "bob")
    assert signed.operator_of(DESK) == "alice"
