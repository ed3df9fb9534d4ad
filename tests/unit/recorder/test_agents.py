"""Sign-ons: in force at once, still there after a restart, over after a working day."""

import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.access.agents import SignOnClashError, SignOns
from recorder.rules.policy import Extension
from recorder.rules.sign_on import Seat

DESK = Extension(number="2001", operator="alice", service="Revenues")
ALICES = Seat(operator="alice", is_proven=True)
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def sign_ons(path: Path, clock: Clock | None = None, hours: float = 12) -> SignOns:
    return SignOns(path, now=clock or Clock(), lasts=lambda: timedelta(hours=hours))


def seat(path: Path) -> Seat:
    return sign_ons(path).seat_of(DESK)


def test_whoever_is_signed_on_is_the_operator(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    signed = sign_ons(path)
    assert signed.seat_of(DESK) == ALICES
    signed.sign_on("2001", "bob", is_proven=False)
    assert signed.seat_of(DESK) == Seat(operator="bob", is_proven=False)
    signed.sign_on("2001", "carol", is_proven=True, instead_of="bob")
    assert seat(path) == Seat(operator="carol", is_proven=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_signing_off_is_for_oneself(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    signed = sign_ons(path)
    signed.sign_on("2001", "bob", is_proven=True)
    assert not signed.sign_off("2001", "alice")
    assert signed.sign_off("2001", "bob")
    assert not signed.sign_off("2001", "bob")
    assert seat(path) == ALICES


def test_it_ends_by_itself_after_a_working_day(tmp_path: Path) -> None:
    clock = Clock()
    signed = sign_ons(tmp_path / "agents.json", clock, hours=8)
    made = signed.sign_on("2001", "bob", is_proven=True)
    assert signed.until(made) == NOW + timedelta(hours=8)
    clock.now += timedelta(hours=7.9)
    assert signed.of("2001") == made
    clock.now += timedelta(hours=0.1)
    assert signed.of("2001") is None
    assert signed.seat_of(DESK) == ALICES
    assert not signed.sign_off("2001", "bob")
    signed.sign_on("2001", "carol", is_proven=False)
    assert signed.seat_of(DESK).operator == "carol", "whose sign-on has ended keeps nobody from it"


def test_nobody_is_taken_over_from_without_a_code(tmp_path: Path) -> None:
    signed = sign_ons(tmp_path / "agents.json")
    signed.sign_on("2001", "bob", is_proven=False)
    with pytest.raises(SignOnClashError) as clash:
        signed.sign_on("2001", "carol", is_proven=False)
    assert (clash.value.operator, signed.seat_of(DESK).operator) == ("bob", "bob")
    assert signed.takeovers() == []


def test_takeovers_are_told_for_a_week(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "agents.json"
    signed = sign_ons(path, clock)
    signed.sign_on("2001", "carol", is_proven=True, instead_of="alice")
    (told,) = sign_ons(path, clock).takeovers()
    assert (told.extension, told.operator, told.instead_of, told.at) == ("2001", "carol", "alice", NOW)
    clock.now += timedelta(days=7)
    assert signed.takeovers() == []
    signed.sign_on("2002", "dan", is_proven=True, instead_of="erin")
    assert len(json.loads(path.read_text())["takeovers"]) == 1, "the old one is not kept for ever"


def test_a_file_of_before_sign_ons_ended_is_read_and_each_begins_now_without_proof(tmp_path: Path) -> None:
    path = tmp_path / "agents.json"
    path.write_text('{"2001": "carol"}')
    clock = Clock()
    signed = sign_ons(path, clock)
    assert signed.seat_of(DESK) == Seat(operator="carol", is_proven=False)
    clock.now += timedelta(hours=12)
    assert signed.seat_of(DESK) == ALICES


@pytest.mark.parametrize("content", ["", "{", "\x00", "[]", '{"sign_ons": 1}', '{"sign_ons": {"2001": {}}}'])
def test_a_damaged_file_is_no_reason_not_to_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "agents.json"
    path.write_text(content)
    assert seat(path) == ALICES


def test_a_sign_on_that_cannot_be_kept_is_not_in_force(tmp_path: Path) -> None:
    signed = sign_ons(tmp_path / "gone" / "agents.json")
    with pytest.raises(OSError, match="gone"):
        signed.sign_on("2001", "bob", is_proven=True)
    assert signed.seat_of(DESK) == ALICES
