"""PINs of managers: a real file, cheap hashes, a clock that the test holds."""

import json
import logging
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from recorder.access.pins import LOCKED_FOR, WITHIN, Costs, PinAnswer, PinError, PinFile, Pins, weakness
from recorder.common.serial_executor import SerialExecutor
from recorder.permissions import Person, Role
from recorder.rules.live_facts import CallFacts
from storage.types import RecordingId
from tests.helpers.accounts import Clock

PIN, OTHER = "284915", "7720465"
CHEAP = Costs(passes=1, memory_kib=8)
MARY = Person(name="mary", display_name="Mary", roles=frozenset({Role.MANAGER}), teams=("Revenues",), extension="2009")
HUGO = Person(name="hugo", display_name="Hugo", roles=frozenset({Role.MANAGER}), teams=("Housing",))
FACTS = CallFacts(call=RecordingId("x"), team="Revenues", extensions=frozenset({"2001"}), operators=frozenset({"Ann"}))
NOBODY = PinAnswer(manager=None, is_locked=False)
LOCKED = PinAnswer(manager=None, is_locked=True)


class Phone:
    """What the keypad has of PINs."""

    def __init__(self, folder: Path, clock: Clock, executor: SerialExecutor) -> None:
        self.path, self.locks, self.clock, self.executor = folder / "pins.json", folder / "wrong.json", clock, executor
        self.file = PinFile(self.path, costs=CHEAP)
        self.failures: list[None] = []
        self.start()

    def start(self) -> None:
        self.pins = Pins(
            self.file, self.executor, locks=self.locks, now=self.clock, on_failure=lambda: self.failures.append(None)
        )

    def key(self, pin: str, facts: CallFacts = FACTS, extension: str = "2001") -> PinAnswer:
        return self.pins.check(pin, facts, extension=extension).result(10)


@pytest.fixture
def phone(tmp_path: Path) -> Iterator[Phone]:
    executor = SerialExecutor("pins")
    yield Phone(tmp_path, Clock(), executor)
    executor.close()


def test_a_right_pin_names_its_manager(phone: Phone) -> None:
    phone.file.set(MARY, PIN)
    phone.file.set(HUGO, OTHER)
    assert phone.key(PIN) == PinAnswer(manager="mary", is_locked=False)
    assert phone.file.names() == {"mary", "hugo"}
    assert stat.S_IMODE(phone.path.stat().st_mode) == 0o600
    assert PIN not in phone.path.read_text()


def test_a_pin_is_good_only_where_its_manager_decides(phone: Phone) -> None:
    phone.file.set(MARY, PIN)
    phone.file.set(HUGO, OTHER)
    assert phone.key(OTHER) == NOBODY, "another team's"
    for own in (
        CallFacts(call=FACTS.call, team="Revenues", extensions=frozenset({"2009"}), operators=frozenset({"Ann"})),
        CallFacts(call=FACTS.call, team="Revenues", extensions=frozenset({"2001"}), operators=frozenset({"Mary"})),
    ):
        assert phone.key(PIN, own, "own") == NOBODY, "on the call"
    no_team = CallFacts(call=FACTS.call, team="", extensions=frozenset({"2001"}), operators=frozenset({"Ann"}))
    assert phone.key(OTHER, no_team, "2002").manager == "hugo", "an extension without a team is every manager's"


def test_three_wrong_in_fifteen_minutes_lock_the_keys_of_that_phone(phone: Phone) -> None:
    phone.file.set(MARY, PIN)
    assert [phone.key("000001"), phone.key("")] == [NOBODY, NOBODY]
    phone.clock.time += timedelta(minutes=10)
    assert phone.key("000002") == LOCKED
    assert phone.key(PIN) == LOCKED, "the right one is of no use now"
    assert phone.key(PIN, extension="2002").manager == "mary", "another phone is not locked"
    phone.start()
    assert phone.key(PIN) == LOCKED, "a restart of the daemon unlocks nothing"
    phone.clock.time += LOCKED_FOR - timedelta(seconds=1)
    assert phone.key(PIN) == LOCKED
    phone.clock.time += timedelta(seconds=1)
    assert phone.key(PIN).manager == "mary"
    assert phone.key("000001") == NOBODY, "the count began again"


def test_a_right_one_does_not_excuse_wrong_ones_but_time_does(phone: Phone) -> None:
    phone.file.set(MARY, PIN)
    assert [phone.key("000001"), phone.key("000002")] == [NOBODY, NOBODY]
    assert [phone.key(PIN) for _ in range(4)] == [PinAnswer(manager="mary", is_locked=False)] * 4
    assert phone.key("000003") == LOCKED
    phone.clock.time += WITHIN
    assert [phone.key("000001"), phone.key("000002")] == [NOBODY, NOBODY]
    phone.clock.time += WITHIN
    assert phone.key("000003") == NOBODY


@pytest.mark.parametrize(
    ("pin", "problem"),
    [
        ("12345", "6 to 12 digits"), ("1234567890123", "6 to 12 digits"), ("28491a", "6 to 12 digits"),
        ("٢٨٤٩١٥", "6 to 12 digits"), ("", "6 to 12 digits"), ("111111", "repeats"), ("121212", "repeats"),
        ("123123", "repeats"), ("123456", "sequence"), ("987654", "sequence"), ("890123", "sequence"),
        ("210987", "sequence"),
    ],
)  # fmt: skip
def test_weak_pins(phone: Phone, pin: str, problem: str) -> None:
    with pytest.raises(PinError, match=problem) as refused:
        phone.file.set(MARY, pin)
    assert not pin or pin not in str(refused.value)
    assert not phone.path.exists()


def test_good_pins() -> None:
    assert [weakness(pin) for pin in (PIN, OTHER, "112233445566", "135790")] == [None] * 4


def test_no_two_managers_have_the_same(phone: Phone) -> None:
    phone.file.set(MARY, PIN)
    with pytest.raises(PinError, match="another one"):
        phone.file.set(HUGO, PIN)
    phone.file.set(MARY, PIN)  # one's own again
    phone.file.set(MARY, OTHER)
    phone.file.set(HUGO, PIN)
    assert phone.key(OTHER).manager == "mary"
    marks = [(entry["salt"], entry["mark"]) for entry in json.loads(phone.path.read_text())["managers"]]
    assert len(set(marks)) == 2


def test_who_has_none(phone: Phone) -> None:
    officer = Person(name="olive", display_name="Olive", roles=frozenset({Role.OFFICER}), teams=("Revenues",))
    with pytest.raises(PinError, match="may not grant"):
        phone.file.set(officer, PIN)
    assert phone.file.remove("mary") is False
    phone.file.set(MARY, PIN)
    assert phone.file.remove("mary") is True
    assert phone.key(PIN) == NOBODY


def test_a_damaged_file_makes_nobodys_pin_right_and_is_told(phone: Phone, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    phone.path.write_text("{")
    assert phone.key(PIN) == NOBODY
    assert len(phone.failures) == 1
    with pytest.raises(PinError, match="damaged"):
        phone.file.set(MARY, PIN)
    phone.path.unlink()
    phone.locks.write_text("[")
    assert phone.key(PIN) == NOBODY
    assert len(phone.failures) == 2
    assert PIN not in caplog.text


def test_a_try_costs_the_same_whoevers_it_is(phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    real = __import__("recorder.access.pins", fromlist=["hash_secret_raw"]).hash_secret_raw

    def counted(secret: bytes, *rest: object) -> bytes:
        hashed.append(secret)
        return bytes(real(secret, *rest))

    monkeypatch.setattr("recorder.access.pins.hash_secret_raw", counted)
    phone.file.set(MARY, PIN)
    phone.file.set(HUGO, OTHER)
    hashed.clear()
    for number, pin in enumerate((PIN, OTHER, "000001", "1", "")):
        phone.key(pin, extension=str(number))
    assert len(hashed) == 5
